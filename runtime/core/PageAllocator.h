//===- PageAllocator.h - Pages of the KV cache ------------------------------------------------===//
//
// The cache is pageCount physical pages; a sequence of n tokens owns ceil(n / pageTokens) of them,
// in any order, listed in its page table. Taking and giving back are O(1) a page and allocate
// nothing.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CORE_PAGEALLOCATOR_H
#define INGOT_RUNTIME_CORE_PAGEALLOCATOR_H

#include <cassert>
#include <cstdint>
#include <vector>

namespace ingot::runtime {

class PageAllocator {
public:
  explicit PageAllocator(uint64_t pageCount) : pageCount(pageCount) {}

  uint64_t getFreeCount() const { return pageCount - unused + returned.size(); }

  int32_t take() {
    assert(getFreeCount() && "the caller asks first");
    // Pages that were used before come first, so that a short run touches little memory.
    if (returned.empty())
      return int32_t(unused++);
    int32_t page = returned.back();
    returned.pop_back();
    return page;
  }

  void giveBack(int32_t page) { returned.push_back(page); }

private:
  uint64_t pageCount;
  uint64_t unused = 0; ///< the first page that was never taken
  std::vector<int32_t> returned;
};

} // namespace ingot::runtime

#endif // INGOT_RUNTIME_CORE_PAGEALLOCATOR_H
