//===- RandomProgramsTest.cpp - Compiled CPU code against the interpreter on random programs --------===//
//
// Lowering and interpreter read the same documentation; random programs find where they differ.
// Equal means every bit of every output, but which NaN a NaN is. A failure prints the program,
// which then becomes a test of its own.
//
//===----------------------------------------------------------------------------------------------===//

#include "RandomTileProgram.h"
#include "ingot/Compiler/Register.h"
#include "ingot/Reference/TileInterpreter.h"
#include "ingot/Support/Codec.h"
#include "mlir/IR/Verifier.h"
#include "test/lib/CompiledKernels.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace ingot;
using namespace ingot::test;

namespace {

std::string print(Operation *op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  op->print(os);
  return text;
}

/// Turns every NaN of a view's elements into the same one.
void unifyNaNs(Type element, std::vector<uint8_t> &bytes) {
  auto unify = [&]<typename Bits>(Bits nan, auto isNaN) {
    for (size_t i = 0; i + sizeof(Bits) <= bytes.size(); i += sizeof(Bits)) {
      Bits bits;
      std::memcpy(&bits, bytes.data() + i, sizeof(Bits));
      if (isNaN(bits))
        std::memcpy(bytes.data() + i, &nan, sizeof(Bits));
    }
  };
  if (element.isF32())
    unify(uint32_t(0x7fc00000),
          [](uint32_t bits) { return std::isnan(llvm::bit_cast<float>(bits)); });
  if (element.isF16())
    unify(uint16_t(0x7e00), [](uint16_t bits) { return std::isnan(halfToFloat(bits)); });
  if (element.isBF16())
    unify(uint16_t(0x7fc0), [](uint16_t bits) { return std::isnan(bfloatToFloat(bits)); });
}

/// `count` kernels from seed `first` on, compiled together.
void checkPrograms(uint64_t first, uint64_t count) {
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  std::vector<std::vector<std::vector<uint8_t>>> interpreted, executed;
  std::vector<std::string> texts, names;
  std::vector<SmallVector<Type>> elements;
  const Counts counts = {RandomTileProgram::tokens, 0, 0};
  for (uint64_t seed = first; seed < first + count; ++seed) {
    RandomTileProgram program(*module, seed);
    names.push_back("Random" + std::to_string(seed));
    tile::KernelOp kernel = program.emit(names.back());
    texts.push_back(print(kernel));
    ASSERT_TRUE(succeeded(verify(kernel))) << texts.back();
    elements.emplace_back();
    for (BlockArgument view : kernel.getViews())
      elements.back().push_back(cast<tile::ViewType>(view.getType()).getElementType());
    interpreted.push_back(program.drawMemory());
    executed.push_back(interpreted.back());
    SmallVector<MutableArrayRef<uint8_t>> bytes(interpreted.back().begin(),
                                                interpreted.back().end());
    ASSERT_EQ(llvm::toString(reference::runKernel(kernel, bytes, counts)), "") << texts.back();
  }
  CompiledKernels compiled(*module);
  ASSERT_EQ(compiled.error, "") << texts.front();
  for (size_t i = 0; i < count; ++i) {
    SmallVector<void *> pointers;
    for (std::vector<uint8_t> &view : executed[i])
      pointers.push_back(view.data());
    compiled.run(names[i], pointers, counts, {counts[0], 1, 1});
    for (size_t view = 0; view < executed[i].size(); ++view) {
      unifyNaNs(elements[i][view], executed[i][view]);
      unifyNaNs(elements[i][view], interpreted[i][view]);
      ASSERT_EQ(executed[i][view], interpreted[i][view]) << "argument " << view << " of\n"
                                                         << texts[i];
    }
  }
}

class RandomPrograms : public testing::TestWithParam<uint64_t> {};

TEST_P(RandomPrograms, HaveTheSameBitsCompiledAndInterpreted) {
  constexpr uint64_t atOnce = 20;
  // --gtest_random_seed=N looks elsewhere.
  uint64_t elsewhere = uint64_t(GTEST_FLAG_GET(random_seed)) << 32;
  checkPrograms(elsewhere + GetParam() * atOnce, atOnce);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPrograms, testing::Range<uint64_t>(0, 6));

} // namespace
