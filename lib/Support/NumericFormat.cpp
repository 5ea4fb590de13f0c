//===- NumericFormat.cpp - The table of numeric formats ---------------------------------------===//
//
// One line a format. The block layouts are those of GGUF, whose decoding test/unit/Import compares
// with the PyPI package `gguf`; below them, the formats that weights of Hugging Face folders are
// brought into as they are read.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Support/NumericFormat.h"
#include "llvm/ADT/STLExtras.h"

using namespace ingot;

static constexpr int8_t nonlinear4[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                        1,    13,   25,  38,  53,  69,  89,  113};
/// f4E2M1, doubled.
static constexpr int8_t float4[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// clang-format off
static constexpr NumericFormat table[] = {
    //          bits signed offset  block     group scales             minimum  at: scale, minimum, group scales    planes            run zero-point, codebook, f8
    {"f32",      32, false,  0,     1,   4,   1, ScaleKind::None,   false,    0, 0,   0, {},                           0},
    {"f16",      16, false,  0,     1,   2,   1, ScaleKind::None,   false,    0, 0,   0, {},                           0},
    {"bf16",     16, false,  0,     1,   2,   1, ScaleKind::None,   false,    0, 0,   0, {},                           0},
    {"q4_0",      4, false,  8,    32,  18,  32, ScaleKind::F16,    false,    0, 0,   0, {{4, 16, 2}, {}},             8},
    {"q4_1",      4, false,  0,    32,  20,  32, ScaleKind::F16,    true,     0, 2,   0, {{4, 16, 4}, {}},             8},
    {"q5_0",      5, false, 16,    32,  22,  32, ScaleKind::F16,    false,    0, 0,   0, {{4, 16, 6}, {1, 1, 2}},      4},
    {"q5_1",      5, false,  0,    32,  24,  32, ScaleKind::F16,    true,     0, 2,   0, {{4, 16, 8}, {1, 1, 4}},      4},
    {"q8_0",      8, true,   0,    32,  34,  32, ScaleKind::F16,    false,    0, 0,   0, {{8, 32, 2}, {}},             1},
    {"q2_k",      2, false,  0,   256,  84,  16, ScaleKind::F16xU4, true,    80, 82,  0, {{2, 32, 16}, {}},           43},
    {"q3_k",      3, false,  4,   256, 110,  16, ScaleKind::F16xS6, false,  108, 0,  96, {{2, 32, 32}, {1, 32, 0}},   18},
    {"q4_k",      4, false,  0,   256, 144,  32, ScaleKind::F16xU6, true,     0, 2,   4, {{4, 32, 16}, {}},            8},
    {"q5_k",      5, false,  0,   256, 176,  32, ScaleKind::F16xU6, true,     0, 2,   4, {{4, 32, 48}, {1, 32, 16}},   4},
    {"q6_k",      6, false, 32,   256, 210,  16, ScaleKind::F16xS8, false,  208, 0, 192, {{4, 64, 0}, {2, 32, 128}},   2},
    {"iq4_nl",    4, true,   0,    32,  18,  32, ScaleKind::F16,    false,    0, 0,   0, {{4, 16, 2}, {}},             1, false, nonlinear4},
    {"iq4_xs",    4, true,   0,   256, 136,  32, ScaleKind::F16xI6, false,    0, 0,   2, {{4, 16, 8}, {}},             1, false, nonlinear4},
    {"mxfp4",     4, true,   0,    32,  17,  32, ScaleKind::E8M0,   false,    0, 0,   0, {{4, 16, 1}, {}},            10, false, float4},
    {"i4_f32",    4, false,  8,    32,  20,  32, ScaleKind::F32,    false,    0, 0,   0, {{4, 16, 4}, {}},             8},
    {"i4z_f16",   4, false,  0,    32,  19,  32, ScaleKind::F16,    true,     0, 2,   0, {{4, 16, 3}, {}},             8, true},
    {"i4z_f32",   4, false,  0,    32,  21,  32, ScaleKind::F32,    true,     0, 4,   0, {{4, 16, 5}, {}},             8, true},
    {"i8_f32",    8, true,   0,    32,  36,  32, ScaleKind::F32,    false,    0, 0,   0, {{8, 32, 4}, {}},             1},
    {"i8z_f32",   8, true,   0,    32,  37,  32, ScaleKind::F32,    true,     0, 4,   0, {{8, 32, 5}, {}},             1, true},
    {"f8e4m3_f32",8, true,   0,    32,  36,  32, ScaleKind::F32,    false,    0, 0,   0, {{8, 32, 4}, {}},             0, false, nullptr, true},
};
// clang-format on

llvm::ArrayRef<NumericFormat> NumericFormat::all() { return table; }

const NumericFormat *NumericFormat::lookup(llvm::StringRef name) {
  const NumericFormat *found =
      llvm::find_if(table, [&](const NumericFormat &format) { return format.name == name; });
  return found == std::end(table) ? nullptr : found;
}

std::optional<uint64_t> NumericFormat::bytesForRow(int64_t columns) const {
  if (columns < 0 || columns % blockElements != 0)
    return std::nullopt;
  uint64_t bytes;
  if (__builtin_mul_overflow(uint64_t(columns) / blockElements, uint64_t(blockBytes), &bytes))
    return std::nullopt;
  return bytes;
}
