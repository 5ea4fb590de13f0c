//===- Chips.cpp - NVIDIA chips and the instructions that they have -----------------------------------===//
//
// LLVM ends the process on an instruction that the chip lacks, so each op of NVVM is looked up
// before. What is not in the table is refused: the table grows with the lowering.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Nvptx.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace ingot;

static constexpr NvptxChip chips[] = {
    {"sm_80", 80, false}, {"sm_86", 86, false}, {"sm_89", 89, false},
    {"sm_90", 90, false}, {"sm_90a", 90, true},
};

llvm::ArrayRef<NvptxChip> NvptxChip::all() { return chips; }

const NvptxChip *NvptxChip::lookup(llvm::StringRef name) {
  const NvptxChip *found =
      llvm::find_if(chips, [&](const NvptxChip &chip) { return chip.name == name; });
  return found == std::end(chips) ? nullptr : found;
}

llvm::Expected<const NvptxChip *> NvptxChip::parseTarget(llvm::StringRef text) {
  llvm::StringRef name = text;
  if (const NvptxChip *chip = name.consume_front("cuda:") ? lookup(name) : nullptr)
    return chip;
  auto names = llvm::map_range(chips, [](const NvptxChip &chip) { return chip.getTargetName(); });
  return llvm::createStringError("target '" + text + "' names no known NVIDIA chip; known are " +
                                 llvm::join(names, ", "));
}

namespace {
struct Instruction {
  llvm::StringRef name; ///< of the op
  unsigned capability;  ///< of the first chip that has it
  bool isExact;         ///< only chips like sm_90a have it
};
} // namespace

static constexpr Instruction instructions[] = {
    {"nvvm.barrier0", 20, false},
    {"nvvm.griddepcontrol", 90, false},
    {"nvvm.mma.sync", 80, false},
    {"nvvm.read.ptx.sreg.ctaid.x", 20, false},
    {"nvvm.read.ptx.sreg.ctaid.y", 20, false},
    {"nvvm.read.ptx.sreg.ctaid.z", 20, false},
    {"nvvm.read.ptx.sreg.tid.x", 20, false},
    {"nvvm.shfl.sync", 30, false},
    {"nvvm.wgmma.commit.group.sync.aligned", 90, true},
    {"nvvm.wgmma.fence.aligned", 90, true},
    {"nvvm.wgmma.mma_async", 90, true},
    {"nvvm.wgmma.wait.group.sync.aligned", 90, true},
};

LogicalResult ingot::verifyNvptxOps(ModuleOp module, const NvptxChip &chip) {
  WalkResult result = module.walk([&](Operation *op) {
    if (auto call = dyn_cast<LLVM::CallIntrinsicOp>(op)) {
      op->emitOpError("expected ops of NVVM in place of the intrinsic '")
          << call.getIntrin() << "'";
      return WalkResult::interrupt();
    }
    if (!isa<NVVM::NVVMDialect>(op->getDialect()))
      return WalkResult::advance();
    const Instruction *known = llvm::find_if(instructions, [&](const Instruction &instruction) {
      return instruction.name == op->getName().getStringRef();
    });
    if (known == std::end(instructions)) {
      op->emitOpError("expected an op that the table of NVPTX instructions knows");
      return WalkResult::interrupt();
    }
    bool isThere = known->isExact ? chip.isExact && chip.capability == known->capability
                                  : chip.capability >= known->capability;
    if (!isThere) {
      op->emitOpError("expected an instruction that ")
          << chip.name << " has, got one of sm_" << known->capability
          << (known->isExact ? "a" : "");
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}
