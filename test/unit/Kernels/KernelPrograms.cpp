//===- KernelPrograms.cpp - Regions that the kernels of lib/Kernels are tested with -----------------===//

#include "KernelPrograms.h"
#include "ingot/Support/NumericFormat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include <algorithm>
#include <cmath>

using namespace ingot;
using namespace ingot::test;

//===----------------------------------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------------------------------===//

// Shapes that hurt: one token, odd counts, one below and above a tile and a block of 64 tokens;
// rows that end in a group of 8 and groups that end in a block; widths with a tail; contexts that
// end inside a page, at its end and in the next one; windows that begin inside a page; columns of
// which 16 bits for all tokens of a block are too much memory.
// clang-format off
static const KernelCase table[] = {
    {.family = "Embedding", .format = "each", .rows = 19, .columns = 256, .tokens = {3}},
    {.family = "Embedding", .format = "q8_0", .rows = 8, .columns = 32, .tokens = {1}},
    {.family = "SelectRows", .rows = 13, .columns = 40, .tokens = {1}},
    {.family = "SelectRows", .rows = 13, .columns = 96, .tokens = {5, 2}, .past = {0, 0}},
    {.family = "RmsNorm", .columns = 1, .tokens = {1}},
    {.family = "RmsNorm", .columns = 77, .tokens = {3}},
    {.family = "RmsNorm", .format = "f16", .columns = 64, .tokens = {2}},
    {.family = "RmsNorm", .format = "bf16", .columns = 65, .tokens = {2}},
    {.family = "RmsNormQuantize", .columns = 32, .tokens = {1}},
    {.family = "RmsNormQuantize", .format = "bf16", .columns = 96, .tokens = {5}},
    {.family = "LayerNorm", .columns = 1, .tokens = {1}},
    {.family = "LayerNorm", .variant = "bias", .columns = 77, .tokens = {3}},
    {.family = "LayerNormQuantize", .columns = 32, .tokens = {3}},
    {.family = "LayerNormQuantize", .format = "f16", .variant = "bias", .columns = 96, .tokens = {2}},
    {.family = "Quantize", .columns = 32, .tokens = {1}},
    {.family = "Quantize", .columns = 160, .tokens = {4}},
    {.family = "GatherChannels", .columns = 1, .tokens = {1}},
    {.family = "GatherChannels", .columns = 77, .tokens = {3}},
    {.family = "GatherChannels", .columns = 128, .tokens = {2}},
    {.family = "Linear", .activations = "all", .format = "each", .rows = 44, .columns = 256, .tokens = {5}},
    {.family = "Linear", .activations = "all", .format = "q4_1", .rows = 1, .columns = 32, .tokens = {1}},
    {.family = "Linear", .activations = "all", .format = "q4_1", .variant = "residual", .rows = 41, .columns = 96, .tokens = {67}},
    {.family = "Linear", .activations = "all", .format = "q8_0", .variant = "residual", .rows = 64, .columns = 64, .tokens = {3}},
    {.family = "Linear", .activations = "both", .format = "q4_0", .rows = 32, .columns = 64, .tokens = {64}},
    {.family = "Linear", .activations = "all", .format = "q8_0", .rows = 9, .columns = 4096, .tokens = {37}},
    {.family = "Linear", .format = "f16", .rows = 9, .columns = 8, .tokens = {2}},
    {.family = "Linear", .activations = "both", .format = "q4_1", .variant = "bias", .rows = 3, .columns = 32, .tokens = {5}},
    {.family = "Linear", .activations = "all", .format = "q8_0", .variant = "bias residual", .rows = 45, .columns = 64, .tokens = {6}},
    {.family = "LinearActivation", .activations = "all", .format = "q6_k", .variant = "gelu bias", .rows = 20, .columns = 256, .tokens = {5}},
    {.family = "LinearActivation", .format = "f16", .variant = "relu", .rows = 8, .columns = 8, .tokens = {1}},
    {.family = "LinearActivation", .format = "q4_1", .variant = "gelu_tanh", .rows = 33, .columns = 32, .tokens = {4}},
    {.family = "Linear", .activations = "all", .format = "q4_1", .rows = 33, .columns = 576, .tokens = {9}},
    {.family = "Linear", .activations = "all", .format = "each", .rows = 44, .columns = 256, .tokens = {1}},
    {.family = "Linear", .activations = "all", .format = "each", .rows = 20, .columns = 256, .tokens = {9}},
    {.family = "Linear", .format = "bf16", .rows = 16, .columns = 72, .tokens = {1}},
    {.family = "Linear", .format = "f16", .variant = "residual", .rows = 48, .columns = 1160, .tokens = {70}},
    {.family = "LinearGatedActivation", .activations = "all", .format = "each", .rows = 40, .columns = 256, .tokens = {5}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "q4_1", .rows = 12, .columns = 32, .tokens = {1}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "q8_0", .rows = 24, .columns = 64, .tokens = {11}},
    {.family = "LinearGatedActivation", .activations = "all", .format = "q4_1", .rows = 64, .columns = 64, .tokens = {65}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "q4_1", .variant = "gelu bias", .rows = 19, .columns = 32, .tokens = {6}},
    {.family = "LinearGatedActivation", .format = "bf16", .variant = "normed", .rows = 40, .columns = 576, .tokens = {3}},
    {.family = "LinearGatedActivation", .format = "f16", .variant = "normed bias", .rows = 16, .columns = 72, .tokens = {2}},
    {.family = "LinearGatedActivation", .format = "f16", .variant = "normed", .rows = 16, .columns = 72, .tokens = {9}},
    {.family = "LinearGatedActivation", .format = "q4_1", .variant = "normed", .rows = 20, .columns = 4096, .tokens = {1}},
    {.family = "LinearGatedActivation", .format = "q4_1", .variant = "normed", .rows = 20, .columns = 4096, .tokens = {7}},
    {.family = "LinearGatedActivation", .format = "q8_0", .variant = "normed", .rows = 32, .columns = 64, .tokens = {19}},
    {.family = "LinearRopeAppendCache", .activations = "all", .format = "each", .columns = 256, .heads = 2, .cacheHeads = 1, .dim = 16, .tokens = {2}, .past = {3}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .columns = 64, .heads = 4, .cacheHeads = 2, .dim = 8, .cache = "f16", .tokens = {1, 4, 17}, .past = {31, 14, 0}},
    {.family = "LinearRopeAppendCache", .activations = "all", .format = "q4_1", .variant = "half bias", .columns = 32, .heads = 3, .cacheHeads = 1, .dim = 64, .tokens = {67}},
    {.family = "LinearRopeAppendCache", .format = "q8_0", .variant = "half mixed", .columns = 32, .heads = 2, .cacheHeads = 2, .dim = 80, .tokens = {5, 1}, .past = {14, 3}},
    {.family = "LinearRopeAppendCache", .activations = "all", .format = "q6_k", .variant = "mixed bias", .columns = 256, .heads = 2, .cacheHeads = 1, .dim = 24, .tokens = {6}, .past = {12}},
    {.family = "LinearRopeAppendCache", .format = "f16", .variant = "half bias", .columns = 16, .heads = 1, .cacheHeads = 1, .dim = 40, .tokens = {3}},
    {.family = "LinearRopeAppendCache", .format = "q4_1", .variant = "half partial", .columns = 32, .heads = 2, .cacheHeads = 1, .dim = 24, .tokens = {4}, .past = {30}},
    {.family = "LinearRopeAppendCache", .format = "q4_1", .variant = "partial", .columns = 32, .heads = 2, .cacheHeads = 1, .dim = 16, .tokens = {5}, .past = {7}},
    {.family = "LinearRopeAppendCache", .activations = "all", .format = "q4_1", .variant = "half norm bias", .columns = 64, .heads = 4, .cacheHeads = 2, .dim = 32, .tokens = {3, 4}, .past = {15, 0}},
    {.family = "LinearRopeAppendCache", .format = "f32", .variant = "norm", .columns = 8, .heads = 1, .cacheHeads = 1, .dim = 256, .tokens = {34}},
    {.family = "LinearRopeAppendCache", .format = "q4_1", .variant = "unrotated bias", .columns = 32, .heads = 2, .cacheHeads = 2, .dim = 8, .tokens = {9}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .columns = 96, .heads = 3, .cacheHeads = 1, .dim = 32, .cache = "f16", .tokens = {1, 4, 17}, .past = {31, 14, 0}},
    {.family = "LinearRopeAppendCache", .format = "bf16", .columns = 64, .heads = 2, .cacheHeads = 2, .dim = 64, .page = 32, .tokens = {3, 9}, .past = {31, 20}},
    {.family = "LinearRopeAppendCache", .format = "f16", .variant = "half", .columns = 64, .heads = 2, .cacheHeads = 1, .dim = 64, .page = 32, .cache = "f16", .tokens = {3, 9}, .past = {31, 20}},
    {.family = "LinearRopeAppendCache", .format = "bf16", .variant = "half", .columns = 72, .heads = 3, .cacheHeads = 1, .dim = 32, .tokens = {17}},
    {.family = "LinearRopeAppendCache", .format = "bf16", .variant = "normed half", .columns = 320, .heads = 3, .cacheHeads = 1, .dim = 32, .tokens = {1, 1}, .past = {31, 5}},
    {.family = "LinearRopeAppendCache", .format = "q4_1", .variant = "normed", .columns = 96, .heads = 2, .cacheHeads = 1, .dim = 32, .cache = "f16", .tokens = {5, 7}, .past = {31, 14}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .variant = "half bias", .columns = 32, .heads = 3, .cacheHeads = 1, .dim = 64, .cache = "i8", .tokens = {67, 1}, .past = {0, 15}},
    {.family = "LinearRopeAppendCache", .format = "q8_0", .variant = "mixed norm", .columns = 32, .heads = 2, .cacheHeads = 2, .dim = 24, .cache = "i8", .tokens = {5, 1}, .past = {14, 3}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .columns = 64, .heads = 4, .cacheHeads = 2, .dim = 64, .cache = "i4", .tokens = {3, 17}, .past = {31, 0}},
    {.family = "LinearRopeAppendCache", .format = "f16", .variant = "half partial", .columns = 16, .heads = 1, .cacheHeads = 1, .dim = 48, .page = 8, .cache = "i4", .tokens = {9}, .past = {3}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .variant = "half", .columns = 64, .heads = 4, .cacheHeads = 2, .dim = 48, .cache = "i8 i4", .tokens = {3, 17}, .past = {31, 0}},
    {.family = "PagedAttention", .heads = 1, .cacheHeads = 1, .dim = 8, .page = 8, .tokens = {1}, .past = {0}},
    {.family = "PagedAttention", .heads = 4, .cacheHeads = 2, .dim = 16, .tokens = {3, 1, 20}, .past = {14, 47, 0}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 24, .cache = "f16", .tokens = {1, 2}, .past = {15, 16}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 2, .dim = 64, .cache = "f16", .tokens = {2}, .past = {60}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 64, .page = 32, .cache = "f16", .tokens = {1, 3}, .past = {31, 60}},
    {.family = "PagedAttention", .heads = 34, .cacheHeads = 2, .dim = 32, .tokens = {2, 1}, .past = {0, 40}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 128, .page = 32, .cache = "f16", .window = 21, .tokens = {18, 2}, .past = {20, 61}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 16, .window = 1, .tokens = {4}, .past = {30}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 16, .window = 21, .tokens = {18, 2}, .past = {20, 61}},
    {.family = "PagedAttention", .heads = 6, .cacheHeads = 2, .dim = 32, .tokens = {1, 1, 1}, .past = {79, 63, 4}},
    {.family = "PagedAttention", .heads = 34, .cacheHeads = 2, .dim = 32, .cache = "f16", .tokens = {1, 1}, .past = {77, 64}},
    {.family = "PagedAttention", .heads = 8, .cacheHeads = 1, .dim = 128, .cache = "f16", .tokens = {1}, .past = {78}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 64, .cache = "f16", .window = 5, .tokens = {1, 1}, .past = {79, 66}},
    {.family = "PagedAttention", .variant = "cap", .heads = 3, .cacheHeads = 1, .dim = 64, .cache = "f16", .tokens = {1, 4}, .past = {75, 60}},
    {.family = "PagedAttention", .variant = "cap", .heads = 2, .cacheHeads = 2, .dim = 32, .tokens = {1}, .past = {79}},
    {.family = "PagedAttention", .variant = "cap", .heads = 2, .cacheHeads = 1, .dim = 16, .tokens = {3, 18}, .past = {20, 0}},
    {.family = "PagedAttention", .variant = "bidirectional", .heads = 4, .cacheHeads = 2, .dim = 16, .tokens = {3, 1, 20}, .past = {0, 0, 0}},
    {.family = "PagedAttention", .variant = "bidirectional", .heads = 2, .cacheHeads = 1, .dim = 8, .cache = "f16", .tokens = {2, 62, 5}, .past = {9, 0, 70}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 64, .cache = "i8", .tokens = {1, 3, 20}, .past = {31, 60, 0}},
    {.family = "PagedAttention", .heads = 4, .cacheHeads = 2, .dim = 24, .page = 8, .cache = "i8", .tokens = {2, 1}, .past = {0, 47}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 64, .cache = "i4", .tokens = {1, 3, 20}, .past = {31, 60, 0}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 128, .page = 32, .cache = "i4", .window = 21, .tokens = {18, 2}, .past = {20, 61}},
    {.family = "PagedAttention", .variant = "cap", .heads = 2, .cacheHeads = 1, .dim = 48, .cache = "i4", .tokens = {3, 18}, .past = {20, 0}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 64, .page = 32, .cache = "i8 i4", .tokens = {1, 3, 20}, .past = {31, 60, 0}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 2, .dim = 48, .cache = "i8 i4", .tokens = {1}, .past = {63}},
    {.family = "Elementwise", .variant = "add", .columns = 1, .tokens = {1}},
    {.family = "Elementwise", .variant = "add", .columns = 45, .tokens = {3}},
    {.family = "Elementwise", .variant = "cap", .columns = 2091, .tokens = {2}},
    {.family = "Elementwise", .variant = "silu", .columns = 33, .tokens = {2}},
    {.family = "Elementwise", .variant = "gelu", .columns = 64, .tokens = {3}},
    {.family = "Rope", .heads = 1, .dim = 16, .tokens = {1}},
    {.family = "Rope", .variant = "half", .heads = 3, .dim = 32, .tokens = {5}},
    {.family = "Rope", .variant = "half partial", .heads = 2, .dim = 20, .tokens = {3}},
    {.family = "Rope", .variant = "partial", .heads = 2, .dim = 12, .tokens = {3}},
    {.family = "AppendCache", .cacheHeads = 1, .dim = 8, .page = 8, .tokens = {1}},
    {.family = "AppendCache", .cacheHeads = 2, .dim = 32, .cache = "f16", .tokens = {3, 19}, .past = {14, 0}},
    {.family = "AppendCache", .cacheHeads = 3, .dim = 24, .cache = "f16", .tokens = {3, 19}, .past = {14, 0}},
    {.family = "AppendCache", .cacheHeads = 1, .dim = 8, .page = 8, .cache = "i8", .tokens = {1}},
    {.family = "AppendCache", .cacheHeads = 2, .dim = 64, .cache = "i8", .tokens = {3, 19}, .past = {14, 0}},
    {.family = "AppendCache", .cacheHeads = 3, .dim = 48, .cache = "i4", .tokens = {3, 19}, .past = {14, 0}},
    {.family = "AppendCache", .cacheHeads = 1, .dim = 128, .page = 32, .cache = "i4", .tokens = {3}, .past = {14}},
    {.family = "AppendCache", .cacheHeads = 3, .dim = 48, .cache = "i8 i4", .tokens = {3, 19}, .past = {14, 0}},
};
// clang-format on

int64_t KernelCase::countTokens() const {
  int64_t count = 0;
  for (int64_t number : tokens)
    count += number;
  return count;
}

std::string KernelCase::describe() const {
  std::string text = (family + ": format " + format + ", activations " + activations).str();
  llvm::raw_string_ostream os(text);
  if (!variant.empty())
    os << ", " << variant;
  os << ", rows " << rows << ", columns " << columns << ", heads " << heads << " over "
     << cacheHeads << ", dim " << dim << ", cache " << cache << " in pages of " << page
     << ", window " << window << ", tokens {";
  llvm::interleaveComma(tokens, os);
  os << "} after {";
  llvm::interleaveComma(past, os);
  os << '}';
  return text;
}

std::vector<KernelCase> test::getKernelCases() {
  std::vector<KernelCase> cases;
  for (const KernelCase &line : table)
    for (const NumericFormat &format : NumericFormat::all()) {
      if (line.format != "each" && line.format != format.name)
        continue;
      for (llvm::StringRef activations : {"f32", "int8", "int16"}) {
        bool isOne = line.activations != "both" && line.activations != "all";
        if (isOne ? line.activations != activations
                  : activations == "int16" && line.activations == "both")
          continue;
        if (activations != "f32" && !format.hasIntegerCodes())
          continue; // no such product: integers want integers
        KernelCase kernel = line;
        kernel.format = format.name;
        kernel.activations = activations;
        cases.push_back(std::move(kernel));
      }
    }
  return cases;
}

//===----------------------------------------------------------------------------------------------===//
// Texts. A hole is a name after a dollar.
//===----------------------------------------------------------------------------------------------===//

static const char *const commonTypes = R"(
  !w = !transformer.weight<[$rows, $columns], $format>
  !g = !transformer.weight<[$columns], $format>
  !f = !transformer.weight<[$columns], f32>
  !x = tensor<?x$columnsxf32>
  !q = tensor<?x$columnsx$integer>
  !s = tensor<?x$blocksxf32>
  !y = tensor<?x$rowsxf32>
  !b = !transformer.weight<[$rows], f32>
  !heads = tensor<?x$headsx$dimxf32>
  !kv = tensor<?x$cacheHeadsx$dimxf32>
  !cache = !transformer.kv_cache<layers = 2, heads = $cacheHeads, dim = $dim, format = $cache, page = $page$values>
)";

static const char *const embedding = R"(
  transformer.weight @w : !w source "w"
  func.func @f(%ids: tensor<?xi32>) -> !x {
    %t = transformer.get_weight @w : !w
    %y = transformer.compute "Embedding" (%i = %ids : tensor<?xi32>, %w = %t : !w) -> (!x) {
      %x = transformer.embedding %i, %w : tensor<?xi32>, !w -> !x
      transformer.yield %x : !x
    }
    return %y : !x
  })";

// What is behind select_rows is counted in outputs, products too.
static const char *const selectRows = R"(
  transformer.weight @w : !transformer.weight<[$rows, $columns], q8_0> source "w"
  func.func @f(%x: !x, %rows: tensor<?xi32>) -> !x {
    %y = transformer.compute "SelectRows" (%i = %x : !x, %j = %rows : tensor<?xi32>) -> (!x) {
      %z = transformer.select_rows %i, %j : !x, tensor<?xi32> -> !x
      transformer.yield %z : !x
    }
    %z = transformer.compute "Elementwise" (%i = %y : !x) -> (!x) {
      %s = arith.addf %i, %i : !x
      transformer.yield %s : !x
    }
    return %z : !x
  })";

// $kind is rms or layer, $biased and $biasType are empty without a bias.
static const char *const norm = R"(
  transformer.weight @g : !g source "g"
  transformer.weight @b : !g source "b"
  func.func @f(%x: !x) -> !x {
    %t = transformer.get_weight @g : !g
    %u = transformer.get_weight @b : !g
    %y = transformer.compute "$family" (%i = %x : !x, %w = %t : !g, %b = %u : !g) -> (!x) {
      %n = transformer.norm $kind %i, %w $biased {epsilon = 1.0e-5 : f32} : !x, !g $normBiasType
      transformer.yield %n : !x
    }
    return %y : !x
  })";

static const char *const normQuantize = R"(
  transformer.weight @g : !g source "g"
  transformer.weight @b : !g source "b"
  func.func @f(%x: !x) -> (!q, !s) {
    %t = transformer.get_weight @g : !g
    %u = transformer.get_weight @b : !g
    %y, %z = transformer.compute "$family" (%i = %x : !x, %w = %t : !g, %b = %u : !g) -> (!q, !s) {
      %n = transformer.norm $kind %i, %w $biased {epsilon = 1.0e-5 : f32} : !x, !g $normBiasType
      %q, %s = transformer.quantize %n : !x -> !q, !s
      transformer.yield %q, %s : !q, !s
    }
    return %y, %z : !q, !s
  })";

static const char *const quantize = R"(
  func.func @f(%x: !x) -> (!q, !s) {
    %y, %z = transformer.compute "Quantize" (%i = %x : !x) -> (!q, !s) {
      %q, %s = transformer.quantize %i : !x -> !q, !s
      transformer.yield %q, %s : !q, !s
    }
    return %y, %z : !q, !s
  })";

static const char *const gatherChannels = R"(
  transformer.weight @order : !g source "order"
  func.func @f(%x: !x) -> !x {
    %t = transformer.get_weight @order : !g
    %y = transformer.compute "GatherChannels" (%i = %x : !x, %w = %t : !g) -> (!x) {
      %n = transformer.gather_channels %i, %w : !x, !g
      transformer.yield %n : !x
    }
    return %y : !x
  })";

// $inputs, $bound and $product are those of the activations; %b is a bias, which $product may leave
// out.
static const char *const linear = R"(
  transformer.weight @w : !w source "w"
  transformer.weight @b : !b source "b"
  func.func @f($inputs) -> !y {
    %t = transformer.get_weight @w : !w
    %v = transformer.get_weight @b : !b
    %y = transformer.compute "Linear" ($bound, %w = %t : !w, %b = %v : !b) -> (!y) {
      %r = transformer.linear $product
      transformer.yield %r : !y
    }
    return %y : !y
  })";

static const char *const linearResidual = R"(
  transformer.weight @w : !w source "w"
  transformer.weight @b : !b source "b"
  func.func @f($inputs, %residual: !y) -> !y {
    %t = transformer.get_weight @w : !w
    %v = transformer.get_weight @b : !b
    %y = transformer.compute "Linear" ($bound, %w = %t : !w, %b = %v : !b, %e = %residual : !y) -> (!y) {
      %r = transformer.linear $product
      %o = arith.addf %e, %r : !y
      transformer.yield %o : !y
    }
    return %y : !y
  })";

static const char *const linearActivation = R"(
  transformer.weight @w : !w source "w"
  transformer.weight @b : !b source "b"
  func.func @f($inputs) -> !y {
    %t = transformer.get_weight @w : !w
    %v = transformer.get_weight @b : !b
    %y = transformer.compute "LinearActivation" ($bound, %w = %t : !w, %b = %v : !b) -> (!y) {
      %r = transformer.linear $product
      %s = transformer.activation $activation %r : !y
      transformer.yield %s : !y
    }
    return %y : !y
  })";

static const char *const gated = R"(
  transformer.weight @w : !w source "w"
  transformer.weight @u : !w source "u"
  transformer.weight @b : !b source "b"
  transformer.weight @n : !f source "n"
  func.func @f($inputs) -> !y {
    %t = transformer.get_weight @w : !w
    %v = transformer.get_weight @u : !w
    %d = transformer.get_weight @b : !b
    %k = transformer.get_weight @n : !f
    %y = transformer.compute "LinearGatedActivation" ($bound, %w = %t : !w, %u = %v : !w, %b = %d : !b, %f = %k : !f) -> (!y) {
      $inputNorm
      %p = transformer.linear $product
      %r = transformer.linear $secondProduct
      %s = transformer.activation $activation %p : !y
      %m = arith.mulf %s, %r : !y
      transformer.yield %m : !y
    }
    return %y : !y
  })";

// $query, $key and $value are what is rotated or appended: "%q1" after the split into heads, "%q2"
// after a norm, "%q3" after the rotation.
static const char *const linearRopeAppendCache = R"(
  !wq = !transformer.weight<[$queryRows, $columns], $format>
  !wk = !transformer.weight<[$keyRows, $columns], $secondFormat>
  !wv = !transformer.weight<[$keyRows, $columns], $format>
  !bq = !transformer.weight<[$queryRows], f32>
  !bk = !transformer.weight<[$keyRows], f32>
  !gh = !transformer.weight<[$dim], f32>
  !yq = tensor<?x$queryRowsxf32>
  !yk = tensor<?x$keyRowsxf32>
  transformer.weight @q : !wq source "q"
  transformer.weight @k : !wk source "k"
  transformer.weight @v : !wv source "v"
  transformer.weight @bq : !bq source "bq"
  transformer.weight @bk : !bk source "bk"
  transformer.weight @gh : !gh source "gh"
  transformer.weight @n : !f source "n"
  func.func @f($inputs, %batch: !transformer.ragged, %cache: !cache) -> (!heads, !cache) {
    %tq = transformer.get_weight @q : !wq
    %tk = transformer.get_weight @k : !wk
    %tv = transformer.get_weight @v : !wv
    %tbq = transformer.get_weight @bq : !bq
    %tbk = transformer.get_weight @bk : !bk
    %tg = transformer.get_weight @gh : !gh
    %tf = transformer.get_weight @n : !f
    %layer = arith.constant 1 : index
    %c0 = arith.constant 0 : index
    %tokens = tensor.dim %x, %c0 : $inputType
    %positions = transformer.positions %batch : tensor<?xi32>
    %y:2 = transformer.compute "LinearRopeAppendCache" ($bound, %wq = %tq : !wq, %wk = %tk : !wk, %wv = %tv : !wv, %bq = %tbq : !bq, %bk = %tbk : !bk, %g = %tg : !gh, %f = %tf : !f, %n = %tokens : index, %p = %positions : tensor<?xi32>, %b = %batch : !transformer.ragged, %c = %cache : !cache, %l = %layer : index) -> (!heads, !cache) {
      $inputNorm
      %q0 = transformer.linear $from%wq $queryBias : $fromType, !wq $queryBiasType -> !yq
      %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%n, $heads, $dim] : !yq into !heads
      %q2 = transformer.norm rms %q1, %g {epsilon = 1.0e-5 : f32} : !heads, !gh
      %q3 = transformer.rope $layout $rotatedQuery, %p {base = 1.0e2 : f64$dims} : !heads, tensor<?xi32>
      %k0 = transformer.linear $from%wk : $fromType, !wk -> !yk
      %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%n, $cacheHeads, $dim] : !yk into !kv
      %k2 = transformer.norm rms %k1, %g {epsilon = 1.0e-5 : f32} : !kv, !gh
      %k3 = transformer.rope $layout $rotatedKey, %p {base = 1.0e2 : f64$dims} : !kv, tensor<?xi32>
      %v0 = transformer.linear $from%wv $valueBias : $fromType, !wv $valueBiasType -> !yk
      %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%n, $cacheHeads, $dim] : !yk into !kv
      %d = transformer.append_cache %c[%l], $appendedKey, %v1, %b : !cache, !kv
      transformer.yield $resultQuery, %d : !heads, !cache
    }
    return %y#0, %y#1 : !heads, !cache
  })";

static const char *const pagedAttention = R"(
  func.func @f(%q: !heads, %batch: !transformer.ragged, %cache: !cache) -> !heads {
    %layer = arith.constant 1 : index
    %y = transformer.compute "PagedAttention" (%i = %q : !heads, %b = %batch : !transformer.ragged, %c = %cache : !cache, %l = %layer : index) -> (!heads) {
      %a = transformer.cached_attention %i, %c[%l], %b {scale = 0.25 : f32$cap$window$both} : !heads, !cache
      transformer.yield %a : !heads
    }
    return %y : !heads
  })";

static const char *const elementwise = R"(
  func.func @f(%a: !x, %b: !x) -> !x {
    %c0 = arith.constant 0 : index
    %rows = tensor.dim %a, %c0 : !x
    %y = transformer.compute "Elementwise" (%i = %a : !x, %j = %b : !x, %n = %rows : index) -> (!x) {
      $ops
      transformer.yield %s : !x
    }
    return %y : !x
  })";

static const char *getElementwiseOps(llvm::StringRef variant) {
  return llvm::StringSwitch<const char *>(variant)
      .Case("add", "%s = arith.addf %i, %j : !x")
      .Case("cap", R"(%f = arith.constant 2.0 : f32
      %t = tensor.splat %f[%n] : !x
      %d = arith.divf %i, %t : !x
      %h = math.tanh %d : !x
      %m = arith.mulf %h, %t : !x
      %s = arith.addf %m, %j : !x)")
      .Case("silu", R"(%d = transformer.activation silu %i : !x
      %s = arith.mulf %d, %j : !x)")
      .Case("gelu", R"(%d = transformer.activation gelu %i : !x
      %s = arith.mulf %j, %d : !x)")
      .Default("");
}

static const char *const rope = R"(
  func.func @f(%q: !heads, %positions: tensor<?xi32>) -> !heads {
    %y = transformer.compute "Rope" (%i = %q : !heads, %p = %positions : tensor<?xi32>) -> (!heads) {
      %r = transformer.rope $layout %i, %p {base = 1.0e2 : f64$dims} : !heads, tensor<?xi32>
      transformer.yield %r : !heads
    }
    return %y : !heads
  })";

static const char *const appendCache = R"(
  func.func @f(%k: !kv, %v: !kv, %batch: !transformer.ragged, %cache: !cache) -> !cache {
    %layer = arith.constant 1 : index
    %y = transformer.compute "AppendCache" (%i = %k : !kv, %j = %v : !kv, %b = %batch : !transformer.ragged, %c = %cache : !cache, %l = %layer : index) -> (!cache) {
      %d = transformer.append_cache %c[%l], %i, %j, %b : !cache, !kv
      transformer.yield %d : !cache
    }
    return %y : !cache
  })";

static const char *getText(const KernelCase &kernel) {
  return llvm::StringSwitch<const char *>(kernel.family)
      .Case("Embedding", embedding)
      .Case("SelectRows", selectRows)
      .Cases({"RmsNorm", "LayerNorm"}, norm)
      .Cases({"RmsNormQuantize", "LayerNormQuantize"}, normQuantize)
      .Case("Quantize", quantize)
      .Case("GatherChannels", gatherChannels)
      .Case("Linear", kernel.variant.contains("residual") ? linearResidual : linear)
      .Case("LinearActivation", linearActivation)
      .Case("LinearGatedActivation", gated)
      .Case("LinearRopeAppendCache", linearRopeAppendCache)
      .Case("PagedAttention", pagedAttention)
      .Case("Elementwise", elementwise)
      .Case("Rope", rope)
      .Case("AppendCache", appendCache)
      .Default(nullptr);
}

//===----------------------------------------------------------------------------------------------===//
// Filling in
//===----------------------------------------------------------------------------------------------===//

std::string test::getProgram(const KernelCase &kernel) {
  const char *text = getText(kernel);
  if (!text)
    return "";
  bool isInteger = kernel.activations != "f32";
  auto has = [&](llvm::StringRef word) {
    return llvm::is_contained(llvm::split(kernel.variant, ' '), word);
  };
  bool hasBias = has("bias"), hasNorm = has("norm"), isRotated = !has("unrotated");
  bool isNormed = has("normed"); // the input of products
  std::string from = isInteger ? "%i scales %c0s, " : isNormed ? "%in, " : "%i, ";
  std::string fromType = isInteger ? "!q scales !s" : "!x";
  auto ifBias = [&](const char *text) { return std::string(hasBias ? text : ""); };
  std::string types = " : " + fromType + ", !w " + ifBias("bias !b") + " -> !y";
  int64_t queryRows = kernel.heads * kernel.dim, keyRows = kernel.cacheHeads * kernel.dim;
  llvm::StringRef activation = "silu";
  for (llvm::StringRef kind : {"gelu", "gelu_tanh", "relu"})
    if (has(kind))
      activation = kind;
  auto number = [](int64_t value) { return std::to_string(value); };
  // Absent sizes stay valid in types that the text does not use.
  auto size = [](int64_t value) { return std::to_string(std::max<int64_t>(value, 1)); };
  // Of queries or keys: after the split into heads, a norm, a rotation.
  auto step = [&](const char *letter, int index) {
    return std::string("%") + letter + number(index);
  };
  int rotated = hasNorm ? 2 : 1, last = isRotated ? 3 : rotated;
  // Longer names first where one is the beginning of another.
  std::pair<llvm::StringRef, std::string> holes[] = {
      {"inputs", isInteger ? "%x: !q, %scales: !s" : "%x: !x"},
      {"inputType", isInteger ? "!q" : "!x"},
      {"bound", isInteger ? "%i = %x : !q, %c0s = %scales : !s" : "%i = %x : !x"},
      {"product", from + "%w " + ifBias("bias %b") + types},
      {"secondProduct", from + "%u " + ifBias("bias %b") + types},
      {"from", from},
      {"inputNorm",
       isNormed ? "%in = transformer.norm rms %i, %f {epsilon = 1.0e-5 : f32} : !x, !f" : ""},
      {"fromType", fromType},
      {"integer", kernel.activations == "int16" ? "i16" : "i8"},
      {"family", kernel.family.str()},
      {"kind", kernel.family.starts_with("Rms") ? "rms" : "layer"},
      {"biased", ifBias("bias %b")},
      {"normBiasType", ifBias("bias !g")},
      {"queryBias", ifBias("bias %bq")},
      {"queryBiasType", ifBias("bias !bq")},
      {"valueBias", ifBias("bias %bk")},
      {"valueBiasType", ifBias("bias !bk")},
      {"rotatedQuery", step("q", rotated)},
      {"rotatedKey", step("k", rotated)},
      {"resultQuery", step("q", last)},
      {"appendedKey", step("k", last)},
      {"activation", activation.str()},
      {"ops", getElementwiseOps(kernel.variant)},
      {"queryRows", size(queryRows)},
      {"keyRows", size(keyRows)},
      {"rows", size(kernel.rows)},
      {"columns", size(kernel.columns)},
      {"blocks", size(kernel.columns / 32)},
      {"format", kernel.format.str()},
      {"secondFormat",
       has("mixed") ? (kernel.columns % 256 ? "q5_1" : "q4_k") : kernel.format.str()},
      {"heads", size(kernel.heads)},
      {"cacheHeads", size(kernel.cacheHeads)},
      {"dim", size(kernel.dim)},
      {"dims", has("partial") ? ", dims = " + number(kernel.dim / 2) + " : i64" : std::string()},
      {"cap", has("cap") ? ", soft_cap = 2.0 : f32" : ""},
      {"both", has("bidirectional") ? ", bidirectional" : ""},
      {"cache", kernel.cache.split(' ').first.str()},
      {"values", kernel.cache.contains(' ') ? ", values = " + kernel.cache.split(' ').second.str()
                                            : std::string()},
      {"page", number(kernel.page)},
      {"layout", has("half") ? "half" : "interleaved"},
      {"window", kernel.window ? ", window = " + number(kernel.window) + " : i64" : std::string()},
  };
  llvm::sort(holes, [](const auto &a, const auto &b) { return a.first.size() > b.first.size(); });
  std::string program = std::string(commonTypes) + text;
  for (const auto &[name, value] : holes) {
    std::string hole = "$" + name.str();
    for (size_t at; (at = program.find(hole)) != std::string::npos;)
      program.replace(at, hole.size(), value);
  }
  return program;
}

Tolerance test::getTolerance(const KernelCase &kernel, double largest, double inputNorm,
                             double weightNorm) {
  // Of a product: a rounding for each column, and a few of scales and minimums for each block.
  double length = kernel.columns + kernel.columns / 8 + 8, product = inputNorm * weightNorm;
  // 2^x and its argument: 2 units and the size of the argument.
  constexpr double exponential = 16;
  return llvm::StringSwitch<Tolerance>(kernel.family)
      .Cases({"SelectRows", "Quantize", "GatherChannels", "AppendCache"}, {0, 0}) // exact
      .Case("Embedding", {1, weightNorm})
      .Case("Elementwise", {exponential, 1 + largest * largest})
      .Case("Rope", {3, 2 * largest})
      // A number is at most the root of the columns times the mean square's root.
      .Cases({"RmsNorm", "RmsNormQuantize", "LayerNorm", "LayerNormQuantize"},
             {length, std::sqrt(double(kernel.columns)) * weightNorm})
      .Case("Linear", {length, product + largest})
      .Case("LinearActivation", {length + exponential, product})
      // A norm over a head divides by its mean square's root, which is not small, and multiplies.
      .Case("LinearRopeAppendCache", {length + kernel.dim + 3, 2 * product})
      .Case("LinearGatedActivation", {2 * length + exponential, product * product})
      // Scores of `dim` terms, in the exponent; then a weighted mean of values.
      .Case("PagedAttention",
            {(2 * kernel.dim + exponential + contextTokens) * std::max(1.0, inputNorm), largest})
      .Default({0, 0});
}

double test::getGpuTolerance(const KernelCase &kernel, double largest, double inputNorm,
                             double weightNorm) {
  double exact = getTolerance(kernel, largest, inputNorm, weightNorm).get();
  // Of each product: the activation, the weight, scale and minimum, and their sum are rounded.
  double unit = kernel.format == "bf16" ? 0x1p-9 : 0x1p-11;
  double product = 8 * unit * inputNorm * weightNorm;
  // Scores, of rounded queries and keys, stand in the exponent; then weights and values are
  // rounded.
  constexpr double half = 0x1p-11, scale = 0.25;
  double attention = (4 * half * inputNorm * inputNorm * scale + 4 * half) * largest;
  return exact + llvm::StringSwitch<double>(kernel.family)
                     .Cases({"Linear", "LinearActivation"}, product)
                     .Case("LinearRopeAppendCache", 2 * product)
                     .Case("LinearGatedActivation", 2 * product * (1 + inputNorm * weightNorm))
                     .Case("PagedAttention", attention)
                     .Default(0);
}
