//===- ChooseCpuAtoms.cpp - Integer dot products by what a CPU has ----------------------------------===//
//
// Emitters write `vpmaddubsw`, which every level has. `vpdpbusd` sums four products into 32 bits in
// one instruction where that takes three, and both atoms are exact, so the choice changes no bit.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Cpu.h"
#include "passes/Tile/Passes.h"

namespace ingot::tile {
#define GEN_PASS_DEF_CHOOSECPUATOMS
#include "passes/Tile/Passes.h.inc"
} // namespace ingot::tile

using namespace mlir;
using namespace ingot;

namespace {
struct ChooseCpuAtoms : tile::impl::ChooseCpuAtomsBase<ChooseCpuAtoms> {
  using Base::Base;

  void runOnOperation() override {
    llvm::Expected<CpuTarget> cpu = CpuTarget::parse(target);
    if (!cpu) {
      getOperation().emitError(llvm::toString(cpu.takeError()));
      return signalPassFailure();
    }
    getOperation().walk([&](tile::ContractOp op) {
      if (op.getAtom() != tile::Atom::Vpmaddubsw || !canDot(*cpu, op))
        return;
      op.setAtom(tile::Atom::Vpdpbusd);
      ++changed;
    });
  }

private:
  static bool canDot(const CpuTarget &cpu, tile::ContractOp op) {
    int64_t lanes = int64_t(1) << tile::getLayout(op.getType()).getLaneBits();
    return llvm::any_of(cpu.getAtoms(), [&](const CpuAtom &atom) {
      return atom.name == "vpdpbusd" && atom.lanes == lanes;
    });
  }
};
} // namespace
