//===- TileBlock.h - State of the tile interpreter --------------------------------------------===//
//
// One block of a kernel's grid while it runs: the values of the program and the memory it reaches.
// A tile is its elements in row-major order of the logical coordinates; layouts matter to
// reductions alone, whose order they fix. Private to lib/Reference.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_REFERENCE_TILEBLOCK_H
#define INGOT_LIB_REFERENCE_TILEBLOCK_H

#include "dialects/Tile/Tile.h"
#include "ingot/Reference/TileInterpreter.h"
#include "ingot/Support/Packing.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/Error.h"
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace ingot::reference {

/// An element: integers and index sign-extended (i1: 0 or 1), floats of any width as float.
union Number {
  int64_t integer;
  float real;

  static Number of(int64_t value) {
    Number number;
    number.integer = value;
    return number;
  }
  static Number of(float value) {
    Number number;
    number.integer = 0;
    number.real = value;
    return number;
  }
};

/// One touch of a byte: by which op and thread, and when.
struct TileTouch {
  static constexpr int32_t nobody = -1, several = -2;
  mlir::Operation *op = nullptr;
  int32_t thread = nobody; ///< warp * lanes + lane, of the role
  uint32_t role = 0, epoch = 0;
};

/// The memory behind one argument, or one shared allocation.
struct TileMemory {
  llvm::MutableArrayRef<uint8_t> bytes;

  /// Of each byte, in kernels for threads: its last writer, and its readers since, by role.
  struct Touches {
    uint32_t block = ~uint32_t(0); ///< whose threads these are
    TileTouch writer;
    llvm::SmallVector<TileTouch, 1> readers;
  };
  std::vector<Touches> touches;

  /// Global: whether the kernel writes it at all; then which block wrote (read) a byte, its number
  /// + 1; 0 none.
  bool isWritten = false;
  std::vector<uint32_t> writers, readers;
  static constexpr uint32_t severalBlocks = ~uint32_t(0);

  /// Shared: the bytes themselves and what is known of each.
  enum State : uint8_t { Defined, Undefined, InFlight };
  std::vector<uint8_t> storage;
  std::vector<State> states;
  std::vector<uint32_t> pendingReads; ///< of asynchronous contractions before their wait
  bool isShared() const { return !states.empty(); }
};

/// What a value of the program is: numbers of a scalar or tile, memory of a view, or a token.
struct TileValue {
  std::vector<Number> numbers;
  TileMemory *memory = nullptr;
  size_t copy = 0;        ///< of a token: its index in `copies`
  size_t ring = 0;        ///< of a ring: its index in `rings`
  bool isPending = false; ///< a tile that an asynchronous contraction still computes
  /// Bytes of shared memory that a tile was loaded from, or that a pending one still reads.
  std::vector<std::pair<TileMemory *, int64_t>> sources{};
};

/// How many threads a kernel is for, and which of them hold the elements of tiles.
class TileThreads {
public:
  explicit TileThreads(tile::KernelOp kernel);
  /// Whether blocks have threads that memory must be ordered between. Lanes of a SIMD vector are
  /// one thread.
  bool areSeveral() const { return lanes > simdLanes || warps > 1; }
  int64_t getWarps() const { return warps; }
  /// The thread of each element, in row-major order, where `roleWarps` warps run; `several` where
  /// it is not one.
  llvm::ArrayRef<int32_t> getHolders(mlir::RankedTensorType type, int64_t roleWarps);

private:
  static constexpr int64_t simdLanes = 16;
  int64_t lanes = 1, warps = 1;
  llvm::DenseMap<std::pair<mlir::Type, int64_t>, std::vector<int32_t>> holders;
};

/// The epoch of each role up to which something is known.
using TileKnowledge = llvm::SmallVector<uint32_t, 4>;

/// A group of warps that runs one program; the first is the whole block.
struct TileRole {
  uint32_t epoch = 1, barrierEpoch = 1; ///< now; of the last barrier
  TileKnowledge known;                  ///< of other roles
  int64_t warps = 1;
};

/// A ring while it runs.
struct TileRing {
  struct Use {
    bool isCommitted = false;
    uint32_t producer = 0;
    std::vector<size_t> copies;
    TileKnowledge filled, released;
    std::set<uint32_t> awaitedBy, releasedBy;
  };
  int64_t slots, readers;
  std::deque<Use> uses;
  int64_t acquired; ///< uses so far
};

class TileScheduler;

/// What an elementwise op makes of its operands' elements; nothing where the op states no result.
using ElementFunction = std::function<std::optional<Number>(llvm::ArrayRef<Number>)>;
/// The function of `op`; null where the interpreter has none.
ElementFunction getElementFunction(mlir::Operation *op);

/// The order of a reduction: which element each register of each lane holds, the places that are
/// combined, step by step, and where their results go.
struct TileReduction {
  std::vector<size_t> elements, masks, results;
};

/// What all blocks of one run share.
struct TileRun {
  std::array<int64_t, 3> counts;
  TileThreads threads;
  uint64_t seed;
  TileReport *report;
  llvm::DenseMap<mlir::Operation *, ElementFunction> functions{};
  llvm::DenseMap<mlir::Operation *, TileReduction> reductions{};
};

class TileBlock {
public:
  TileBlock(TileRun &run, uint32_t number, std::array<int64_t, 3> position)
      : sharedRun(run), number(number), position(position) {}
  llvm::Error run(tile::KernelOp kernel, llvm::ArrayRef<TileMemory *> arguments);

private:
  using Result = llvm::Expected<TileValue>;
  using Coordinates = llvm::SmallVector<int64_t, 5>;

  // Control (TileInterpreter.cpp).
  llvm::Error runOps(mlir::Block &block);
  llvm::Error runOp(mlir::Operation *op);
  llvm::Error runFor(mlir::scf::ForOp op);
  llvm::Error runIf(mlir::scf::IfOp op);
  Result evaluate(mlir::Operation *op);
  Result evaluateElements(mlir::Operation *op);
  llvm::Error checkOperands(mlir::Operation *op);
  llvm::Error fail(mlir::Operation *op, const llvm::Twine &message) const;

  // Memory (TileMemory.cpp).
  /// A view as one op sees it.
  struct Access {
    mlir::Operation *op;
    std::string name;
    tile::ViewType type;
    TileMemory *memory;
    llvm::SmallVector<int64_t, 5> sizes; ///< -1: unknown
    mlir::Type element;
    int64_t elementBytes;
  };
  Access getAccess(mlir::Operation *op, mlir::Value view);
  llvm::Expected<int64_t> locate(const Access &access, llvm::ArrayRef<int64_t> at);
  llvm::Error checkRange(const Access &access, int64_t byte, int64_t size);
  llvm::Error touch(const Access &access, int64_t byte, int64_t size, const uint8_t *written,
                    int32_t thread = TileTouch::several);
  llvm::Error touchGlobal(const Access &access, int64_t byte, const uint8_t *written);
  llvm::Expected<Number> readElement(const Access &access, llvm::ArrayRef<int64_t> at,
                                     int32_t thread = TileTouch::several);
  llvm::Error writeElement(const Access &access, llvm::ArrayRef<int64_t> at, Number value,
                           int32_t thread = TileTouch::several);
  /// Whether a masked op leaves this element alone: it is past a size that the tile spans.
  static bool isMaskedOut(const Access &access, llvm::ArrayRef<int64_t> at, size_t tileRank);
  Result load(tile::LoadOp op);
  llvm::Error store(tile::StoreOp op);
  template <typename OpT>
  std::optional<llvm::SmallVector<int64_t, 5>> findPlace(OpT op, llvm::ArrayRef<int64_t> at);
  Result gather(tile::GatherOp op);
  llvm::Error scatter(tile::ScatterOp op);
  Result read(tile::ReadOp op);
  llvm::Error write(tile::WriteOp op);
  llvm::Error decode(tile::DecodeOp op);
  llvm::Error decodePlanar(tile::DecodeOp op, const Access &access, const PackedLayout &layout);
  TileValue allocate(tile::AllocOp op);
  Result startCopy(tile::CopyAsyncOp op);
  llvm::Error wait(tile::WaitOp op);

  // Threads (TileRaces.cpp).
  llvm::Error checkRace(const Access &access, int64_t byte, int32_t thread, bool isWrite);
  bool isOrdered(const TileTouch &touch) const;
  /// What a copy has written is there as if it were written now.
  void noteArrival(mlir::Operation *wait, TileMemory &memory, int64_t byte);
  /// The thread of each element of a tile; empty in kernels for one thread.
  llvm::ArrayRef<int32_t> getHolders(mlir::RankedTensorType type);
  void passBarrier();

  /// Adds an access of shared memory to the report (TileBanks.cpp).
  void countTransfers(const Access &access, mlir::RankedTensorType type, Coordinates offsets,
                      bool isMasked);

  // Roles and rings (TileRoles.cpp).
  llvm::Error runRoleOp(mlir::Operation *op);
  llvm::Error runRoles(tile::RolesOp op);
  /// Other roles may go first; with `canGoOn`, waits for it.
  llvm::Error takeTurn(mlir::Operation *op, std::function<bool()> canGoOn = nullptr,
                       std::string waitsFor = "");
  void publish(TileKnowledge &known);
  static void join(TileKnowledge &known, llvm::ArrayRef<uint32_t> other);
  TileValue makeRing(tile::RingOp op);
  llvm::Expected<TileRing::Use *> getUse(mlir::Operation *op, mlir::Value ring, int64_t use);
  llvm::Error acquire(tile::AcquireOp op);
  llvm::Error commit(tile::CommitOp op);
  llvm::Error await(tile::AwaitOp op);
  llvm::Error release(tile::ReleaseOp op);

  // Arithmetic and rearrangement (TileCompute.cpp).
  Result contract(tile::ContractOp op);
  llvm::Error checkRun(tile::ContractOp op);
  TileValue reduce(tile::ReduceOp op);
  TileValue iota(tile::IotaOp op);
  TileValue broadcast(tile::BroadcastOp op);
  TileValue exchange(tile::ExchangeOp op);
  TileValue transpose(tile::TransposeOp op);

  const TileValue &get(mlir::Value value) const { return values.find(value)->second; }
  int64_t getInteger(mlir::Value value) const { return get(value).numbers.front().integer; }
  Coordinates getIntegers(mlir::ValueRange range) const;
  void set(mlir::Value value, TileValue result) { values[value] = std::move(result); }

  /// An asynchronous copy that was started.
  struct Copy {
    Access destinationAccess;
    TileMemory *source, *destination;
    llvm::DenseSet<int64_t> sourceBytes;
    std::vector<std::pair<int64_t, uint8_t>> written; ///< place in the destination, and the byte
    bool isComplete = false;
  };
  /// The bytes arrive.
  static void complete(Copy &copy);

  TileRun &sharedRun;
  uint32_t number;
  std::array<int64_t, 3> position;
  llvm::DenseMap<mlir::Value, TileValue> values;
  std::vector<std::unique_ptr<TileMemory>> allocations;
  std::vector<Copy> copies;
  std::vector<TileRole> roles{TileRole()};
  uint32_t currentRole = 0, firstRole = 0; ///< `firstRole`: of those that run now
  TileScheduler *scheduler = nullptr;      ///< while roles run
  std::deque<TileRing> rings;
};

/// Calls `visit(coordinates, index)` for every element of a shape in row-major order, until it
/// returns an error.
llvm::Error forEachElement(llvm::ArrayRef<int64_t> shape,
                           llvm::function_ref<llvm::Error(llvm::ArrayRef<int64_t>, size_t)> visit);

/// Place of `at` in row-major order.
size_t getLinearIndex(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> at);

} // namespace ingot::reference

#endif // INGOT_LIB_REFERENCE_TILEBLOCK_H
