//===- TileRoles.cpp - Roles of a block as coroutines, and the rings between them -------------===//
//
// Each role runs on a thread of its own, but only one at a time: it hands the turn on where another
// one might have gone first, at accesses of memory and at steps of rings. Who is next is drawn from
// the seed, so a run can be repeated. Where no role can go on, each says what it waits for.
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

//===------------------------------------------------------------------------------------------===//
// Turns
//===------------------------------------------------------------------------------------------===//

class reference::TileScheduler {
public:
  TileScheduler(size_t roles, uint64_t seed) : states(roles), random(seed) {}

  /// Called by a role: hands the turn to any role that can go on, perhaps to itself again. With
  /// `canGoOn` the role waits for it. False where the run is over, because of a failure or because
  /// nobody can go on.
  bool yield(size_t role, std::function<bool()> canGoOn = nullptr, std::string waitsFor = "") {
    std::unique_lock lock(mutex);
    states[role].canGoOn = std::move(canGoOn);
    states[role].waitsFor = std::move(waitsFor);
    passOn();
    changed.wait(lock, [&] { return isOver || turn == role; });
    return !isOver;
  }
  /// Called by a role's thread before its first op.
  bool begin(size_t role) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return isOver || turn == role; });
    return !isOver;
  }
  void end(size_t role, bool hasFailed) {
    std::unique_lock lock(mutex);
    states[role].isDone = true;
    isOver |= hasFailed;
    passOn();
  }
  /// Called once, when the threads of all roles are there.
  void start() {
    std::unique_lock lock(mutex);
    passOn();
  }
  /// What everybody waits for, where nobody could go on.
  const std::string &getDeadlock() const { return deadlock; }

private:
  struct State {
    std::function<bool()> canGoOn; ///< null: it can
    std::string waitsFor;
    bool isDone = false;
  };

  void passOn() {
    llvm::SmallVector<size_t> able;
    bool areAllDone = true;
    for (auto [role, state] : llvm::enumerate(states)) {
      areAllDone &= state.isDone;
      if (!state.isDone && (!state.canGoOn || state.canGoOn()))
        able.push_back(role);
    }
    if (!able.empty()) {
      turn = able[random() % able.size()];
    } else if (!areAllDone && !isOver) {
      isOver = true;
      for (auto [role, state] : llvm::enumerate(states))
        if (!state.isDone)
          deadlock += llvm::formatv("{0}role {1} waits for {2}", deadlock.empty() ? "" : "; ", role,
                                    state.waitsFor);
    }
    changed.notify_all();
  }

  std::vector<State> states;
  std::mt19937_64 random;
  std::mutex mutex;
  std::condition_variable changed;
  size_t turn = ~size_t(0);
  bool isOver = false;
  std::string deadlock;
};

llvm::Error TileBlock::takeTurn(Operation *op, std::function<bool()> canGoOn,
                                std::string waitsFor) {
  if (!scheduler) {
    if (canGoOn && !canGoOn())
      return fail(op, "deadlock: the block waits for " + waitsFor + ", and nobody else is there");
    return llvm::Error::success();
  }
  uint32_t self = currentRole;
  bool goesOn = scheduler->yield(self - firstRole, std::move(canGoOn), std::move(waitsFor));
  currentRole = self;
  // The message is that of the role that failed.
  return goesOn ? llvm::Error::success() : llvm::createStringError("stopped");
}

llvm::Error TileBlock::runRoleOp(Operation *op) {
  return llvm::TypeSwitch<Operation *, llvm::Error>(op)
      .Case([&](tile::RolesOp op) { return runRoles(op); })
      .Case([&](tile::AcquireOp op) { return acquire(op); })
      .Case([&](tile::CommitOp op) { return commit(op); })
      .Case([&](tile::AwaitOp op) { return await(op); })
      .Case([&](tile::ReleaseOp op) { return release(op); });
}

llvm::Error TileBlock::runRoles(tile::RolesOp op) {
  passBarrier(); // what was done before is seen by all roles
  uint32_t outer = currentRole, count = op.getBodies().size();
  firstRole = roles.size();
  for (auto [warps, body] : llvm::zip_equal(op.getWarps(), op.getBodies())) {
    TileRole role;
    role.known = roles[outer].known;
    role.known.resize(outer + 1, 0);
    role.known[outer] = roles[outer].epoch;
    role.warps = warps;
    roles.push_back(std::move(role));
  }
  TileScheduler turns(count, sharedRun.seed + number);
  scheduler = &turns;
  std::mutex mutex;
  llvm::Error error = llvm::Error::success();
  bool hasError = false;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      if (!turns.begin(i))
        return;
      currentRole = firstRole + i;
      llvm::Error result = runOps(op.getBodies()[i].front());
      std::lock_guard lock(mutex);
      bool hasFailed = bool(result);
      if (hasFailed && !hasError && turns.getDeadlock().empty()) {
        consumeError(std::move(error));
        error = std::move(result);
        hasError = true;
      } else {
        consumeError(std::move(result));
      }
      turns.end(i, hasFailed);
    });
  turns.start();
  for (std::thread &thread : threads)
    thread.join();
  scheduler = nullptr;
  currentRole = outer;
  roles[outer].known.resize(roles.size(), 0);
  for (uint32_t i = 0; i < count; ++i)
    roles[outer].known[firstRole + i] = roles[firstRole + i].epoch;
  passBarrier();
  if (!turns.getDeadlock().empty()) {
    consumeError(std::move(error));
    return fail(op, "deadlock: " + turns.getDeadlock());
  }
  return error;
}

//===------------------------------------------------------------------------------------------===//
// Rings
//===------------------------------------------------------------------------------------------===//

/// What a role has done is known to whoever reads `known` later.
void TileBlock::publish(TileKnowledge &known) {
  TileRole &role = roles[currentRole];
  join(known, role.known);
  if (known.size() <= currentRole)
    known.resize(currentRole + 1, 0);
  known[currentRole] = std::max(known[currentRole], role.epoch);
  ++role.epoch; // what comes now is not part of it
}

void TileBlock::join(TileKnowledge &known, ArrayRef<uint32_t> other) {
  if (known.size() < other.size())
    known.resize(other.size(), 0);
  for (auto [epoch, more] : llvm::zip(known, other))
    epoch = std::max(epoch, more);
}

TileValue TileBlock::makeRing(tile::RingOp op) {
  TileValue value;
  value.ring = rings.size();
  rings.push_back({int64_t(op.getSlots()), int64_t(op.getReaders()), {}, 0});
  return value;
}

/// The use that an op names; uses come into being when somebody names them.
llvm::Expected<TileRing::Use *> TileBlock::getUse(Operation *op, Value ring, int64_t use) {
  if (use < 0 || use > 1 << 20)
    return fail(op, llvm::formatv("use {0} of a ring is not a use", use).str());
  std::deque<TileRing::Use> &uses = rings[get(ring).ring].uses;
  while (int64_t(uses.size()) <= use)
    uses.emplace_back();
  return &uses[use];
}

llvm::Error TileBlock::acquire(tile::AcquireOp op) {
  int64_t number = getInteger(op.getUse());
  auto use = getUse(op, op.getRing(), number);
  if (!use)
    return use.takeError();
  TileRing &ring = rings[get(op.getRing()).ring];
  if (number != ring.acquired)
    return fail(
        op,
        llvm::formatv("use {0} is acquired, but the next one is {1}", number, ring.acquired).str());
  ++ring.acquired;
  (*use)->producer = currentRole;
  if (number < ring.slots)
    return llvm::Error::success();
  TileRing::Use &before = ring.uses[number - ring.slots];
  if (llvm::Error error = takeTurn(
          op, [&] { return int64_t(before.releasedBy.size()) >= ring.readers; },
          llvm::formatv("'tile.acquire' of use {0}: not all readers have released use {1}", number,
                        number - ring.slots)))
    return error;
  join(roles[currentRole].known, before.released);
  return llvm::Error::success();
}

llvm::Error TileBlock::commit(tile::CommitOp op) {
  int64_t number = getInteger(op.getUse());
  auto use = getUse(op, op.getRing(), number);
  if (!use)
    return use.takeError();
  if ((*use)->isCommitted || number >= rings[get(op.getRing()).ring].acquired ||
      (*use)->producer != currentRole)
    return fail(op, llvm::formatv("use {0} is committed {1}", number,
                                  (*use)->isCommitted ? "twice" : "before its tile.acquire")
                        .str());
  for (Value token : op.getTokens())
    (*use)->copies.push_back(get(token).copy);
  publish((*use)->filled);
  (*use)->isCommitted = true;
  return llvm::Error::success();
}

llvm::Error TileBlock::await(tile::AwaitOp op) {
  int64_t number = getInteger(op.getUse());
  auto use = getUse(op, op.getRing(), number);
  if (!use)
    return use.takeError();
  TileRing::Use &filled = **use;
  if (llvm::Error error = takeTurn(
          op, [&] { return filled.isCommitted; },
          llvm::formatv("'tile.await' of use {0}: nobody has committed it", number)))
    return error;
  for (size_t copy : filled.copies)
    complete(copies[copy]);
  join(roles[currentRole].known, filled.filled);
  filled.awaitedBy.insert(currentRole);
  return llvm::Error::success();
}

llvm::Error TileBlock::release(tile::ReleaseOp op) {
  int64_t number = getInteger(op.getUse());
  auto use = getUse(op, op.getRing(), number);
  if (!use)
    return use.takeError();
  if (!(*use)->awaitedBy.contains(currentRole))
    return fail(op, llvm::formatv("use {0} is released before its tile.await", number).str());
  if (!(*use)->releasedBy.insert(currentRole).second)
    return fail(op, llvm::formatv("use {0} is released twice by one role", number).str());
  publish((*use)->released);
  return llvm::Error::success();
}
