//===- CompiledKernels.cpp - Tile kernels that tests run in process ------------------------------------===//

#include "CompiledKernels.h"
#include "ingot/Compiler/Register.h"
#include "ingot/Target/Cpu.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Tile/Passes.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace ingot::test;
namespace LLVM = mlir::LLVM;

CompiledKernels::CompiledKernels(llvm::StringRef text, llvm::StringRef target) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module) {
    error = "does not parse";
    return;
  }
  if (lower(*module, target))
    compile(*module, target);
}

CompiledKernels::CompiledKernels(mlir::ModuleOp module, llvm::StringRef target) {
  if (lower(module, target))
    compile(module, target);
}

/// vpdpbusd: to each lane of 32 bits the sum of four products of an unsigned and a signed byte.
static void emulateDot(LLVM::CallIntrinsicOp op) {
  mlir::OpBuilder b(op);
  mlir::Location loc = op.getLoc();
  mlir::Value sum = op.getArgs()[0];
  auto lanes = mlir::cast<mlir::VectorType>(sum.getType());
  auto wide = mlir::VectorType::get(4 * lanes.getNumElements(), b.getI32Type());
  mlir::Value product =
      LLVM::MulOp::create(b, loc, LLVM::ZExtOp::create(b, loc, wide, op.getArgs()[1]),
                          LLVM::SExtOp::create(b, loc, wide, op.getArgs()[2]));
  for (int32_t byte = 0; byte < 4; ++byte) {
    llvm::SmallVector<int32_t> mask;
    for (int32_t lane = 0; lane < lanes.getNumElements(); ++lane)
      mask.push_back(4 * lane + byte);
    mlir::Value part = LLVM::ShuffleVectorOp::create(b, loc, product, product, mask);
    sum = LLVM::AddOp::create(b, loc, sum, part);
  }
  op.getResult(0).replaceAllUsesWith(sum);
  op.erase();
}

std::unique_ptr<CompiledKernels> CompiledKernels::emulate(mlir::ModuleOp module,
                                                          llvm::StringRef target) {
  std::unique_ptr<CompiledKernels> kernels(new CompiledKernels());
  if (!kernels->lower(module, target))
    return kernels;
  module.walk([&](LLVM::CallIntrinsicOp op) {
    if (!op.getIntrin().starts_with("llvm.x86.avx512.vpdpbusd."))
      return;
    emulateDot(op);
    ++kernels->emulated;
  });
  kernels->compile(module, "cpu:x86-64-v3");
  return kernels;
}

bool CompiledKernels::lower(mlir::ModuleOp module, llvm::StringRef target) {
  mlir::PassManager passes(module.getContext());
  passes.addPass(tile::createChooseCpuAtoms({target.str()}));
  passes.addPass(tile::createLowerTileToCpu());
  if (mlir::failed(passes.run(module)))
    error = "does not lower";
  return error.empty();
}

void CompiledKernels::compile(mlir::ModuleOp module, llvm::StringRef target) {
  llvm::Expected<CpuTarget> cpu = CpuTarget::parse(target);
  if (!cpu) {
    error = llvm::toString(cpu.takeError());
    return;
  }
  llvm::Expected<CpuCode> code = compileForCpu(module, *cpu, {/*withAssembly=*/true});
  if (!code) {
    error = llvm::toString(code.takeError());
    return;
  }
  assembly = code->assembly;
  // Stays open while the library is: the loader knows libraries by their path, which holds the
  // number.
  file = memfd_create("kernels", MFD_CLOEXEC);
  if (write(file, code->sharedObject.data(), code->sharedObject.size()) !=
      ssize_t(code->sharedObject.size()))
    error = "cannot write to a memfd";
  library = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    error = dlerror();
}

CompiledKernels::~CompiledKernels() {
  if (library)
    dlclose(library);
  if (file >= 0)
    close(file);
}

void CompiledKernels::run(llvm::StringRef kernel, llvm::ArrayRef<void *> arguments, Counts counts,
                          std::array<int64_t, 3> grid) const {
  using Function = void (*)(void *const *, const int64_t *, int64_t, int64_t, int64_t);
  auto function = reinterpret_cast<Function>(dlsym(library, kernel.str().c_str()));
  if (!function)
    llvm::report_fatal_error("no kernel of that name");
  for (int64_t z = 0; z < grid[2]; ++z)
    for (int64_t y = 0; y < grid[1]; ++y)
      for (int64_t x = 0; x < grid[0]; ++x)
        function(arguments.data(), counts.data(), x, y, z);
}
