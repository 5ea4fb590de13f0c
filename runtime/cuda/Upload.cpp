//===- Upload.cpp - Bytes of the host into a GPU, fast ----------------------------------------===//

#include "runtime/cuda/Upload.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <thread>
#include <vector>

using namespace ingot::runtime;
using namespace ingot::runtime::cuda;

namespace {

constexpr uint64_t pieceBytes = 4 << 20;
constexpr unsigned buffersOfThread = 2;
constexpr uint64_t mostThreads = 8;
constexpr uint64_t piecesOfThread = 8; ///< at least: pinning a buffer takes as long as some copies

/// What one thread needs: a stream, and buffers with the event after which each may be filled
/// again.
class Uploader {
public:
  explicit Uploader(ContextRef context) : context(std::move(context)) {}
  ~Uploader();
  Status prepare(uint64_t bufferBytes);
  /// Takes pieces until none is left or another thread has failed.
  Status run(const ByteSource &source, std::span<std::byte> to, std::atomic<uint64_t> &next,
             std::atomic<bool> &failed);

private:
  Status sendPiece(const ByteSource &source, uint64_t offset, std::span<std::byte> to,
                   unsigned buffer);

  ContextRef context;
  Stream stream = nullptr;
  std::unique_ptr<PinnedMemory> buffers[buffersOfThread];
  DriverEvent sent[buffersOfThread] = {};
};

Uploader::~Uploader() {
  if (!context->tryUse())
    return;
  const Driver &driver = context->getDriver();
  if (stream)
    driver.synchronizeStream(stream); // copies read the buffers
  for (DriverEvent event : sent)
    if (event)
      driver.destroyEvent(event);
  if (stream)
    driver.destroyStream(stream);
}

Status Uploader::prepare(uint64_t bufferBytes) {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  const char *action = "cannot prepare the upload of weights";
  INGOT_RETURN_IF_ERROR(driver.check(driver.createStream(&stream, streamNonBlocking), action));
  for (unsigned i = 0; i < buffersOfThread; ++i) {
    Result<std::unique_ptr<PinnedMemory>> buffer = PinnedMemory::allocate(context, bufferBytes);
    if (!buffer)
      return buffer.takeStatus();
    buffers[i] = std::move(*buffer);
    INGOT_RETURN_IF_ERROR(driver.check(driver.createEvent(&sent[i], 0), action));
  }
  return Status::success();
}

Status Uploader::sendPiece(const ByteSource &source, uint64_t offset, std::span<std::byte> to,
                           unsigned buffer) {
  const Driver &driver = context->getDriver();
  const char *action = "cannot upload weights";
  // An event that was never recorded counts as reached.
  INGOT_RETURN_IF_ERROR(driver.check(driver.synchronizeEvent(sent[buffer]), action));
  std::byte *pinned = buffers[buffer]->address();
  source(offset, {pinned, to.size()});
  INGOT_RETURN_IF_ERROR(driver.check(
      driver.copyAsync(toAddress(to.data()), toAddress(pinned), to.size(), stream), action));
  return driver.check(driver.recordEvent(sent[buffer], stream, 0), action);
}

Status Uploader::run(const ByteSource &source, std::span<std::byte> to, std::atomic<uint64_t> &next,
                     std::atomic<bool> &failed) {
  INGOT_RETURN_IF_ERROR(context->use());
  const Driver &driver = context->getDriver();
  unsigned buffer = 0;
  // Relaxed: the number alone is shared, and threads are joined before anything is read.
  while (!failed.load(std::memory_order_relaxed)) {
    uint64_t offset = next.fetch_add(1, std::memory_order_relaxed) * pieceBytes;
    if (offset >= to.size())
      break;
    std::span piece = to.subspan(offset, std::min(pieceBytes, to.size() - offset));
    INGOT_RETURN_IF_ERROR(sendPiece(source, offset, piece, buffer));
    buffer = (buffer + 1) % buffersOfThread;
  }
  return driver.check(driver.synchronizeStream(stream), "cannot upload weights");
}

} // namespace

Status cuda::upload(const ContextRef &context, const ByteSource &source, std::span<std::byte> to) {
  uint64_t pieces = (to.size() + pieceBytes - 1) / pieceBytes;
  uint64_t cores = std::max(std::thread::hardware_concurrency(), 1u);
  uint64_t count = std::min({pieces, pieces / piecesOfThread + 1, mostThreads, cores});
  std::deque<Uploader> uploaders; // which do not move
  for (uint64_t i = 0; i < count; ++i) {
    uploaders.emplace_back(context);
    INGOT_RETURN_IF_ERROR(uploaders.back().prepare(std::min<uint64_t>(pieceBytes, to.size())));
  }
  std::atomic<uint64_t> next = 0;
  std::atomic<bool> failed = false;
  std::vector<Status> results(count);
  std::vector<std::thread> threads;
  auto work = [&](uint64_t i) {
    results[i] = uploaders[i].run(source, to, next, failed);
    if (!results[i])
      failed.store(true, std::memory_order_relaxed);
  };
  for (uint64_t i = 1; i < count; ++i)
    threads.emplace_back(work, i);
  if (count)
    work(0);
  for (std::thread &thread : threads)
    thread.join();
  for (Status &result : results)
    INGOT_RETURN_IF_ERROR(std::move(result));
  return Status::success();
}
