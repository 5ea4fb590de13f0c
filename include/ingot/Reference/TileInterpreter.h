//===- TileInterpreter.h - Runs tile kernels by their meaning ---------------------------------===//
//
// Runs a kernel of the tile dialect as its documentation says, one element at a time, on plain
// memory: what lowerings are compared with, and a judge of kernels on machines that cannot run
// them. Numbers are those of compiled CPU code bit for bit, the order of sums and the polynomial of
// math.exp2 (include/ingot/Support/Exp2.h) included; only which NaN a NaN is may differ. On a GPU
// exp2 is the chip's, within the 2 ulp that the dialect allows.
//
// What it refuses, always naming op, memory and place:
//   - a coordinate outside of a view's sizes, a byte outside of the memory behind it;
//   - shared memory that is read before it was written, or touched while a tile.copy_async still
//     writes it; memory that is written while such a copy reads it;
//   - the accumulator of an asynchronous contraction (wgmma) that is used before its tile.wait;
//   - global memory through which blocks depend on their order: one writes what another one reads
//     or writes differently;
//   - numbers for which an op states no result: a division by zero, products that overflow the
//     16-bit sums that `run` promises.
//
//   - in kernels for blocks of threads (layouts of more than 16 lanes, or of warps): memory that
//   two
//     threads touch without a tile.barrier between them, where one of them writes; shared memory
//     that is written while an asynchronous contraction reads it;
//   - roles: memory that two roles touch without a use of a ring that orders them, uses that are
//     out of order, and deadlock. Roles run in turns drawn from the seed.
//
// It is slow and meant for small shapes.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_REFERENCE_TILEINTERPRETER_H
#define INGOT_REFERENCE_TILEINTERPRETER_H

#include "dialects/Tile/Tile.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Error.h"
#include <array>

namespace ingot::reference {

/// What a run says of a GPU kernel's speed.
struct TileReport {
  /// Accesses of shared memory by one op: how many transfers they took, and how many with no two
  /// lanes at different words of one bank.
  struct Shared {
    int64_t transfers = 0, least = 0;
  };
  llvm::MapVector<mlir::Operation *, Shared> accesses;
};

/// Runs every block of the grid of `kernel`, in an order drawn from `seed` (as are turns of roles).
/// Arguments are those of a compiled kernel: the bytes behind each view, in order; the same bytes
/// may be given twice. `counts` are the values of tokens, outputs and sequences. `report`, where
/// given, is added to.
llvm::Error runKernel(tile::KernelOp kernel,
                      llvm::ArrayRef<llvm::MutableArrayRef<uint8_t>> arguments,
                      std::array<int64_t, 3> counts, uint64_t seed = 0,
                      TileReport *report = nullptr);

} // namespace ingot::reference

#endif // INGOT_REFERENCE_TILEINTERPRETER_H
