//===- TestKernelsGpu.c - The toy kernels as entries of a GPU -----------------------------------===//
//
// Compiled by the build into PTX, without a toolkit. A block is a warp, of which one thread works.
// As the compiler's kernels, these do nothing in blocks beyond the counts.
//
//===------------------------------------------------------------------------------------------===//

#define KERNEL(name)                                                                               \
  static void name##Block(Arguments arguments, const int64_t *counts, int64_t x, int64_t y,        \
                          int64_t z)
#include "TestKernels.c"

#define ENTRY(name, isInside, list, ...)                                                           \
  __attribute__((nvptx_kernel)) void name list {                                                   \
    __asm__ volatile("griddepcontrol.wait;" ::: "memory");                                         \
    void *arguments[] = {__VA_ARGS__};                                                             \
    int64_t x = __nvvm_read_ptx_sreg_ctaid_x(), y = __nvvm_read_ptx_sreg_ctaid_y(),                \
            z = __nvvm_read_ptx_sreg_ctaid_z();                                                    \
    if (__nvvm_read_ptx_sreg_tid_x() == 0 && (isInside))                                           \
      name##Block(arguments, counts, x, y, z);                                                     \
  }

ENTRY(embed, x < counts[0], (void *a, void *b, const int64_t *counts), a, b)
ENTRY(append, x < counts[0], (void *a, void *b, void *c, void *d, void *e, const int64_t *counts),
      a, b, c, d, e)
ENTRY(attend, x < counts[0],
      (void *a, void *b, void *c, void *d, void *e, void *f, const int64_t *counts), a, b, c, d, e,
      f)
ENTRY(project, y < counts[1], (void *a, void *b, void *c, const int64_t *counts), a, b, c)
ENTRY(visit, 1, (void *a, void *b, const int64_t *counts), a, b)
ENTRY(reverse, 1, (void *a, void *b, const int64_t *counts), a, b)
ENTRY(lookUp, 1, (void *a, const int64_t *counts), a)
