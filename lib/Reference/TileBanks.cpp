//===- TileBanks.cpp - How often shared memory is busy for a warp -----------------------------===//
//
// Shared memory has 32 banks of 4 bytes; in one transfer each gives one word, to as many lanes as
// want it. A warp's access of up to 4 bytes a lane is one transfer, of 8 bytes two, of 16 bytes
// four, where no two lanes want different words of one bank. Registers that lie side by side move
// together, as the lowering moves them.
//
//===------------------------------------------------------------------------------------------===//

#include "TileBlock.h"
#include <map>
#include <set>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;

static constexpr int64_t banks = 32, bankBytes = 4, largestMove = 16;

namespace {
/// Addresses of a tile's registers in the threads of one warp.
struct WarpAddresses {
  int64_t registers, lanes;
  std::vector<int64_t> bytes; ///< of register r in lane l at r * lanes + l; -1: masked out
  int64_t get(int64_t r, int64_t lane) const { return bytes[r * lanes + lane]; }

  /// Whether `run` registers are one aligned piece of memory in every lane.
  bool canMoveTogether(int64_t run, int64_t elementBytes) const {
    for (int64_t r = 0; r < registers; ++r)
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t first = get(r - r % run, lane);
        if (first < 0 || first % (run * elementBytes) != 0 ||
            get(r, lane) != first + r % run * elementBytes)
          return false;
      }
    return true;
  }
};
} // namespace

/// Transfers of one access: `lanes` move `size` bytes each from the addresses.
static void addTransfers(ArrayRef<int64_t> addresses, int64_t size, TileReport::Shared &access) {
  int64_t together = std::min<int64_t>(banks, banks * bankBytes / std::max(size, bankBytes));
  for (size_t first = 0; first < addresses.size(); first += together) {
    std::map<int64_t, std::set<int64_t>> words;
    for (int64_t address : addresses.slice(first).take_front(together))
      for (int64_t byte = address; address >= 0 && byte < address + size; byte += bankBytes)
        words[byte / bankBytes % banks].insert(byte / bankBytes);
    size_t most = 0;
    for (const auto &[bank, wanted] : words)
      most = std::max(most, wanted.size());
    access.transfers += most;
    access.least += most > 0;
  }
}

void TileBlock::countTransfers(const Access &access, RankedTensorType type, Coordinates offsets,
                               bool isMasked) {
  if (!sharedRun.report || !access.memory->isShared() || !sharedRun.threads.areSeveral())
    return;
  TileReport::Shared &counted = sharedRun.report->accesses[access.op];
  LinearLayout layout = tile::getLayout(type).getLinearLayout(type.getShape());
  for (int64_t warp = 0; warp < layout.getInputSize(2); ++warp) {
    WarpAddresses addresses{layout.getInputSize(0), layout.getInputSize(1), {}};
    for (int64_t r = 0; r < addresses.registers; ++r)
      for (int64_t lane = 0; lane < addresses.lanes; ++lane) {
        Coordinates at = offsets;
        auto moved = layout.apply({r, lane, warp, 0});
        int64_t element = 0;
        for (size_t dim = 0; dim < at.size(); ++dim) {
          if (dim + moved.size() >= at.size())
            at[dim] += moved[dim + moved.size() - at.size()];
          element += at[dim] * access.type.getStrides()[dim];
        }
        bool isOut = isMasked && isMaskedOut(access, at, type.getRank());
        addresses.bytes.push_back(isOut ? -1 : element * access.elementBytes);
      }
    int64_t run = 1;
    while (2 * run <= addresses.registers && 2 * run * access.elementBytes <= largestMove &&
           addresses.canMoveTogether(2 * run, access.elementBytes))
      run *= 2;
    for (int64_t r = 0; r < addresses.registers; r += run)
      addTransfers(ArrayRef(addresses.bytes).slice(r * addresses.lanes, addresses.lanes),
                   run * access.elementBytes, counted);
  }
}
