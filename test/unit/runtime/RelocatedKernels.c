//===- RelocatedKernels.c - Kernel code with addresses in data --------------------------------===//
//
// So that loading has something to relocate: addresses of a function, of a constant, of data that
// is read-only once it is relocated (relro) and of data that stays writable. Built by
// CMakeLists.txt.
//
//===------------------------------------------------------------------------------------------===//

#include <stdint.h>

void describe(void *const *arguments, const int64_t *counts, int64_t x, int64_t y, int64_t z);

typedef void (*Kernel)(void *const *, const int64_t *, int64_t, int64_t, int64_t);
static Kernel const volatile kernels[] = {describe};
static const char *const volatile texts[] = {"constant"};
int writable = 7; /* global: reached through the GOT */

void describe(void *const *arguments, const int64_t *counts, int64_t x, int64_t y, int64_t z) {
  const void **table = arguments[0];
  table[0] = (const void *)kernels[0];
  table[1] = texts[0];
  table[2] = (const void *)kernels;
  table[3] = &writable;
}
