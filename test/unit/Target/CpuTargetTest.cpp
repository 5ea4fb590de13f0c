//===- CpuTargetTest.cpp - Names, features and tables of CPU targets -----------------------------------===//
//
// The table of atoms against what LLVM knows of processors, names there and back, and refusals.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Target/Cpu.h"
#include "test/lib/CompiledKernels.h"
#include "gtest/gtest.h"

using namespace ingot;

namespace {

TEST(CpuTarget, NamesLeadThereAndBack) {
  for (const char *name :
       {"cpu:x86-64-v3", "cpu:x86-64-v3+avxvnni", "cpu:x86-64-v4", "cpu:x86-64-v4+avx512vnni"}) {
    auto target = CpuTarget::parse(name);
    ASSERT_TRUE(bool(target)) << llvm::toString(target.takeError());
    EXPECT_EQ(target->getName(), name);
  }
  // What the level has is not said twice.
  EXPECT_EQ(CpuTarget::parse("x86-64-v3+avx2")->getName(), "cpu:x86-64-v3");
}

TEST(CpuTarget, RefusesUnknownNames) {
  auto level = CpuTarget::parse("cpu:x86-64-v9");
  ASSERT_FALSE(bool(level));
  EXPECT_EQ(llvm::toString(level.takeError()),
            "target 'cpu:x86-64-v9' names no known level of CPUs; known are x86-64-v3, x86-64-v4");
  auto feature = CpuTarget::parse("cpu:x86-64-v3+sse9");
  ASSERT_FALSE(bool(feature));
  EXPECT_EQ(llvm::toString(feature.takeError()),
            "target 'cpu:x86-64-v3+sse9' names the feature 'sse9', which no kernel uses");
}

TEST(CpuTarget, FindsTheBestAtom) {
  auto integerAtom = [](const char *name) {
    auto atoms = CpuTarget::parse(name)->getAtoms();
    return atoms.front().name.str() + " " + std::to_string(atoms.front().lanes);
  };
  EXPECT_EQ(integerAtom("cpu:x86-64-v3"), "vpmaddubsw 8");
  EXPECT_EQ(integerAtom("cpu:x86-64-v3+avxvnni"), "vpdpbusd 8");
  EXPECT_EQ(integerAtom("cpu:x86-64-v4"), "vpmaddubsw 16");
  EXPECT_EQ(integerAtom("cpu:x86-64-v4+avx512vnni"), "vpdpbusd 16");
}

const char *dotKernel = R"(
  #a = #tile.layout<register = [[0, 1], [0, 2]], lane = [[1, 0], [2, 0], [4, 0]]>
  #b = #tile.layout<register = [[1, 0], [2, 0]], lane = [[0, 0], [0, 0], [0, 0]]>
  #y = #tile.layout<lane = [[1, 0], [2, 0], [4, 0]]>
  tile.kernel @Dot(%y: !tile.view<[8, 1], i32>) grid [1] {
    %c0 = arith.constant 0 : index
    %a = arith.constant dense<1> : tensor<8x4xi8, #a>
    %b = arith.constant dense<1> : tensor<4x1xi8, #b>
    %z = arith.constant dense<0> : tensor<8x1xi32, #y>
    %d = tile.contract vpdpbusd %a, %b, %z : tensor<8x4xi8, #a>, tensor<4x1xi8, #b>, tensor<8x1xi32, #y>
    tile.store %d, %y[%c0, %c0] : tensor<8x1xi32, #y>, !tile.view<[8, 1], i32>
    tile.return
  })";

TEST(CpuTarget, RefusesInstructionsThatTheLevelLacks) {
  test::CompiledKernels kernels(dotKernel, "cpu:x86-64-v3");
  EXPECT_EQ(kernels.error, "a kernel uses an instruction that cpu:x86-64-v3 lacks");
}

TEST(CpuTarget, EmitsTheInstructionWhereTheLevelHasIt) {
  test::CompiledKernels kernels(dotKernel, "cpu:x86-64-v3+avxvnni");
  EXPECT_EQ(kernels.error, "");
  EXPECT_NE(kernels.assembly.find("vpdpbusd"), std::string::npos);
}

} // namespace
