//===- TestKernels.c - A model of toy kernels, as a compiler would ship them ------------------===//
//
// Compiled by the build into a shared object that needs nothing. The constants are those of
// ToyModel.h. All values are small integers in float32, so that the expected logits are exact.
//
//===------------------------------------------------------------------------------------------===//

#include <stdint.h>

#define PAGE_TOKENS 4
#define PAGES_PER_SEQUENCE 8
#define VOCABULARY 11
#define MODULUS 97

typedef void *const *Arguments;
#ifndef KERNEL
#define KERNEL(name)                                                                               \
  void name(Arguments arguments, const int64_t *counts, int64_t x, int64_t y, int64_t z)
#endif

static float *slot(float *cache, const int32_t *pageTable, int32_t row, int64_t position) {
  int32_t page = pageTable[row * PAGES_PER_SEQUENCE + position / PAGE_TOKENS];
  return cache + page * PAGE_TOKENS + position % PAGE_TOKENS;
}

/// tokenIds, state
KERNEL(embed) { ((float *)arguments[1])[x] = (float)(((const int32_t *)arguments[0])[x] + 1); }

/// state, cache, positions, sequenceOf, pageTable
KERNEL(append) {
  const int32_t *positions = arguments[2], *rows = arguments[3];
  *slot(arguments[1], arguments[4], rows[x], positions[x]) = ((const float *)arguments[0])[x];
}

/// weight, cache, positions, sequenceOf, pageTable, state: state = weight * sum of the cache up to
/// here, modulo
KERNEL(attend) {
  const int32_t *positions = arguments[2], *rows = arguments[3];
  float sum = 0;
  for (int64_t i = 0; i <= positions[x]; ++i)
    sum += *slot(arguments[1], arguments[4], rows[x], i);
  int32_t value = (int32_t)(sum * *(const float *)arguments[0]) % MODULUS;
  ((float *)arguments[5])[x] = (float)value;
}

/// state, outputRows, logits; x is the column, y the row
KERNEL(project) {
  int32_t row = ((const int32_t *)arguments[1])[y];
  ((float *)arguments[2])[y * VOCABULARY + x] = ((const float *)arguments[0])[row] * (float)(x + 1);
}

/// table of int64_t[x, y, z] counters, extents: what the grid visits
KERNEL(visit) {
  const int64_t *extents = arguments[1];
  ((int64_t *)arguments[0])[(z * extents[1] + y) * extents[0] + x] += 1 + counts[0];
}

/// from, to: to[x] = from[other end of x] + 1, so that a launch depends on all blocks of the one
/// before
KERNEL(reverse) {
  const int64_t *from = arguments[0];
  ((int64_t *)arguments[1])[x] = from[counts[0] - 1 - x] + 1;
}

/// Reached through a relocation: a table of constants, as a compiler would make for a decode.
static const int64_t constants[3] = {2, 3, 5};
static const int64_t *const constantTable[] = {&constants[2], &constants[1], &constants[0]};
KERNEL(lookUp) { ((int64_t *)arguments[0])[x] = *constantTable[x % 3]; }
