//===- Passes.td - Passes of the target stage ---------------------------------------------*- tablegen -*-===//
//
// What must hold of code before LLVM sees it. Emission itself is no pass: lib/Target returns bytes.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_TARGET
#define INGOT_PASSES_TARGET

include "mlir/Pass/PassBase.td"

def VerifyCpuTarget : Pass<"ingot-verify-cpu-target", "::mlir::ModuleOp"> {
  let summary = "Check that kernels use only what a CPU target has";
  let description = [{
    Every intrinsic must be in the table of CPU intrinsics, and the target must have the features that it needs: LLVM would
    end the process on one that it cannot select. No tile kernel may be left, and no function of the LLVM dialect without
    a body: kernels have no library. Changes nothing; linear in the number of ops.

    ```mlir
    // refused for cpu:x86-64-v3, accepted for cpu:x86-64-v3+avxvnni
    %s = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"(%acc, %a, %b) : ...
    ```
  }];
  let options = [Option<"target", "target", "std::string", /*default=*/"\"cpu:x86-64-v3\"", "The CPU target">];
}

def VerifyNvptxTarget : Pass<"ingot-verify-nvptx-target", "::mlir::ModuleOp"> {
  let summary = "Check that kernels use only what an NVIDIA chip has";
  let description = [{
    Every op of NVVM must be in the table of NVPTX instructions, and the chip must have it: LLVM would end the process on one
    that it cannot select. No tile kernel may be left, and no function of the LLVM dialect without a body: kernels have no
    library. Changes nothing; linear in the number of ops.

    ```mlir
    // refused for cuda:sm_80, accepted for cuda:sm_90a
    nvvm.griddepcontrol wait
    ```
  }];
  let options = [Option<"target", "target", "std::string", /*default=*/"\"cuda:sm_90a\"", "The NVIDIA chip">];
}

#endif // INGOT_PASSES_TARGET
