//===- Product.cpp - The inner loop that all products with weights share ----------------------------===//
//
// See Product.h for what is computed and in which order.
//
//===----------------------------------------------------------------------------------------------===//

#include "Product.h"
#include "ingot/Support/Packing.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Columns of activations that share a scale.
static constexpr int64_t quantizedBlock = 32;

LogicalResult kernels::canMultiply(transformer::LinearOp linear, std::string &reason) {
  auto type = linear.getInput().getType();
  if (cast<RankedTensorType>(type).getRank() != 2)
    return reason = "only rank 2 is packed", failure();
  if (linear.getBias() && !plainElementType(linear.getBias().getType()))
    return reason = "the bias is not a float format", failure();
  if (failed(canDecode(linear.getWeight().getType(), reason)))
    return failure();
  if (!linear.getScales())
    return success();
  if (!NumericFormat::lookup(linear.getWeight().getType().getFormat())->hasIntegerCodes())
    return reason = "integer activations need a weight of integers", failure();
  int64_t blocks = cast<RankedTensorType>(linear.getScales().getType()).getDimSize(1);
  if (blocks * quantizedBlock != linear.getWeight().getType().getColumns())
    return reason = "only blocks of 32 activations share a scale", failure();
  return success();
}

SmallVector<Type> kernels::productViews(transformer::LinearOp linear, tile::Count rows) {
  auto type = cast<RankedTensorType>(linear.getInput().getType());
  SmallVector<Type> views{transposedView(type.getElementType(), type.getDimSize(1), rows)};
  if (Value scales = linear.getScales())
    views.push_back(transposedView(Float32Type::get(type.getContext()),
                                   cast<RankedTensorType>(scales.getType()).getDimSize(1), rows));
  return views;
}

Cost kernels::productCost(transformer::LinearOp linear) {
  auto weight = linear.getWeight().getType();
  const NumericFormat &format = *NumericFormat::lookup(weight.getFormat());
  auto layout = llvm::cantFail(
      PackedLayout::get(format, weight.getRows(), weight.getColumns(), interleavedRows));
  auto input = cast<RankedTensorType>(linear.getInput().getType());
  uint64_t inputBytes = weight.getColumns() * input.getElementTypeBitWidth() / 8;
  if (linear.getScales())
    inputBytes += weight.getColumns() / quantizedBlock * 4;
  return {layout.bytes, inputBytes + 4 * weight.getRows(),
          2 * uint64_t(weight.getRows()) * weight.getColumns()};
}

//===----------------------------------------------------------------------------------------------===//
// What is done once
//===----------------------------------------------------------------------------------------------===//

namespace {

/// The memory of a block with what is the same for many tiles.
struct Panel {
  Value codes;            ///< [columns / 4, 8, 4] i8 as they are multiplied; floats: [columns, 8]
  Value scales, minimums; ///< [groups, 8] f32; null where there are none
};

/// One group of columns of a row group, ready to be multiplied.
struct Group {
  Value codes; ///< floats: the values
  Value scales, minimums;
};

/// Row groups that go through the columns together.
struct WeightTile {
  Value weight, row;
  std::optional<Panel> panel = {};
};

/// What is made of the activations, in the memory of the block, from a token on.
struct OfActivations {
  Value view, firstToken;
};

/// What stays the same for all tiles of a product.
struct Product {
  const ProductInput &input;
  const NumericFormat &format;
  int64_t group; ///< columns that are decoded together
  /// The sums of each group of columns: [groups, tokens], f32.
  OfActivations sums = {};
  /// Activations as they are multiplied in 16 bits: [groups, group / 4, 2, 2, tokens] i16, of four
  /// columns the even ones, then the odd ones. A product of signed bytes fills 16 bits, so that
  /// those of each two columns are widened one by one; with several tokens it is cheaper to widen
  /// the codes once for all of them. What comes as 16 bits has no other way.
  OfActivations wide = {};

  Product(const ProductInput &input, Value weight)
      : input(input), format(*NumericFormat::lookup(
                          cast<tile::ViewType>(weight.getType()).getPacking().getFormat())),
        group(decodedColumns(format)) {}
  bool isInteger() const { return bool(input.scales); }
  /// Whether activations are stored in 16 bits.
  bool comesWide() const {
    return cast<tile::ViewType>(input.values.getType()).getElementType().isInteger(16);
  }
  /// Whether several tokens are multiplied in 16 bits.
  bool goesWide() const { return isInteger() && (comesWide() || format.codesAreSigned); }
  bool hasMinimum() const { return !format.codesAreSigned || format.hasMinimum; }
  bool needsSums() const { return isInteger() && hasMinimum(); }
  /// Whether it takes more than an instruction or two to make a register of codes (which are of two
  /// pieces), a scale (a product) or a value (of a half or a code). Else a panel saves nothing.
  bool isCostlyToDecode() const {
    return !isInteger() || format.planes[1].bits != 0 || format.isTwoLevel();
  }
  int64_t groups() const { return input.columns / group; }
};

tile::ViewType sharedView(ArrayRef<int64_t> shape, Type element) {
  return tile::ViewType::get(element.getContext(), shape, element,
                             tile::ViewType::rowMajorStrides(shape), tile::PackedAttr(),
                             tile::Space::Shared);
}

Value allocate(TileBuilder &b, ArrayRef<int64_t> shape, Type element) {
  return tile::AllocOp::create(b.builder, b.loc, sharedView(shape, element));
}

/// The type of codes seen as [columns / 4, rows, 4].
RankedTensorType panelType(RankedTensorType codes) {
  SmallVector<int64_t> registers, lanes;
  for (int64_t column = 1; column < codes.getDimSize(1); column *= 2)
    registers.append({column / 4, 0, column % 4});
  for (int64_t row = 1; row < interleavedRows; row *= 2)
    lanes.append({0, row, 0});
  auto layout = tile::LayoutAttr::get(codes.getContext(), 3, registers, lanes);
  return RankedTensorType::get({codes.getDimSize(1) / 4, interleavedRows, 4},
                               codes.getElementType(), layout);
}

Value transpose(TileBuilder &b, Value tile, ArrayRef<int64_t> permutation) {
  return tile::TransposeOp::create(b.builder, b.loc, tile, permutation);
}

Value reshape(TileBuilder &b, Value tile, ArrayRef<int64_t> shape) {
  return tile::ReshapeOp::create(b.builder, b.loc, tile, shape);
}

Panel allocatePanel(TileBuilder &b, const Product &product) {
  int64_t columns = product.input.columns;
  if (!product.isInteger())
    return {allocate(b, {columns, interleavedRows}, b.f32()), {}, {}};
  Panel panel;
  panel.codes = allocate(b, {columns / 4, interleavedRows, 4}, b.i8());
  panel.scales = allocate(b, {product.groups(), interleavedRows}, b.f32());
  if (product.hasMinimum())
    panel.minimums = allocate(b, {product.groups(), interleavedRows}, b.f32());
  return panel;
}

/// Announces a group of columns of the row group that is so many rows further; 0: none.
void prefetch(TileBuilder &b, const WeightTile &tile, int64_t rowsAhead, Value column) {
  if (rowsAhead)
    tile::PrefetchOp::create(b.builder, b.loc, tile.weight, b.add(tile.row, rowsAhead), column);
}

/// One group of columns of a weight.
Group decode(TileBuilder &b, const Product &product, Value weight, Value row, Value column) {
  if (!product.isInteger())
    return {decodeValues(b, weight, row, column), {}, {}};
  DecodedGroup decoded = decodeGroup(b, weight, row, column);
  return {decoded.codes, decoded.scales, product.hasMinimum() ? decoded.minimums : Value()};
}

/// Decodes a row group into its panel, and announces the one that is so many rows further.
void fillPanel(TileBuilder &b, const Product &product, const WeightTile &tile, int64_t rowsAhead) {
  const Panel &panel = *tile.panel;
  Value zero = b.index(0);
  b.forLoop(zero, b.index(product.groups()), 1, [&](Value number) {
    Value column = b.mul(number, product.group);
    prefetch(b, tile, rowsAhead, column);
    Group group = decode(b, product, tile.weight, tile.row, column);
    if (!product.isInteger()) {
      b.store(transpose(b, group.codes, {1, 0}), panel.codes, {column, zero});
      return;
    }
    Value quads = reshape(b, group.codes, {interleavedRows, product.group / 4, 4});
    b.store(transpose(b, quads, {1, 0, 2}), panel.codes,
            {b.mul(number, product.group / 4), zero, zero});
    b.store(transpose(b, group.scales, {1, 0}), panel.scales, {number, zero});
    if (panel.minimums)
      b.store(transpose(b, group.minimums, {1, 0}), panel.minimums, {number, zero});
  });
}

/// One group of columns, from the panel where there is one.
Group readGroup(TileBuilder &b, const Product &product, const WeightTile &tile, Value number) {
  Value column = b.mul(number, product.group), zero = b.index(0);
  if (!tile.panel)
    return decode(b, product, tile.weight, tile.row, column);
  const Panel &panel = *tile.panel;
  auto loadFloats = [&](Value view, Value first, int64_t count) {
    auto type = tileType({count, interleavedRows}, b.f32(), 1);
    return transpose(b, b.load(view, {first, zero}, type), {1, 0});
  };
  if (!product.isInteger())
    return {loadFloats(panel.codes, column, product.group), {}, {}};
  auto packing = cast<tile::ViewType>(tile.weight.getType()).getPacking();
  RankedTensorType type = panelType(tile::DecodeOp::resultTypes(packing).front());
  Group group;
  Value quads = b.load(panel.codes, {b.mul(number, product.group / 4), zero, zero}, type);
  group.codes = reshape(b, transpose(b, quads, {1, 0, 2}), {interleavedRows, product.group});
  group.scales = loadFloats(panel.scales, number, 1);
  if (panel.minimums)
    group.minimums = loadFloats(panel.minimums, number, 1);
  return group;
}

/// dot(codes, x), exact.
Value multiplyIntegers(TileBuilder &b, Value codes, Value x, Value zero, int64_t run,
                       bool isSigned) {
  bool isWide = cast<RankedTensorType>(x.getType()).getElementType().isInteger(16);
  return tile::ContractOp::create(b.builder, b.loc, zero.getType(),
                                  isWide ? tile::Atom::Vpmaddwd : tile::Atom::Vpmaddubsw, codes, x,
                                  zero, isWide ? 1 : run, isSigned);
}

/// One group of columns of some tokens, [group, tokens] as stored. The four columns in a lane are
/// in their order, or, as they are multiplied in 16 bits, the even ones first.
Value loadGroup(TileBuilder &b, const Product &product, Value number, Value token, int64_t tokens,
                bool evenFirst) {
  int64_t group = product.group;
  SmallVector<int64_t> registers{1, 0, 2, 0}, lanes;
  if (evenFirst)
    registers = {2, 0, 1, 0};
  for (int64_t step = 1; step < tokens; step *= 2)
    registers.append({0, step});
  for (int64_t step = 4; step < 4 * interleavedRows; step *= 2)
    lanes.append({step < group ? step : 0, 0});
  auto layout = tile::LayoutAttr::get(b.builder.getContext(), 2, registers, lanes);
  Type element = cast<tile::ViewType>(product.input.values.getType()).getElementType();
  return b.load(product.input.values, {b.mul(number, group), token},
                RankedTensorType::get({group, tokens}, element, layout));
}

/// Sums of [4, 8] numbers, a row in a register, over their lanes: [4, 1]. Whenever half of the
/// lanes are added to the other half, rows take the place that becomes free: 4 additions, not 12.
Value sumLanes(TileBuilder &b, Value tile) {
  auto convert = [&](ArrayRef<int64_t> shape, ArrayRef<int64_t> registers,
                     ArrayRef<int64_t> lanes) {
    auto layout = tile::LayoutAttr::get(b.builder.getContext(), 3, registers, lanes);
    tile = b.convertLayout(reshape(b, tile, shape), RankedTensorType::get(shape, b.i32(), layout));
    tile = b.reduce(tile::ReduceKind::Add, tile, 1);
  };
  convert({4, 2, 4}, {0, 1, 0, 2, 0, 0}, {0, 0, 1, 0, 0, 2, 1, 0, 0});
  convert({4, 2, 2}, {0, 1, 0}, {0, 0, 1, 2, 0, 0, 1, 0, 0});
  return b.reduce(tile::ReduceKind::Add, reshape(b, tile, {4, 2}), 1);
}

/// The sums of one group of columns of some tokens, [1, tokens]: pairs of pairs meet in their lane,
/// then the lanes.
Value sumGroup(TileBuilder &b, const Product &product, Value number, Value token, int64_t tokens) {
  int64_t quads = product.group / 4, all = quads * tokens;
  Value x = loadGroup(b, product, number, token, tokens, product.comesWide());
  x = transpose(b, reshape(b, x, {quads, 4, tokens}), {1, 2, 0});
  Value ones = b.constant(tileType({1, 4}, b.i8(), -1), 1);
  SmallVector<int64_t> registers, lanes;
  for (int64_t step = quads; step < all; step *= 2)
    registers.append({0, step});
  for (int64_t step = 1; step < interleavedRows; step *= 2)
    lanes.append({0, step < quads ? step : 0});
  auto layout = tile::LayoutAttr::get(b.builder.getContext(), 2, registers, lanes);
  Value zero = b.constant(RankedTensorType::get({1, all}, b.i32(), layout), 0);
  Value inLanes = reshape(b, multiplyIntegers(b, ones, reshape(b, x, {4, all}), zero, 1, false),
                          {tokens, quads});
  Value sums = tokens == 4 && quads == interleavedRows
                   ? sumLanes(b, inLanes)
                   : b.reduce(tile::ReduceKind::Add, inLanes, 1);
  return b.toF32(transpose(b, sums, {1, 0}));
}

/// Widens a group of columns of one token and stores it for the products.
void widenGroup(TileBuilder &b, const Product &product, Value number, Value token) {
  int64_t group = product.group;
  Value x = loadGroup(b, product, number, token, 1, /*evenFirst=*/true), zero = b.index(0);
  if (!product.comesWide()) {
    auto type = cast<RankedTensorType>(x.getType()).clone(b.builder.getI16Type());
    x = arith::ExtSIOp::create(b.builder, b.loc, type, x);
  }
  b.store(reshape(b, x, {1, group / 4, 2, 2, 1}), product.wide.view,
          {number, zero, zero, zero, b.sub(token, product.wide.firstToken)});
}

/// Memory for the activations of so many tokens in 16 bits.
Value allocateWide(TileBuilder &b, const Product &product, int64_t tokens) {
  int64_t group = product.group;
  auto type = tile::ViewType::get(
      b.builder.getContext(), {product.groups(), group / 4, 2, 2, tokens}, b.builder.getI16Type(),
      {group, 2, 1, group / 2, product.input.columns}, tile::PackedAttr(), tile::Space::Shared);
  return tile::AllocOp::create(b.builder, b.loc, type);
}

/// One group of columns of some tokens as they are multiplied in 16 bits, [group, tokens].
Value loadWide(TileBuilder &b, const Product &product, Value number, Value token, int64_t tokens) {
  int64_t group = product.group;
  SmallVector<int64_t> registers{0, 0, 1, 0, 0, 0, 0, 0, 1, 0}, lanes(15, 0);
  for (int64_t quad = 1; quad < group / 4; quad *= 2)
    registers.append({0, quad, 0, 0, 0});
  for (int64_t step = 1; step < tokens; step *= 2)
    registers.append({0, 0, 0, 0, step});
  auto layout = tile::LayoutAttr::get(b.builder.getContext(), 5, registers, lanes);
  auto type = RankedTensorType::get({1, group / 4, 2, 2, tokens}, b.builder.getI16Type(), layout);
  Value zero = b.index(0);
  Value x = b.load(product.wide.view,
                   {number, zero, zero, zero, b.sub(token, product.wide.firstToken)}, type);
  return reshape(b, x, {group, tokens});
}

//===----------------------------------------------------------------------------------------------===//
// A tile of tokens
//===----------------------------------------------------------------------------------------------===//

/// Row groups and tokens that go through the columns together.
struct Step {
  ArrayRef<WeightTile> tiles;
  Value firstToken;
  int64_t tokens;
  /// The rows that come after these, to be read from memory while these are multiplied; 0: none.
  int64_t rowsAhead = 0;

  RankedTensorType sumsType(Type element) const {
    return tileType({interleavedRows, tokens}, element, 0);
  }
};

/// The sums of activations of a group, the same in all rows.
Value readSums(TileBuilder &b, const Product &product, const Step &step, Value number, Value x,
               Value zero) {
  if (const OfActivations &sums = product.sums; sums.view) {
    Value token = b.sub(step.firstToken, sums.firstToken);
    return b.broadcast(b.load(sums.view, {number, token}, tileType({1, step.tokens}, b.f32(), -1)),
                       step.sumsType(b.f32()));
  }
  Value ones = b.constant(tileType({interleavedRows, product.group}, b.i8(), 0), 1);
  constexpr int64_t runOfOnes = 16; // 32 columns are 16 pairs; 16 * 2 * 127 fits 16 bits
  return b.toF32(multiplyIntegers(b, ones, x, zero, runOfOnes, false));
}

/// For each tile s_w dot(codes, x) + m_w sum(x) of one group of columns, in float32, added to
/// `partials` where there are some. The products stand side by side, so that the emitter reads an
/// activation once for all of them.
void addIntegerGroups(TileBuilder &b, const Product &product, const Step &step, Value number,
                      MutableArrayRef<Value> partials) {
  auto type = step.sumsType(b.f32());
  Value zero = b.constant(step.sumsType(b.i32()), 0);
  Value x = product.wide.view
                ? loadWide(b, product, number, step.firstToken, step.tokens)
                : b.load(product.input.values, {b.mul(number, product.group), step.firstToken},
                         tileType({product.group, step.tokens}, b.i8(), -1));
  SmallVector<Group> groups;
  for (const WeightTile &tile : step.tiles) {
    prefetch(b, tile, step.rowsAhead, b.mul(number, product.group));
    groups.push_back(readGroup(b, product, tile, number));
  }
  Value sumOfX;
  if (product.needsSums())
    sumOfX = readSums(b, product, step, number, x, zero);
  SmallVector<Value> dots;
  for (const Group &group : groups)
    dots.push_back(multiplyIntegers(b, group.codes, x, zero, product.format.exactRun,
                                    product.format.codesAreSigned));
  for (auto [group, dot, partial] : llvm::zip(groups, dots, partials)) {
    Value y = b.toF32(dot), scales = b.broadcast(group.scales, type);
    partial = partial ? b.fma(scales, y, partial) : b.mulf(scales, y);
    if (group.minimums)
      partial = b.fma(b.broadcast(group.minimums, type), sumOfX, partial);
  }
}

SmallVector<Value> emitIntegerStep(TileBuilder &b, const Product &product, const Step &step) {
  auto type = step.sumsType(b.f32());
  SmallVector<Value> zeros(step.tiles.size(), b.constant(type, 0));
  int64_t groupsPerBlock = quantizedBlock / product.group;
  Value blocks = b.index(product.input.columns / quantizedBlock);
  return b.forLoop(b.index(0), blocks, 1, zeros, [&](Value block, auto carried) {
    SmallVector<Value> partials(step.tiles.size());
    for (int64_t i = 0; i < groupsPerBlock; ++i)
      addIntegerGroups(b, product, step, b.add(b.mul(block, groupsPerBlock), i), partials);
    Value scale = b.load(product.input.scales, {block, step.firstToken},
                         tileType({1, step.tokens}, b.f32(), -1));
    SmallVector<Value> next;
    for (auto [partial, acc] : llvm::zip(partials, carried))
      next.push_back(b.fma(b.broadcast(scale, type), partial, acc));
    return next;
  });
}

SmallVector<Value> emitFloatStep(TileBuilder &b, const Product &product, const Step &step) {
  SmallVector<Value> zeros(step.tiles.size(), b.constant(step.sumsType(b.f32()), 0));
  return b.forLoop(
      b.index(0), b.index(product.groups()), 1, zeros, [&](Value number, auto carried) {
        Value x = b.load(product.input.values, {b.mul(number, product.group), step.firstToken},
                         tileType({product.group, step.tokens}, b.f32(), -1));
        SmallVector<Value> next;
        for (const WeightTile &tile : step.tiles)
          prefetch(b, tile, step.rowsAhead, b.mul(number, product.group));
        for (auto [tile, acc] : llvm::zip(step.tiles, carried))
          next.push_back(tile::ContractOp::create(b.builder, b.loc, acc.getType(), tile::Atom::Fma,
                                                  readGroup(b, product, tile, number).codes, x,
                                                  acc));
        return next;
      });
}

SmallVector<Value> emitStep(TileBuilder &b, const Product &product, const Step &step) {
  return product.isInteger() ? emitIntegerStep(b, product, step) : emitFloatStep(b, product, step);
}

//===----------------------------------------------------------------------------------------------===//
// A range
//===----------------------------------------------------------------------------------------------===//

/// Calls `emit(firstToken, tokens)` for tiles that cover [begin, end): as many of `most` tokens as
/// fit, then single ones.
void forTokens(TileBuilder &b, Value begin, Value end, int64_t most,
               llvm::function_ref<void(Value firstToken, int64_t tokens)> emit) {
  Value full = b.add(begin, b.mul(b.div(b.sub(end, begin), most), most));
  b.forLoop(begin, full, most, [&](Value token) { emit(token, most); });
  b.forLoop(full, end, 1, [&](Value token) { emit(token, 1); });
}

/// Registers of integer sums of a tile. An activation read once for all of them leaves as many for
/// codes, products and what is read.
constexpr int64_t sumRegisters = 8;

/// Tokens whose activations are summed together.
constexpr int64_t sumTokens = 4;

/// Emits the tiles of a range: for one token, for a few, for many.
class RangeEmitter {
public:
  RangeEmitter(TileBuilder &b, const Product &product, ValueRange weights,
               const ProductRange &range, ProductEpilogue epilogue)
      : b(b), product(product), weights(weights), range(range), epilogue(epilogue) {}

  void emit() {
    if (product.goesWide()) {
      int64_t ofToken = 2 * product.input.columns;
      wideTokens = std::clamp<int64_t>(range.memoryBytes / 3 * 2 / ofToken, 1, range.mostTokens);
      if (int64_t tile = range.schedule.tileTokens; wideTokens > tile)
        wideTokens -= wideTokens % tile;
      if (product.comesWide() || wideTokens * ofToken <= range.memoryBytes)
        wideMemory = allocateWide(b, product, wideTokens);
    }
    Value count = b.sub(range.lastToken, range.firstToken);
    b.ifLess(count, b.index(2), [&] { emitSingle(); }, [&] { emitSeveral(); });
  }

private:
  using Body = llvm::function_ref<void(Value firstRow, int64_t groups)>;

  void forRows(Body body) {
    auto loop = [&](Value begin, Value end, int64_t groups) {
      b.forLoop(begin, end, groups,
                [&](Value group) { body(b.mul(group, interleavedRows), groups); });
    };
    if (together == 1 || (together == 2 && range.hasEvenGroups))
      return loop(range.firstGroup, range.lastGroup, together);
    Value count = b.sub(range.lastGroup, range.firstGroup);
    Value even = b.add(range.firstGroup, b.mul(b.div(count, together), together));
    loop(range.firstGroup, even, together);
    loop(even, range.lastGroup, 1);
  }

  /// Tiles of the row groups from a row on: those of the first weight, then those of the next.
  SmallVector<WeightTile> makeTiles(Value firstRow, int64_t groups) {
    SmallVector<WeightTile> tiles;
    for (Value weight : weights)
      for (int64_t group = 0; group < groups; ++group)
        tiles.push_back({weight, b.add(firstRow, group * interleavedRows)});
    return tiles;
  }

  void emitTile(ArrayRef<WeightTile> tiles, Value token, int64_t tokens, int64_t rowsAhead = 0) {
    SmallVector<Value> sums = emitStep(b, product, {tiles, token, tokens, rowsAhead});
    int64_t groups = tiles.size() / weights.size();
    for (int64_t group = 0; group < groups; ++group) {
      SmallVector<Value> ofWeights;
      for (size_t weight = 0; weight < weights.size(); ++weight)
        ofWeights.push_back(sums[weight * groups + group]);
      epilogue(tiles[group].row, token, ofWeights);
    }
  }

  void emitSingle() {
    together = range.schedule.singleGroups;
    b.forLoop(range.firstToken, range.lastToken, 1, [&](Value token) {
      if (product.comesWide())
        widen(token, b.add(token, 1));
      // Rows that are read in time: one row group of one token takes less than memory's answer.
      int64_t steps = product.isInteger() ? 2 : 1;
      forRows([&](Value row, int64_t groups) {
        emitTile(makeTiles(row, groups), token, 1, steps * groups * interleavedRows);
      });
    });
  }

  /// Fills the memory of 16-bit activations with those of some tokens.
  void widen(Value firstToken, Value lastToken) {
    product.wide = {wideMemory, firstToken};
    b.forLoop(firstToken, lastToken, 1, [&](Value token) {
      b.forLoop(b.index(0), b.index(product.groups()), 1,
                [&](Value number) { widenGroup(b, product, number, token); });
    });
  }

  void emitSeveral() {
    most = range.schedule.countTileTokens(weights.size());
    together = std::max<int64_t>(sumRegisters / (weights.size() * most), 1);
    if (!wideMemory)
      return emitPart({range.firstToken, range.lastToken, range.mostTokens, range.memoryBytes});
    int64_t left = range.memoryBytes - 2 * product.input.columns * wideTokens;
    auto emitWide = [&](Value first, Value last) {
      widen(first, last);
      emitPart({first, last, wideTokens, left});
    };
    if (wideTokens == range.mostTokens)
      return emitWide(range.firstToken, range.lastToken);
    b.forLoop(range.firstToken, range.lastToken, wideTokens, [&](Value first) {
      Value last = b.add(first, wideTokens);
      emitWide(first, arith::MinUIOp::create(b.builder, b.loc, last, range.lastToken));
    });
  }

  /// Tokens whose activations are prepared together, and the memory that is left for that.
  struct Part {
    Value firstToken, lastToken;
    int64_t mostTokens, memoryBytes;
  };

  void emitPart(const Part &part) {
    int64_t sumBytes = product.needsSums() ? 4 * product.groups() * part.mostTokens : 0;
    if (product.needsSums() && sumBytes < part.memoryBytes)
      emitSums(part);
    if (!product.isCostlyToDecode())
      return emitDirect(part);
    int64_t panelBytes = together * weights.size() * interleavedRows * product.input.columns *
                         (product.isInteger() ? 2 : 4); // with scales
    if (sumBytes + panelBytes > part.memoryBytes)
      return emitDirect(part);
    Value count = b.sub(part.lastToken, part.firstToken);
    b.ifLess(
        count, b.index(range.schedule.panelTokens), [&] { emitDirect(part); },
        [&] { emitWithPanels(part); });
  }

  /// Sums of the activations of all tokens of a part, once for all rows.
  void emitSums(const Part &part) {
    product.sums = {allocate(b, {product.groups(), part.mostTokens}, b.f32()), part.firstToken};
    auto emit = [&](Value token, int64_t tokens) {
      b.forLoop(b.index(0), b.index(product.groups()), 1, [&](Value number) {
        b.store(sumGroup(b, product, number, token, tokens), product.sums.view,
                {number, b.sub(token, part.firstToken)});
      });
    };
    forTokens(b, part.firstToken, part.lastToken, sumTokens, emit);
  }

  void emitDirect(const Part &part) {
    forRows([&](Value row, int64_t groups) {
      // While tokens are multiplied, the next rows come from memory.
      forTokens(b, part.firstToken, part.lastToken, most, [&](Value token, int64_t tokens) {
        emitTile(makeTiles(row, groups), token, tokens, groups * interleavedRows);
      });
    });
  }

  void emitWithPanels(const Part &part) {
    SmallVector<Panel> panels;
    for (size_t i = 0; i < together * weights.size(); ++i)
      panels.push_back(allocatePanel(b, product));
    forRows([&](Value row, int64_t groups) {
      SmallVector<WeightTile> tiles = makeTiles(row, groups);
      for (auto [tile, panel] : llvm::zip(tiles, panels)) {
        tile.panel = panel;
        fillPanel(b, product, tile, groups * interleavedRows);
      }
      forTokens(b, part.firstToken, part.lastToken, most,
                [&](Value token, int64_t tokens) { emitTile(tiles, token, tokens); });
    });
  }

  TileBuilder &b;
  Product product;
  ValueRange weights;
  const ProductRange &range;
  ProductEpilogue epilogue;
  int64_t most = 1;     ///< tokens of a tile
  int64_t together = 1; ///< row groups of each weight in a tile
  Value wideMemory;     ///< for 16-bit activations of `wideTokens`; null where there is none
  int64_t wideTokens = 0;
};

} // namespace

void kernels::emitProducts(TileBuilder &b, const ProductInput &input, ValueRange weights,
                           const ProductRange &range, ProductEpilogue epilogue) {
  RangeEmitter(b, Product(input, weights.front()), weights, range, epilogue).emit();
}

//===----------------------------------------------------------------------------------------------===//
// Schedule
//===----------------------------------------------------------------------------------------------===//

ProductShape kernels::productShape(transformer::LinearOp linear, int64_t count) {
  auto weight = linear.getWeight().getType();
  return {weight.getFormat().str(), weight.getRows(), weight.getColumns(), count,
          bool(linear.getScales())};
}

ProductSchedule kernels::getSchedule(transformer::ComputeOp compute, const ProductShape &shape) {
  ProductSchedule otherwise = ProductSchedule::getDefault(shape);
  auto attribute = compute->getAttrOfType<DictionaryAttr>(scheduleName);
  std::string reason;
  return attribute ? ProductSchedule::read(attribute, otherwise, reason).value_or(otherwise)
                   : otherwise;
}

SmallVector<tile::ExtentAttr, 2> kernels::getProductGrid(const ProductSchedule &schedule,
                                                         MLIRContext *context, int64_t rows,
                                                         tile::Count count) {
  int64_t groups = llvm::divideCeil(rows, interleavedRows);
  return {tile::ExtentAttr::get(context, llvm::divideCeil(groups, schedule.rowGroups)),
          tile::ExtentAttr::get(context, count, schedule.blockTokens)};
}

ProductRange kernels::getProductRange(const ProductSchedule &schedule, TileBuilder &b, int64_t rows,
                                      tile::Count count, Machine machine) {
  auto [rowGroups, blockTokens] = std::pair(schedule.rowGroups, schedule.blockTokens);
  int64_t groups = llvm::divideCeil(rows, interleavedRows);
  auto clamp = [&](Value end, Value limit) -> Value {
    return arith::MinUIOp::create(b.builder, b.loc, end, limit);
  };
  Value firstGroup = b.mul(b.blockId(tile::Axis::X), rowGroups),
        firstToken = b.mul(b.blockId(tile::Axis::Y), blockTokens);
  return {firstGroup,
          clamp(b.add(firstGroup, rowGroups), b.index(groups)),
          groups % rowGroups == 0 && rowGroups % 2 == 0,
          firstToken,
          clamp(b.add(firstToken, blockTokens), b.count(count)),
          blockTokens,
          machine == Machine::Cpu ? memoryBytes : 0,
          schedule};
}
