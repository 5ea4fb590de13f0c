//===- TileThreadsTest.cpp - Threads and roles of a block in the tile interpreter ------------------===//
//
// Kernels for GPUs without one: what a missing barrier, wait or step of a ring does. A kernel that
// is right runs under many orders of its roles; one that is wrong is refused under each of them.
//
//===----------------------------------------------------------------------------------------------===//

#include "RunTile.h"

using namespace ingot;
using testing::AllOf;
using testing::HasSubstr;

namespace {

// One row of 32 numbers, a thread each; and the same backwards in lanes, which is another thread.
const char *const layouts = R"(
  #row = #tile.layout<lane = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]]>
  #turned = #tile.layout<lane = [[0, 16], [0, 8], [0, 4], [0, 2], [0, 1]]>
  #wide = #tile.layout<lane = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], warp = [[0, 0]]>
  #simd = #tile.layout<register = [[0, 8], [0, 16]], lane = [[0, 1], [0, 2], [0, 4]]>
  #simdTurned = #tile.layout<register = [[0, 1], [0, 2]], lane = [[0, 4], [0, 8], [0, 16]]>
)";

std::vector<float> makeNumbers(size_t count) {
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i)
    numbers[i] = 3 * i + 1;
  return numbers;
}

//===----------------------------------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------------------------------===//

/// Through shared memory, written with one layout and read with another.
std::string makeExchange(const std::string &from, const std::string &to, const std::string &between,
                         const std::string &after = "") {
  return layouts + (R"(
    tile.kernel @Exchange(%a: !tile.view<[1, 32], f32>, %b: !tile.view<[1, 32], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %s = tile.alloc : !tile.view<[1, 32], f32, shared>
      %x = tile.load %a[%c0, %c0] : !tile.view<[1, 32], f32> -> tensor<1x32xf32, )" +
                    from + R"(>
      tile.store %x, %s[%c0, %c0] : tensor<1x32xf32, )" +
                    from + ">, !tile.view<[1, 32], f32, shared>\n" + between + R"(
      %y = tile.load %s[%c0, %c0] : !tile.view<[1, 32], f32, shared> -> tensor<1x32xf32, )" +
                    to + R"(>
      tile.store %y, %b[%c0, %c0] : tensor<1x32xf32, )" +
                    to + ">, !tile.view<[1, 32], f32>\n" + after + R"(
      tile.return
    })");
}

TEST(TileThreads, MissingBarrierBetweenThreadsIsRefused) {
  std::vector<float> a = makeNumbers(32), b(32);
  EXPECT_THAT(run(makeExchange("#row", "#turned", ""), {bytesOf(a), bytesOf(b)}),
              AllOf(HasSubstr("'tile.load' in block (0, 0, 0) of kernel 'Exchange': byte 4 of "
                              "shared memory is read after 'tile.store' at "),
                    HasSubstr("wrote it in another thread, and no tile.barrier is between them")));
  EXPECT_EQ(run(makeExchange("#row", "#turned", "tile.barrier"), {bytesOf(a), bytesOf(b)}), "");
  EXPECT_EQ(a, b);
}

TEST(TileThreads, AThreadSeesItsOwnWrites) {
  std::vector<float> a = makeNumbers(32), b(32);
  EXPECT_EQ(run(makeExchange("#row", "#row", ""), {bytesOf(a), bytesOf(b)}), "");
}

TEST(TileThreads, ReplicatedElementsBelongToNoThread) {
  std::vector<float> a = makeNumbers(32), b(32);
  EXPECT_THAT(run(makeExchange("#wide", "#wide", ""), {bytesOf(a), bytesOf(b)}),
              HasSubstr("no tile.barrier is between them"));
}

TEST(TileThreads, LanesOfAVectorAreOneThread) {
  std::vector<float> a = makeNumbers(32), b(32);
  EXPECT_EQ(run(makeExchange("#simd", "#simdTurned", ""), {bytesOf(a), bytesOf(b)}), "");
  EXPECT_EQ(a, b);
}

TEST(TileThreads, OverwritingWhatOthersReadNeedsABarrier) {
  std::vector<float> a = makeNumbers(32), b(32);
  std::string again = "tile.store %x, %s[%c0, %c0] : tensor<1x32xf32, #row>, "
                      "!tile.view<[1, 32], f32, shared>\n";
  EXPECT_THAT(run(makeExchange("#row", "#turned", "tile.barrier", again), {bytesOf(a), bytesOf(b)}),
              AllOf(HasSubstr("'tile.store' in block (0, 0, 0) of kernel 'Exchange': byte 4 of "
                              "shared memory is written after 'tile.load' at "),
                    HasSubstr("read it in another thread")));
  EXPECT_EQ(run(makeExchange("#row", "#turned", "tile.barrier", "tile.barrier\n" + again),
                {bytesOf(a), bytesOf(b)}),
            "");
}

TEST(TileThreads, GlobalMemoryIsSharedByThreadsToo) {
  std::vector<float> a = makeNumbers(32), b(32);
  std::string again = "%z = tile.load %b[%c0, %c0] : !tile.view<[1, 32], f32> -> "
                      "tensor<1x32xf32, #row>\n";
  EXPECT_THAT(run(makeExchange("#row", "#turned", "tile.barrier", again), {bytesOf(a), bytesOf(b)}),
              HasSubstr("byte 4 of argument 1 is read after 'tile.store' at "));
}

/// A copy into shared memory, then `between`, then a load.
std::string makeCopy(const std::string &between, const std::string &after = "") {
  return std::string(layouts) + R"(
    tile.kernel @Copy(%a: !tile.view<[1, 32], f32>, %b: !tile.view<[1, 32], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %s = tile.alloc : !tile.view<[1, 32], f32, shared>
      %t = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [1, 32] : !tile.view<[1, 32], f32> to !tile.view<[1, 32], f32, shared>
      )" +
         between + R"(
      %x = tile.load %s[%c0, %c0] : !tile.view<[1, 32], f32, shared> -> tensor<1x32xf32, #row>
      tile.store %x, %b[%c0, %c0] : tensor<1x32xf32, #row>, !tile.view<[1, 32], f32>
      )" +
         after + R"(
      tile.return
    })";
}

TEST(TileThreads, WaitAloneShowsACopyToNoOtherThread) {
  std::vector<float> a = makeNumbers(32), b(32);
  EXPECT_THAT(run(makeCopy("tile.wait %t"), {bytesOf(a), bytesOf(b)}),
              HasSubstr("is read after 'tile.wait' at "));
  EXPECT_THAT(run(makeCopy("tile.barrier\ntile.wait %t"), {bytesOf(a), bytesOf(b)}),
              HasSubstr("is read after 'tile.wait' at "));
  EXPECT_EQ(run(makeCopy("tile.wait %t\ntile.barrier"), {bytesOf(a), bytesOf(b)}), "");
  EXPECT_EQ(a, b);
}

TEST(TileThreads, CopiesEndBeforeTheBlock) {
  std::vector<float> a = makeNumbers(32), b(32);
  std::string copy = "%u = tile.copy_async %a[%c0, %c0] to %s[%c0, %c0] [1, 32] : "
                     "!tile.view<[1, 32], f32> to !tile.view<[1, 32], f32, shared>\n";
  EXPECT_THAT(run(makeCopy("tile.wait %t\ntile.barrier", "tile.barrier\n" + copy),
                  {bytesOf(a), bytesOf(b)}),
              HasSubstr("'tile.copy_async' in block (0, 0, 0) of kernel 'Copy': the copy is still "
                        "under way when the block ends"));
}

//===----------------------------------------------------------------------------------------------===//
// Banks
//===----------------------------------------------------------------------------------------------===//

/// A row and then a column of 32 numbers in shared memory whose rows are `stride` numbers apart.
std::vector<reference::TileReport::Shared> countAccesses(int64_t stride) {
  std::string view =
      "!tile.view<[32, 32], f32, strides = [" + std::to_string(stride) + ", 1], shared>";
  std::string column = "#tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]]>";
  std::vector<reference::TileReport::Shared> accesses;
  std::vector<float> b(32);
  EXPECT_EQ(run(layouts + (R"(
    tile.kernel @Banks(%b: !tile.view<[32, 1], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %s = tile.alloc : )" +
                           view + R"(
      %x = arith.constant dense<1.0> : tensor<1x32xf32, #row>
      tile.store %x, %s[%c0, %c0] : tensor<1x32xf32, #row>, )" +
                           view + R"(
      %y = arith.constant dense<1.0> : tensor<32x1xf32, )" +
                           column + R"(>
      tile.barrier
      tile.store %y, %s[%c0, %c0] : tensor<32x1xf32, )" +
                           column + ">, " + view + R"(
      tile.return
    })"),
                {bytesOf(b)}, {1, 1, 1}, 0, &accesses),
            "");
  return accesses;
}

TEST(TileBanks, ColumnsMeetInOneBankUnlessRowsArePadded) {
  auto plain = countAccesses(32), padded = countAccesses(33);
  ASSERT_EQ(plain.size(), 2u);
  EXPECT_EQ(plain[0].transfers, 1);
  EXPECT_EQ(plain[1].transfers, 32);
  EXPECT_EQ(plain[1].least, 1);
  EXPECT_EQ(padded[0].transfers, 1);
  EXPECT_EQ(padded[1].transfers, 1);
}

//===----------------------------------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------------------------------===//

/// Six rows pass through a ring of two slots; each step of the ring can be replaced.
struct Pipeline {
  std::string acquire = "tile.acquire %ring[%u]", commit = "tile.commit %ring[%u] (%t)",
              await = "tile.await %ring[%u]", release = "tile.release %ring[%u]", early;
  std::string text() const {
    return std::string(layouts) + R"(
    tile.kernel @Pipeline(%a: !tile.view<[6, 32], f32>, %b: !tile.view<[6, 32], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c2 = arith.constant 2 : index
      %c6 = arith.constant 6 : index
      %s = tile.alloc : !tile.view<[2, 32], f32, shared>
      %ring = tile.ring slots 2 readers 1
      tile.roles role 1 {
        scf.for %u = %c0 to %c6 step %c1 {
          %slot = arith.remui %u, %c2 : index
          )" +
           acquire + R"(
          %t = tile.copy_async %a[%u, %c0] to %s[%slot, %c0] [1, 32] : !tile.view<[6, 32], f32> to !tile.view<[2, 32], f32, shared>
          )" +
           commit + R"(
        }
      } role 2 {
        scf.for %u = %c0 to %c6 step %c1 {
          %slot = arith.remui %u, %c2 : index
          )" +
           await + "\n" + early + R"(
          %x = tile.load %s[%slot, %c0] : !tile.view<[2, 32], f32, shared> -> tensor<1x32xf32, #wide>
          )" +
           release + R"(
          tile.store %x, %b[%u, %c0] : tensor<1x32xf32, #wide>, !tile.view<[6, 32], f32>
        }
      }
      tile.return
    })";
  }
  /// The message under each of several orders, which must all begin alike or not at all.
  void expect(const testing::Matcher<std::string> &matcher) const {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      std::vector<float> a = makeNumbers(6 * 32), b(6 * 32);
      std::string message = run(text(), {bytesOf(a), bytesOf(b)}, {1, 1, 1}, seed);
      EXPECT_THAT(message, matcher) << "seed " << seed;
      if (message.empty())
        EXPECT_EQ(a, b);
    }
  }
};

TEST(TileRoles, ARingCarriesRowsInEveryOrder) { Pipeline().expect(""); }

TEST(TileRoles, MissingAwaitIsRefused) {
  Pipeline pipeline;
  pipeline.await = "";
  // Which of them depends on who comes first.
  pipeline.expect(testing::AnyOf(HasSubstr("is read, but nothing has written it"),
                                 HasSubstr("is touched before the tile.wait"),
                                 HasSubstr("use 0 is released before its tile.await")));
}

TEST(TileRoles, MissingCommitIsADeadlock) {
  Pipeline pipeline;
  pipeline.commit = "";
  pipeline.expect(AllOf(
      HasSubstr("'tile.roles' in block (0, 0, 0) of kernel 'Pipeline': deadlock: "),
      HasSubstr("role 0 waits for 'tile.acquire' of use 2: not all readers have released use 0"),
      HasSubstr("role 1 waits for 'tile.await' of use 0: nobody has committed it")));
}

TEST(TileRoles, MissingReleaseIsADeadlock) {
  Pipeline pipeline;
  pipeline.release = "";
  pipeline.expect(AllOf(HasSubstr("role 0 waits for 'tile.acquire' of use 2"),
                        HasSubstr("role 1 waits for 'tile.await' of use 2")));
}

TEST(TileRoles, MissingAcquireIsRefused) {
  Pipeline pipeline;
  pipeline.acquire = "";
  pipeline.expect(HasSubstr("use 0 is committed before its tile.acquire"));
}

TEST(TileRoles, ReleaseBeforeTheLastReadIsRefused) {
  Pipeline pipeline;
  pipeline.early = "tile.release %ring[%u]";
  pipeline.release = "";
  pipeline.expect(testing::AnyOf(HasSubstr("no use of a ring orders the two roles"),
                                 HasSubstr("is touched before the tile.wait")));
}

TEST(TileRoles, DoubleReleaseIsRefused) {
  Pipeline pipeline;
  pipeline.early = "tile.release %ring[%u]";
  pipeline.expect(testing::AnyOf(HasSubstr("use 0 is released twice by one role"),
                                 HasSubstr("no use of a ring orders the two roles"),
                                 HasSubstr("is touched before the tile.wait")));
}

TEST(TileRoles, CopiesThatNoUseCarriesAreRefused) {
  Pipeline pipeline;
  pipeline.commit = "tile.commit %ring[%u]";
  pipeline.expect(HasSubstr("is touched before the tile.wait for the tile.copy_async"));
}

/// A consumer that hands a slot back while its wgmma still reads it.
std::string makeProduct(const std::string &before, const std::string &after) {
  return R"(
    #a = #tile.layout<lane = [[0, 1], [0, 2], [0, 4], [0, 8], [0, 16]], warp = [[0, 0], [0, 0]]>
    #b = #tile.layout<lane = [[1, 0], [2, 0], [4, 0], [8, 0], [16, 0]], warp = [[0, 0], [0, 0]]>
    #y = #tile.layout<lane = [[0, 0], [0, 0], [0, 0], [0, 0], [0, 0]], warp = [[0, 0], [0, 0]]>
    tile.kernel @Product(%a: !tile.view<[4, 32], f16>, %y: !tile.view<[1, 1], f32>) grid [] {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %c4 = arith.constant 4 : index
      %s = tile.alloc : !tile.view<[1, 32], f16, shared>
      %ring = tile.ring slots 1 readers 1
      tile.roles role 1 {
        scf.for %u = %c0 to %c4 step %c1 {
          tile.acquire %ring[%u]
          %t = tile.copy_async %a[%u, %c0] to %s[%c0, %c0] [1, 32] : !tile.view<[4, 32], f16> to !tile.view<[1, 32], f16, shared>
          tile.commit %ring[%u] (%t)
        }
      } role 4 {
        %z = arith.constant dense<0.0> : tensor<1x1xf32, #y>
        %r = scf.for %u = %c0 to %c4 step %c1 iter_args(%acc = %z) -> (tensor<1x1xf32, #y>) {
          tile.await %ring[%u]
          %x = tile.load %s[%c0, %c0] : !tile.view<[1, 32], f16, shared> -> tensor<1x32xf16, #a>
          %w = tile.transpose %x [1, 0] : tensor<1x32xf16, #a> -> tensor<32x1xf16, #b>
          %p = tile.contract wgmma_m64k16 %x, %w, %acc : tensor<1x32xf16, #a>, tensor<32x1xf16, #b>, tensor<1x1xf32, #y>
          )" +
         before + R"(
          %q = tile.wait (%p : tensor<1x1xf32, #y>)
          )" +
         after + R"(
          scf.yield %q : tensor<1x1xf32, #y>
        }
        tile.store %r, %y[%c0, %c0] : tensor<1x1xf32, #y>, !tile.view<[1, 1], f32>
      }
      tile.return
    })";
}

TEST(TileRoles, AContractionReadsUntilItsWait) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    std::vector<uint16_t> a(4 * 32, 0x4000); // 2.0
    std::vector<float> y(1);
    ASSERT_EQ(
        run(makeProduct("", "tile.release %ring[%u]"), {bytesOf(a), bytesOf(y)}, {1, 1, 1}, seed),
        "");
    EXPECT_EQ(y[0], 4 * 32 * 4);
    EXPECT_THAT(
        run(makeProduct("tile.release %ring[%u]", ""), {bytesOf(a), bytesOf(y)}, {1, 1, 1}, seed),
        testing::AnyOf(HasSubstr("no use of a ring orders the two roles"),
                       HasSubstr("asynchronous contraction that reads it")));
  }
}

} // namespace
