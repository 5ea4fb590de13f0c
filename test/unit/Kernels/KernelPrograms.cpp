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

// Shapes that hurt: one token, odd counts, one below and above a tile and a block of 64 tokens; rows
// that end in a group of 8 and groups that end in a block; widths with a tail; contexts that end
// inside a page, at its end and in the next one; windows that begin inside a page.
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
    {.family = "Quantize", .columns = 32, .tokens = {1}},
    {.family = "Quantize", .columns = 160, .tokens = {4}},
    {.family = "Linear", .activations = "both", .format = "each", .rows = 44, .columns = 256, .tokens = {5}},
    {.family = "Linear", .activations = "both", .format = "q4_1", .rows = 1, .columns = 32, .tokens = {1}},
    {.family = "Linear", .activations = "both", .format = "q4_1", .variant = "residual", .rows = 41, .columns = 96, .tokens = {67}},
    {.family = "Linear", .activations = "both", .format = "q8_0", .variant = "residual", .rows = 64, .columns = 64, .tokens = {3}},
    {.family = "Linear", .activations = "both", .format = "q4_0", .rows = 32, .columns = 64, .tokens = {64}},
    {.family = "Linear", .format = "f16", .rows = 9, .columns = 8, .tokens = {2}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "each", .rows = 40, .columns = 256, .tokens = {5}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "q4_1", .rows = 12, .columns = 32, .tokens = {1}},
    {.family = "LinearGatedActivation", .activations = "both", .format = "q4_1", .rows = 64, .columns = 64, .tokens = {65}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "each", .columns = 256, .heads = 2, .cacheHeads = 1, .dim = 16, .tokens = {2}, .past = {3}},
    {.family = "LinearRopeAppendCache", .activations = "both", .format = "q4_1", .columns = 64, .heads = 4, .cacheHeads = 2, .dim = 8, .cache = "f16", .tokens = {1, 4, 17}, .past = {31, 14, 0}},
    {.family = "PagedAttention", .heads = 1, .cacheHeads = 1, .dim = 8, .page = 8, .tokens = {1}, .past = {0}},
    {.family = "PagedAttention", .heads = 4, .cacheHeads = 2, .dim = 16, .tokens = {3, 1, 20}, .past = {14, 47, 0}},
    {.family = "PagedAttention", .heads = 3, .cacheHeads = 1, .dim = 24, .cache = "f16", .tokens = {1, 2}, .past = {15, 16}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 2, .dim = 64, .cache = "f16", .tokens = {2}, .past = {60}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 16, .window = 1, .tokens = {4}, .past = {30}},
    {.family = "PagedAttention", .heads = 2, .cacheHeads = 1, .dim = 16, .window = 21, .tokens = {18, 2}, .past = {20, 61}},
    {.family = "Add", .columns = 1, .tokens = {1}},
    {.family = "Add", .columns = 45, .tokens = {3}},
    {.family = "Rope", .heads = 1, .dim = 16, .tokens = {1}},
    {.family = "Rope", .variant = "half", .heads = 3, .dim = 32, .tokens = {5}},
    {.family = "ActivationMultiply", .columns = 33, .tokens = {2}},
    {.family = "ActivationMultiply", .variant = "alone", .columns = 64, .tokens = {3}},
    {.family = "AppendCache", .cacheHeads = 1, .dim = 8, .page = 8, .tokens = {1}},
    {.family = "AppendCache", .cacheHeads = 3, .dim = 24, .cache = "f16", .tokens = {3, 19}, .past = {14, 0}},
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
      for (llvm::StringRef activations : {"f32", "int8"}) {
        if (line.activations != "both" && line.activations != activations)
          continue;
        if (activations == "int8" && format.isFloat())
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

static const char *const types = R"(
  !w = !transformer.weight<[$rows, $columns], $format>
  !g = !transformer.weight<[$columns], $format>
  !x = tensor<?x$columnsxf32>
  !q = tensor<?x$columnsxi8>
  !s = tensor<?x$blocksxf32>
  !y = tensor<?x$rowsxf32>
  !heads = tensor<?x$headsx$dimxf32>
  !kv = tensor<?x$cacheHeadsx$dimxf32>
  !cache = !transformer.kv_cache<layers = 2, heads = $cacheHeads, dim = $dim, format = $cache, page = $page>
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
    %z = transformer.compute "Add" (%i = %y : !x) -> (!x) {
      %s = arith.addf %i, %i : !x
      transformer.yield %s : !x
    }
    return %z : !x
  })";

static const char *const rmsNorm = R"(
  transformer.weight @g : !g source "g"
  func.func @f(%x: !x) -> !x {
    %t = transformer.get_weight @g : !g
    %y = transformer.compute "RmsNorm" (%i = %x : !x, %w = %t : !g) -> (!x) {
      %n = transformer.norm rms %i, %w {epsilon = 1.0e-5 : f32} : !x, !g
      transformer.yield %n : !x
    }
    return %y : !x
  })";

static const char *const rmsNormQuantize = R"(
  transformer.weight @g : !g source "g"
  func.func @f(%x: !x) -> (!q, !s) {
    %t = transformer.get_weight @g : !g
    %y, %z = transformer.compute "RmsNormQuantize" (%i = %x : !x, %w = %t : !g) -> (!q, !s) {
      %n = transformer.norm rms %i, %w {epsilon = 1.0e-5 : f32} : !x, !g
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

// $inputs, $bound and $product are those of the activations.
static const char *const linear = R"(
  transformer.weight @w : !w source "w"
  func.func @f($inputs) -> !y {
    %t = transformer.get_weight @w : !w
    %y = transformer.compute "Linear" ($bound, %w = %t : !w) -> (!y) {
      %r = transformer.linear $product
      transformer.yield %r : !y
    }
    return %y : !y
  })";

static const char *const linearResidual = R"(
  transformer.weight @w : !w source "w"
  func.func @f($inputs, %residual: !y) -> !y {
    %t = transformer.get_weight @w : !w
    %y = transformer.compute "Linear" ($bound, %w = %t : !w, %e = %residual : !y) -> (!y) {
      %r = transformer.linear $product
      %o = arith.addf %e, %r : !y
      transformer.yield %o : !y
    }
    return %y : !y
  })";

static const char *const gated = R"(
  transformer.weight @w : !w source "w"
  transformer.weight @u : !w source "u"
  func.func @f($inputs) -> !y {
    %t = transformer.get_weight @w : !w
    %v = transformer.get_weight @u : !w
    %y = transformer.compute "LinearGatedActivation" ($bound, %w = %t : !w, %u = %v : !w) -> (!y) {
      %p = transformer.linear $product
      %r = transformer.linear $secondProduct
      %s = transformer.activation silu %p : !y
      %m = arith.mulf %s, %r : !y
      transformer.yield %m : !y
    }
    return %y : !y
  })";

static const char *const linearRopeAppendCache = R"(
  transformer.weight @w : !w source "w"
  func.func @f($inputs, %batch: !transformer.ragged, %cache: !cache) -> (!heads, !cache) {
    %t = transformer.get_weight @w : !w
    %layer = arith.constant 1 : index
    %y:2 = transformer.compute "LinearRopeAppendCache" ($bound, %w = %t : !w, %b = %batch : !transformer.ragged, %c = %cache : !cache, %l = %layer : index) -> (!heads, !cache) {
      %r = transformer.linear $product
      %c0 = arith.constant 0 : index
      %n = tensor.dim %r, %c0 : !y
      %q0 = tensor.extract_slice %r[0, 0] [%n, $queryRows] [1, 1] : !y to tensor<?x$queryRowsxf32>
      %k0 = tensor.extract_slice %r[0, $queryRows] [%n, $keyRows] [1, 1] : !y to tensor<?x$keyRowsxf32>
      %v0 = tensor.extract_slice %r[0, $valueStart] [%n, $keyRows] [1, 1] : !y to tensor<?x$keyRowsxf32>
      %q1 = tensor.expand_shape %q0 [[0], [1, 2]] output_shape [%n, $heads, $dim] : tensor<?x$queryRowsxf32> into !heads
      %k1 = tensor.expand_shape %k0 [[0], [1, 2]] output_shape [%n, $cacheHeads, $dim] : tensor<?x$keyRowsxf32> into !kv
      %v1 = tensor.expand_shape %v0 [[0], [1, 2]] output_shape [%n, $cacheHeads, $dim] : tensor<?x$keyRowsxf32> into !kv
      %p = transformer.positions %b : tensor<?xi32>
      %q2 = transformer.rope interleaved %q1, %p {base = 1.0e4 : f64} : !heads, tensor<?xi32>
      %k2 = transformer.rope interleaved %k1, %p {base = 1.0e4 : f64} : !kv, tensor<?xi32>
      %d = transformer.append_cache %c[%l], %k2, %v1, %b : !cache, !kv
      transformer.yield %q2, %d : !heads, !cache
    }
    return %y#0, %y#1 : !heads, !cache
  })";

static const char *const pagedAttention = R"(
  func.func @f(%q: !heads, %batch: !transformer.ragged, %cache: !cache) -> !heads {
    %layer = arith.constant 1 : index
    %y = transformer.compute "PagedAttention" (%i = %q : !heads, %b = %batch : !transformer.ragged, %c = %cache : !cache, %l = %layer : index) -> (!heads) {
      %a = transformer.cached_attention %i, %c[%l], %b {scale = 0.25 : f32$window} : !heads, !cache
      transformer.yield %a : !heads
    }
    return %y : !heads
  })";

static const char *const add = R"(
  func.func @f(%a: !x, %b: !x) -> !x {
    %y = transformer.compute "Add" (%i = %a : !x, %j = %b : !x) -> (!x) {
      %s = arith.addf %i, %j : !x
      transformer.yield %s : !x
    }
    return %y : !x
  })";

static const char *const rope = R"(
  func.func @f(%q: !heads, %positions: tensor<?xi32>) -> !heads {
    %y = transformer.compute "Rope" (%i = %q : !heads, %p = %positions : tensor<?xi32>) -> (!heads) {
      %r = transformer.rope $layout %i, %p {base = 1.0e4 : f64} : !heads, tensor<?xi32>
      transformer.yield %r : !heads
    }
    return %y : !heads
  })";

static const char *const activationMultiply = R"(
  func.func @f(%a: !x, %b: !x) -> !x {
    %y = transformer.compute "ActivationMultiply" (%i = %a : !x, %j = %b : !x) -> (!x) {
      %s = transformer.activation silu %i : !x
      %m = arith.mulf %s, %j : !x
      transformer.yield %m : !x
    }
    return %y : !x
  })";

static const char *const activationAlone = R"(
  func.func @f(%a: !x) -> !x {
    %y = transformer.compute "ActivationMultiply" (%i = %a : !x) -> (!x) {
      %s = transformer.activation silu %i : !x
      transformer.yield %s : !x
    }
    return %y : !x
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
  bool isPlain = kernel.variant.empty();
  return llvm::StringSwitch<const char *>(kernel.family)
      .Case("Embedding", embedding)
      .Case("SelectRows", selectRows)
      .Case("RmsNorm", rmsNorm)
      .Case("RmsNormQuantize", rmsNormQuantize)
      .Case("Quantize", quantize)
      .Case("Linear", isPlain ? linear : linearResidual)
      .Case("LinearGatedActivation", gated)
      .Case("LinearRopeAppendCache", linearRopeAppendCache)
      .Case("PagedAttention", pagedAttention)
      .Case("Add", add)
      .Case("Rope", rope)
      .Case("ActivationMultiply", isPlain ? activationMultiply : activationAlone)
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
  bool isInteger = kernel.activations == "int8";
  std::string from = isInteger ? "%i scales %c0s, " : "%i, ";
  std::string productTypes = isInteger ? " : !q scales !s, !w -> !y" : " : !x, !w -> !y";
  int64_t queryRows = kernel.heads * kernel.dim, keyRows = kernel.cacheHeads * kernel.dim;
  int64_t rows = kernel.rows ? kernel.rows : queryRows + 2 * keyRows;
  auto number = [](int64_t value) { return std::to_string(value); };
  // Absent sizes stay valid in types that the text does not use.
  auto size = [](int64_t value) { return std::to_string(std::max<int64_t>(value, 1)); };
  // Longer names first where one is the beginning of another.
  std::pair<llvm::StringRef, std::string> holes[] = {
      {"inputs", isInteger ? "%x: !q, %scales: !s" : "%x: !x"},
      {"bound", isInteger ? "%i = %x : !q, %c0s = %scales : !s" : "%i = %x : !x"},
      {"product", from + "%w" + productTypes},
      {"secondProduct", from + "%u" + productTypes},
      {"queryRows", number(queryRows)},
      {"keyRows", number(keyRows)},
      {"valueStart", number(queryRows + keyRows)},
      {"rows", size(rows)},
      {"columns", size(kernel.columns)},
      {"blocks", size(kernel.columns / 32)},
      {"format", kernel.format.str()},
      {"heads", size(kernel.heads)},
      {"cacheHeads", size(kernel.cacheHeads)},
      {"dim", size(kernel.dim)},
      {"cache", kernel.cache.str()},
      {"page", number(kernel.page)},
      {"layout", kernel.variant == "half" ? "half" : "interleaved"},
      {"window",
       kernel.window ? ", window = " + number(kernel.window) + " : i64" : std::string()},
  };
  llvm::sort(holes, [](const auto &a, const auto &b) {
    return a.first.size() > b.first.size();
  });
  std::string program = std::string(types) + text;
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
      .Cases({"SelectRows", "Quantize", "AppendCache"}, {0, 0}) // exact
      .Case("Embedding", {1, weightNorm})
      .Case("Add", {1, 2 * largest})
      .Case("Rope", {3, 2 * largest})
      .Case("ActivationMultiply", {exponential, largest * largest})
      // A number is at most the root of the columns times the mean square's root.
      .Cases({"RmsNorm", "RmsNormQuantize"},
             {length, std::sqrt(double(kernel.columns)) * weightNorm})
      .Case("Linear", {length, product + largest})
      .Case("LinearRopeAppendCache", {length + 3, 2 * product})
      .Case("LinearGatedActivation", {2 * length + exponential, product * product})
      // Scores of `dim` terms, in the exponent; then a weighted mean of values.
      .Case("PagedAttention",
            {(2 * kernel.dim + exponential + contextTokens) * std::max(1.0, inputNorm), largest})
      .Default({0, 0});
}
