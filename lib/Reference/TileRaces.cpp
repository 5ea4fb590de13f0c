//===- TileRaces.cpp - Which threads of a block touch memory, and in which order --------------===//
//
// A kernel whose layouts have more lanes than a SIMD vector or several warps is for a block of
// threads, and threads agree on nothing but at barriers. Each byte that a block touches remembers
// who wrote it last and who has read it since: the thread and the epoch. Two touches of which one
// writes are a race where neither is the same thread nor a barrier lies between.
//
// The thread of an element is the one whose registers hold it. Where several hold it (replicated
// elements, scalars, a layout with fewer lanes or warps than the block) it is not said which of
// them moves it, so they count as several threads; so do copies, which any thread may make.
//
// Roles have epochs of their own; what one role knows of another comes with the slots of a ring.
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

TileThreads::TileThreads(tile::KernelOp kernel) {
  kernel.walk([&](Operation *op) {
    if (auto roles = dyn_cast<tile::RolesOp>(op)) {
      int64_t sum = 0;
      for (int64_t roleWarps : roles.getWarps())
        sum += roleWarps;
      warps = std::max(warps, sum);
    }
    for (Type type : op->getResultTypes()) {
      if (!tile::isTile(type))
        continue;
      auto tile = cast<RankedTensorType>(type);
      LinearLayout layout = tile::getLayout(tile).getLinearLayout(tile.getShape());
      lanes = std::max(lanes, layout.getInputSize(1));
      warps = std::max(warps, layout.getInputSize(2));
    }
  });
}

ArrayRef<int32_t> TileBlock::getHolders(RankedTensorType type) {
  TileThreads &threads = sharedRun.threads;
  if (!threads.areSeveral())
    return {};
  return threads.getHolders(type, roles[currentRole].warps);
}

ArrayRef<int32_t> TileThreads::getHolders(RankedTensorType type, int64_t roleWarps) {
  auto [found, isNew] = holders.try_emplace({type, roleWarps});
  std::vector<int32_t> &threads = found->second;
  if (!isNew)
    return threads;
  threads.resize(type.getNumElements(), TileTouch::nobody);
  LinearLayout layout = tile::getLayout(type).getLinearLayout(type.getShape());
  bool isRepeated = layout.getInputSize(1) < lanes || layout.getInputSize(2) < roleWarps;
  SmallVector<int64_t, 4> at(layout.getInputCount(), 0);
  for (at[2] = 0; at[2] < layout.getInputSize(2); ++at[2])
    for (at[1] = 0; at[1] < layout.getInputSize(1); ++at[1])
      for (at[0] = 0; at[0] < layout.getInputSize(0); ++at[0]) {
        int32_t &holder = threads[getLinearIndex(type.getShape(), layout.apply(at))];
        int32_t thread = at[2] * lanes + at[1];
        bool isOther = holder != TileTouch::nobody && holder != thread;
        holder = isRepeated || isOther ? TileTouch::several : thread;
      }
  return threads;
}

/// What a message calls the op and its place.
static std::string describe(Operation *op) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '\'' << op->getName() << "' at " << op->getLoc();
  return text;
}

/// Whether an earlier touch is seen by what the current role does now. A role's own touches come
/// back to it with a ring, too: others have seen all threads commit.
bool TileBlock::isOrdered(const TileTouch &touch) const {
  const TileRole &role = roles[currentRole];
  if (touch.role == currentRole && touch.epoch < role.barrierEpoch)
    return true;
  return touch.role < role.known.size() && touch.epoch <= role.known[touch.role];
}

llvm::Error TileBlock::checkRace(const Access &access, int64_t byte, int32_t thread, bool isWrite) {
  TileMemory &memory = *access.memory;
  if (!sharedRun.threads.areSeveral())
    return llvm::Error::success();
  memory.touches.resize(memory.bytes.size());
  auto &[block, writer, readers] = memory.touches[byte];
  if (block != number) { // only this block's threads count
    block = number;
    writer = {};
    readers.clear();
  }
  auto races = [&](const TileTouch &touch) {
    bool isSame =
        touch.role == currentRole && touch.thread == thread && thread != TileTouch::several;
    return touch.thread != TileTouch::nobody && !isSame && !isOrdered(touch);
  };
  auto refuse = [&](const TileTouch &touch, const char *did) {
    bool isSameRole = touch.role == currentRole;
    return fail(access.op,
                llvm::formatv("byte {0} of {1} is {2} after {3} {4} it in another thread, and {5}",
                              byte, access.name, isWrite ? "written" : "read", describe(touch.op),
                              did,
                              isSameRole ? "no tile.barrier is between them"
                                         : "no use of a ring orders the two roles")
                    .str());
  };
  if (races(writer))
    return refuse(writer, "wrote");
  TileTouch now{access.op, thread, currentRole, roles[currentRole].epoch};
  if (!isWrite) {
    TileTouch *own =
        llvm::find_if(readers, [&](const TileTouch &touch) { return touch.role == currentRole; });
    if (own == readers.end())
      own = &readers.emplace_back();
    if (races(*own)) // a reader that nothing orders before this one still counts
      now.thread = TileTouch::several;
    *own = now;
    return llvm::Error::success();
  }
  for (const TileTouch &touch : readers)
    if (races(touch))
      return refuse(touch, "read");
  writer = now;
  readers.clear();
  return llvm::Error::success();
}

void TileBlock::noteArrival(Operation *wait, TileMemory &memory, int64_t byte) {
  if (!memory.touches.empty())
    memory.touches[byte] = {
        number, {wait, TileTouch::several, currentRole, roles[currentRole].epoch}, {}};
}

void TileBlock::passBarrier() {
  TileRole &role = roles[currentRole];
  role.barrierEpoch = ++role.epoch;
}
