// RUN: ingot-opt %s --ingot-verify-cpu-target | FileCheck %s
// RUN: ingot-opt %s --ingot-verify-cpu-target=target=cpu:x86-64-v3+avxvnni | FileCheck %s

// Instructions of the level pass, and the module is as it was.
// CHECK: llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"
llvm.func @dot(%a: vector<32xi8>, %b: vector<32xi8>) -> vector<16xi16> {
  %p = llvm.call_intrinsic "llvm.x86.avx2.pmadd.ub.sw"(%a, %b) : (vector<32xi8>, vector<32xi8>) -> vector<16xi16>
  llvm.return %p : vector<16xi16>
}
