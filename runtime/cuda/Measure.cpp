//===- Measure.cpp - How fast a GPU reads and multiplies --------------------------------------===//
//
// Two kernels, written here as PTX because the runtime has no compiler:
//   readStream   sums memory, 4 loads of 16 bytes in flight in each thread, every byte once;
//   multiply     products of random tiles without any loads: wgmma from shared memory on capability
//                9.0, else mma.sync from registers.
// Random operands: products of zeros need less power and would be faster than real ones.
//
//===------------------------------------------------------------------------------------------===//

#include "runtime/cuda/Measure.h"
#include "runtime/cuda/CudaModule.h"
#include "runtime/cuda/CudaQueue.h"

#include <algorithm>

using namespace ingot;
using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

namespace {

constexpr uint64_t mostReadBytes = uint64_t(2) << 30; ///< far beyond any cache
constexpr unsigned threads = 256, blocksOfMultiprocessor = 8, loadsInFlight = 4;
constexpr int64_t rounds = 4096;
constexpr int repeats = 7;

/// Parameters: data, bytes, result (never written: the sum is compared with what it cannot be).
constexpr const char *readKernel = R"(
.visible .entry readStream(.param .u64 data, .param .u64 bytes, .param .u64 result, .param .u64 counts)
{
  .reg .pred %p<3>;
  .reg .b32 %r<40>;
  .reg .b64 %rd<16>;
  ld.param.u64 %rd0, [data];
  ld.param.u64 %rd1, [bytes];
  ld.param.u64 %rd2, [result];
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ntid.x;
  mov.u32 %r2, %nctaid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.u32 %r4, %r0, %r1, %r3;
  mul.wide.u32 %rd3, %r4, 16;
  mul.lo.u32 %r5, %r1, %r2;
  mul.wide.u32 %rd4, %r5, 16;
  mov.u32 %r6, 1;
READ:
  add.u64 %rd5, %rd0, %rd3;
  add.u64 %rd6, %rd5, %rd4;
  add.u64 %rd7, %rd6, %rd4;
  add.u64 %rd8, %rd7, %rd4;
  ld.global.nc.L1::no_allocate.v4.u32 {%r10, %r11, %r12, %r13}, [%rd5];
  ld.global.nc.L1::no_allocate.v4.u32 {%r14, %r15, %r16, %r17}, [%rd6];
  ld.global.nc.L1::no_allocate.v4.u32 {%r18, %r19, %r20, %r21}, [%rd7];
  ld.global.nc.L1::no_allocate.v4.u32 {%r22, %r23, %r24, %r25}, [%rd8];
  add.u32 %r10, %r10, %r11;
  add.u32 %r12, %r12, %r13;
  add.u32 %r14, %r14, %r15;
  add.u32 %r16, %r16, %r17;
  add.u32 %r18, %r18, %r19;
  add.u32 %r20, %r20, %r21;
  add.u32 %r22, %r22, %r23;
  add.u32 %r24, %r24, %r25;
  add.u32 %r10, %r10, %r12;
  add.u32 %r14, %r14, %r16;
  add.u32 %r18, %r18, %r20;
  add.u32 %r22, %r22, %r24;
  add.u32 %r10, %r10, %r14;
  add.u32 %r18, %r18, %r22;
  add.u32 %r10, %r10, %r18;
  xor.b32 %r6, %r6, %r10;
  mad.lo.u64 %rd3, %rd4, 4, %rd3;
  setp.lt.u64 %p0, %rd3, %rd1;
  @%p0 bra READ;
  setp.ne.u32 %p1, %r6, 305419896;
  @%p1 bra DONE;
  st.global.u32 [%rd2], %r6;
DONE:
  ret;
}
)";

std::string listRegisters(const char *prefix, int first, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += (i ? ", " : "") + std::string(prefix) + std::to_string(first + i);
  return text + "}";
}

/// Random bits in `%rN` from a number of the thread: two bf16 of either sign between 1/2 and 1.
constexpr const char *drawOperand = "  mad.lo.u32 %r1, %r1, 1664525, 1013904223;\n"
                                    "  shr.u32 %r2, %r1, 7;\n"
                                    "  and.b32 %r2, %r2, -2139127681;\n"
                                    "  or.b32 %r2, %r2, 1056980736;\n";

constexpr const char *multiplyHead = R"(
.visible .entry multiply(.param .u64 rounds, .param .u64 result, .param .u64 counts)
{
  .reg .pred %p<4>;
  .reg .b32 %r<40>;
  .reg .b64 %rd<16>;
  .reg .f32 %f<160>;
  ld.param.u64 %rd0, [rounds];
  ld.param.u64 %rd1, [result];
  mov.u32 %r0, %tid.x;
  mov.u32 %r3, %ctaid.x;
  mad.lo.u32 %r1, %r3, 256, %r0;
)";
constexpr const char *multiplyTail = R"(
  add.s64 %rd0, %rd0, -1;
  setp.gt.s64 %p1, %rd0, 0;
  @%p1 bra ROUND;
)";

/// Uses all sums, so that no product can be left out.
std::string writeSums(int sums) {
  std::string text;
  for (int i = 1; i < sums; ++i)
    text += formatText("  add.f32 %%f0, %%f0, %%f%d;\n", i);
  return text + "  mov.b32 %r4, %f0;\n  setp.ne.u32 %p2, %r4, 305419896;\n"
                "  @%p2 bra END;\n  st.global.f32 [%rd1], %f0;\nEND:\n  ret;\n}\n";
}

std::string clearSums(int sums) {
  std::string text;
  for (int i = 0; i < sums; ++i)
    text += formatText("  mov.f32 %%f%d, 0f00000000;\n", i);
  return text;
}

/// Two warpgroups, each a tile of 64 x 256 with its own A; K is 64: rows of 128 bytes, swizzled.
std::string writeWarpgroupKernel() {
  constexpr int sums = 128, words = 49152 / 4;
  std::string text = multiplyHead;
  text += "  .shared .align 1024 .b8 tiles[49152];\n  mov.u32 %r5, tiles;\n"
          "  shl.b32 %r6, %r0, 2;\n  add.u32 %r7, %r5, %r6;\n  mov.u32 %r8, 0;\nFILL:\n";
  text += drawOperand;
  text += formatText("  st.shared.u32 [%%r7], %%r2;\n  add.u32 %%r7, %%r7, %u;\n"
                     "  add.u32 %%r8, %%r8, 1;\n  setp.lt.u32 %%p0, %%r8, %u;\n  @%%p0 bra FILL;\n"
                     "  fence.proxy.async.shared::cta;\n  bar.sync 0;\n",
                     4 * threads, words / threads);
  // Descriptors: address / 16, 1024 bytes from 8 rows to the next, 128-byte swizzle.
  text += "  shr.u32 %r9, %r0, 7;\n  shl.b32 %r9, %r9, 13;\n  add.u32 %r9, %r9, %r5;\n"
          "  add.u32 %r10, %r5, 16384;\n";
  for (int i = 0; i < 2; ++i)
    text +=
        formatText("  shr.u32 %%r%d, %%r%d, 4;\n  and.b32 %%r%d, %%r%d, 16383;\n"
                   "  cvt.u64.u32 %%rd%d, %%r%d;\n  or.b64 %%rd%d, %%rd%d, 4611686293305294848;\n",
                   9 + i, 9 + i, 9 + i, 9 + i, 2 + i, 9 + i, 2 + i, 2 + i);
  text += clearSums(sums);
  text += "  setp.ne.u32 %p3, 1, 0;\nROUND:\n  wgmma.fence.sync.aligned;\n";
  for (int k = 0; k < 4; ++k)
    text += formatText("  add.s64 %%rd4, %%rd2, %d;\n  add.s64 %%rd5, %%rd3, %d;\n"
                       "  wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 ",
                       2 * k, 2 * k) +
            listRegisters("%f", 0, sums) + ", %rd4, %rd5, %p3, 1, 1, 0, 0;\n";
  text += "  wgmma.commit_group.sync.aligned;\n  wgmma.wait_group.sync.aligned 0;\n";
  return text + multiplyTail + writeSums(sums);
}

/// Each warp: 8 independent products of 16 x 8 x 16.
std::string writeWarpKernel() {
  constexpr int tiles = 8, sums = 4 * tiles;
  std::string text = multiplyHead;
  for (int i = 0; i < 6; ++i)
    text += drawOperand + formatText("  mov.b32 %%r%d, %%r2;\n", 10 + i);
  text += clearSums(sums) + "ROUND:\n";
  for (int repeat = 0; repeat < 4; ++repeat)
    for (int tile = 0; tile < tiles; ++tile) {
      std::string sum = listRegisters("%f", 4 * tile, 4);
      text += "  mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 " + sum + ", " +
              listRegisters("%r", 10, 4) + ", " + listRegisters("%r", 14, 2) + ", " + sum + ";\n";
    }
  return text + multiplyTail + writeSums(sums);
}

bool hasWarpgroups(unsigned capability) { return capability == 90; }

/// Multiply-adds of one block in one round.
double countProducts(unsigned capability) {
  return hasWarpgroups(capability) ? 2.0 * 64 * 256 * 64 : 8.0 * 4 * 8 * 16 * 8 * 16;
}

/// Seconds of the fastest of several runs, after one to warm up.
Result<double> timeBest(Queue &queue, const Launch &launch) {
  const int64_t counts[format::countCount] = {};
  uint64_t best = ~uint64_t(0), nanoseconds = 0;
  for (int i = 0; i <= repeats; ++i) {
    INGOT_RETURN_IF_ERROR(queue.launchTimed({&launch, 1}, counts, &nanoseconds));
    if (i)
      best = std::min(best, nanoseconds);
  }
  return double(std::max<uint64_t>(best, 1)) * 1e-9;
}

} // namespace

std::string cuda::writeMeasureKernels(unsigned capability) {
  bool warpgroups = hasWarpgroups(capability);
  std::string text =
      warpgroups ? ".version 8.0\n.target sm_90a\n" : ".version 7.4\n.target sm_80\n";
  text += ".address_size 64\n";
  return text + readKernel + (warpgroups ? writeWarpgroupKernel() : writeWarpKernel());
}

Result<DeviceSpeed> cuda::measureSpeed(const ContextRef &context) {
  const GpuProperties &gpu = context->getProperties();
  Result<std::unique_ptr<CudaModule>> module =
      CudaModule::loadText(context, writeMeasureKernels(gpu.capability));
  Result<std::unique_ptr<CudaQueue>> queue = CudaQueue::create(context);
  Result<uint64_t> free = context->getFreeBytes();
  if (!module || !queue || !free)
    return !module ? module.takeStatus() : !queue ? queue.takeStatus() : free.takeStatus();
  Result<Kernel> read = (*module)->findKernel("readStream", {3, threads, 0, false});
  Result<Kernel> multiply = (*module)->findKernel("multiply", {2, threads, 0, false});
  if (!read || !multiply)
    return read ? multiply.takeStatus() : read.takeStatus();

  Grid grid{int64_t(gpu.multiprocessors) * blocksOfMultiprocessor, 1, 1};
  uint64_t round = uint64_t(grid.x) * threads * 16 * loadsInFlight;
  uint64_t bytes = std::max(std::min(mostReadBytes, *free / 2) / round, uint64_t(1)) * round;
  Result<std::unique_ptr<GpuMemory>> data = GpuMemory::allocate(context, bytes);
  Result<std::unique_ptr<GpuMemory>> result = GpuMemory::allocate(context, 16);
  if (!data || !result)
    return data ? result.takeStatus() : data.takeStatus();
  INGOT_RETURN_IF_ERROR((*queue)->fill((*data)->address(), std::byte(0x6d), bytes));
  void *readArguments[] = {(*data)->address(), reinterpret_cast<void *>(bytes),
                           (*result)->address()};
  Result<double> readSeconds = timeBest(**queue, {*read, readArguments, 3, &grid});
  Grid oneEach{gpu.multiprocessors, 1, 1};
  void *multiplyArguments[] = {reinterpret_cast<void *>(rounds), (*result)->address()};
  Result<double> multiplySeconds = timeBest(**queue, {*multiply, multiplyArguments, 2, &oneEach});
  if (!readSeconds || !multiplySeconds)
    return readSeconds ? multiplySeconds.takeStatus() : readSeconds.takeStatus();
  double operations =
      2 * countProducts(gpu.capability) * double(rounds) * double(gpu.multiprocessors);
  return DeviceSpeed{double(bytes) / *readSeconds, operations / *multiplySeconds};
}
