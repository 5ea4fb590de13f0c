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
  if (NumericFormat::lookup(linear.getWeight().getType().getFormat())->isFloat())
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
  uint64_t inputBytes = linear.getScales() ? weight.getColumns() * 9 / 8 : weight.getColumns() * 4;
  return {layout.bytes, inputBytes + 4 * weight.getRows(),
          2 * uint64_t(weight.getRows()) * weight.getColumns()};
}

//===----------------------------------------------------------------------------------------------===//
// What is done once
//===----------------------------------------------------------------------------------------------===//

namespace {

/// The memory of a block with what is the same for many tiles.
struct Panel {
  /// A view for each plane: [columns / 4, 8, 4] i8 as codes are multiplied; floats: [columns, 8].
  SmallVector<Value, 2> planes;
  Value scales, minimums; ///< [groups, 8] f32; null where there are none
};

/// One group of columns of a row group, ready to be multiplied: its codes are the sum of the planes
/// (the second times 16); floats are the only plane.
struct Group {
  SmallVector<Value, 2> planes;
  Value scales, minimums;
};

/// Row groups that go through the columns together.
struct WeightTile {
  Value weight, row;
  std::optional<Panel> panel = {};
};

/// Sums of the activations of each group of columns: [groups, tokens], f32.
struct ActivationSums {
  Value view, firstToken;
};

/// What stays the same for all tiles of a product.
struct Product {
  const ProductInput &input;
  const NumericFormat &format;
  int64_t group; ///< columns that are decoded together
  ActivationSums sums = {};
  /// Signed bytes go as two planes of nibbles, code + 128 = 16 * upper + lower. One product of a
  /// byte fills 16 bits, so that each needs three instructions of the two units that multiply; of
  /// nibbles, 8 products are added before that. With one token splitting costs more than it gains.
  bool isSplit = false;

  Product(const ProductInput &input, Value weight)
      : input(input), format(*NumericFormat::lookup(
                          cast<tile::ViewType>(weight.getType()).getPacking().getFormat())),
        group(decodedColumns(format)) {}
  bool isInteger() const { return bool(input.scales); }
  bool hasMinimum() const { return !format.codesAreSigned || format.hasMinimum; }
  bool needsSums() const { return isInteger() && (hasMinimum() || isSplit); }
  int64_t planes() const { return isSplit ? 2 : 1; }
  int64_t run() const { return isSplit ? 8 : format.exactRun; }
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
    return {{allocate(b, {columns, interleavedRows}, b.f32())}, {}, {}};
  Panel panel;
  for (int64_t plane = 0; plane < product.planes(); ++plane)
    panel.planes.push_back(allocate(b, {columns / 4, interleavedRows, 4}, b.i8()));
  panel.scales = allocate(b, {product.groups(), interleavedRows}, b.f32());
  if (product.hasMinimum())
    panel.minimums = allocate(b, {product.groups(), interleavedRows}, b.f32());
  return panel;
}

/// One group of columns of a weight.
Group decode(TileBuilder &b, const Product &product, Value weight, Value row, Value column) {
  if (!product.isInteger())
    return {{decodeValues(b, weight, row, column)}, {}, {}};
  DecodedGroup decoded = decodeGroup(b, weight, row, column);
  Group group{{decoded.codes}, decoded.scales, product.hasMinimum() ? decoded.minimums : Value()};
  if (product.isSplit) {
    auto type = cast<RankedTensorType>(decoded.codes.getType());
    Value shifted = arith::XOrIOp::create(b.builder, b.loc, decoded.codes, b.constant(type, -128));
    group.planes = {arith::AndIOp::create(b.builder, b.loc, shifted, b.constant(type, 15)),
                    arith::ShRUIOp::create(b.builder, b.loc, shifted, b.constant(type, 4))};
  }
  return group;
}

/// Decodes a row group into its panel.
void fillPanel(TileBuilder &b, const Product &product, const WeightTile &tile) {
  const Panel &panel = *tile.panel;
  Value zero = b.index(0);
  b.forLoop(zero, b.index(product.groups()), 1, [&](Value number) {
    Value column = b.mul(number, product.group);
    Group group = decode(b, product, tile.weight, tile.row, column);
    if (!product.isInteger()) {
      b.store(transpose(b, group.planes[0], {1, 0}), panel.planes[0], {column, zero});
      return;
    }
    for (auto [codes, view] : llvm::zip(group.planes, panel.planes)) {
      Value quads = reshape(b, codes, {interleavedRows, product.group / 4, 4});
      b.store(transpose(b, quads, {1, 0, 2}), view, {b.mul(number, product.group / 4), zero, zero});
    }
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
    return {{loadFloats(panel.planes[0], column, product.group)}, {}, {}};
  auto packing = cast<tile::ViewType>(tile.weight.getType()).getPacking();
  RankedTensorType type = panelType(tile::DecodeOp::resultTypes(packing).front());
  Group group;
  for (Value view : panel.planes) {
    Value quads = b.load(view, {b.mul(number, product.group / 4), zero, zero}, type);
    group.planes.push_back(
        reshape(b, transpose(b, quads, {1, 0, 2}), {interleavedRows, product.group}));
  }
  group.scales = loadFloats(panel.scales, number, 1);
  if (panel.minimums)
    group.minimums = loadFloats(panel.minimums, number, 1);
  return group;
}

/// The sums of one group of columns of one token, from 32 neighbouring bytes: pairs of pairs meet
/// in their lane, then the lanes.
Value sumGroup(TileBuilder &b, const Product &product, Value column, Value token) {
  int64_t group = product.group;
  SmallVector<int64_t> registers{1, 0, 2, 0}, lanes;
  for (int64_t step = 4; step < 4 * interleavedRows; step *= 2)
    lanes.append({step < group ? step : 0, 0});
  MLIRContext *context = b.builder.getContext();
  auto layout = tile::LayoutAttr::get(context, 2, registers, lanes);
  Value x = b.load(product.input.values, {column, token},
                   RankedTensorType::get({group, 1}, b.i8(), layout));
  Value quads = transpose(b, reshape(b, x, {group / 4, 4}), {1, 0});
  Value ones = b.constant(tileType({1, 4}, b.i8(), -1), 1);
  auto sums = tileType({1, group / 4}, b.i32(), 1);
  Value inLanes = tile::ContractOp::create(b.builder, b.loc, sums, tile::Atom::Vpmaddubsw, ones,
                                           quads, b.constant(sums, 0), 1, false);
  return b.toF32(b.reduce(tile::ReduceKind::Add, inLanes, 1));
}

/// Sums of the activations of all tokens of a range, once for all rows.
ActivationSums emitSums(TileBuilder &b, const Product &product, const ProductRange &range) {
  Value view = allocate(b, {product.groups(), range.mostTokens}, b.f32());
  b.forLoop(range.firstToken, range.lastToken, 1, [&](Value token) {
    b.forLoop(b.index(0), b.index(product.groups()), 1, [&](Value number) {
      Value sum = sumGroup(b, product, b.mul(number, product.group), token);
      b.store(sum, view, {number, b.sub(token, range.firstToken)});
    });
  });
  return {view, range.firstToken};
}

//===----------------------------------------------------------------------------------------------===//
// A tile of tokens
//===----------------------------------------------------------------------------------------------===//

/// Row groups and tokens that go through the columns together.
struct Step {
  ArrayRef<WeightTile> tiles;
  Value firstToken;
  int64_t tokens;

  RankedTensorType sumsType(Type element) const {
    return tileType({interleavedRows, tokens}, element, 0);
  }
};

/// dot(codes, x), exact.
Value multiplyIntegers(TileBuilder &b, Value codes, Value x, Value zero, int64_t run,
                       bool isSigned) {
  return tile::ContractOp::create(b.builder, b.loc, zero.getType(), tile::Atom::Vpmaddubsw, codes,
                                  x, zero, run, isSigned);
}

/// The sums of activations of a group, the same in all rows.
Value readSums(TileBuilder &b, const Product &product, const Step &step, Value number, Value x,
               Value zero) {
  if (const ActivationSums &sums = product.sums; sums.view) {
    Value token = b.sub(step.firstToken, sums.firstToken);
    return b.broadcast(b.load(sums.view, {number, token}, tileType({1, step.tokens}, b.f32(), -1)),
                       step.sumsType(b.f32()));
  }
  Value ones = b.constant(tileType({interleavedRows, product.group}, b.i8(), 0), 1);
  constexpr int64_t runOfOnes = 16; // 32 columns are 16 pairs; 16 * 2 * 127 fits 16 bits
  return b.toF32(multiplyIntegers(b, ones, x, zero, runOfOnes, false));
}

/// dot(code, x) of split codes: 16 * upper + lower - 128 * sum(x), exact.
Value joinPlanes(TileBuilder &b, Value lower, Value upper, Value sumOfX) {
  auto integers = cast<RankedTensorType>(upper.getType());
  Value shifted = arith::ShLIOp::create(b.builder, b.loc, upper, b.constant(integers, 4));
  Value both = b.toF32(arith::AddIOp::create(b.builder, b.loc, shifted, lower));
  return b.fma(sumOfX, b.constant(cast<RankedTensorType>(both.getType()), -128), both);
}

/// For each tile s_w dot(codes, x) + m_w sum(x) of one group of columns, in float32, added to
/// `partials` where there are some. The products stand side by side, so that the emitter reads an
/// activation once for all of them.
void addIntegerGroups(TileBuilder &b, const Product &product, const Step &step, Value number,
                      MutableArrayRef<Value> partials) {
  auto type = step.sumsType(b.f32());
  Value zero = b.constant(step.sumsType(b.i32()), 0);
  Value x = b.load(product.input.values, {b.mul(number, product.group), step.firstToken},
                   tileType({product.group, step.tokens}, b.i8(), -1));
  SmallVector<Group> groups;
  for (const WeightTile &tile : step.tiles)
    groups.push_back(readGroup(b, product, tile, number));
  Value sumOfX;
  if (product.needsSums())
    sumOfX = readSums(b, product, step, number, x, zero);
  SmallVector<Value> dots;
  for (const Group &group : groups)
    for (Value codes : group.planes)
      dots.push_back(multiplyIntegers(b, codes, x, zero, product.run(),
                                      product.format.codesAreSigned && !product.isSplit));
  for (auto [i, group] : llvm::enumerate(groups)) {
    Value y =
        product.isSplit ? joinPlanes(b, dots[2 * i], dots[2 * i + 1], sumOfX) : b.toF32(dots[i]);
    Value scales = b.broadcast(group.scales, type), &partial = partials[i];
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
        for (auto [tile, acc] : llvm::zip(step.tiles, carried))
          next.push_back(tile::ContractOp::create(b.builder, b.loc, acc.getType(), tile::Atom::Fma,
                                                  readGroup(b, product, tile, number).planes[0], x,
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

/// Emits the tiles of a range: for one token, for a few, for many.
class RangeEmitter {
public:
  RangeEmitter(TileBuilder &b, const Product &product, ValueRange weights,
               const ProductRange &range, ProductEpilogue epilogue)
      : b(b), product(product), weights(weights), range(range), epilogue(epilogue) {}

  void emit() {
    Value count = b.sub(range.lastToken, range.firstToken);
    b.ifLess(count, b.index(2), [&] { emitSingle(); }, [&] { emitSeveral(count); });
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

  void emitTile(ArrayRef<WeightTile> tiles, Value token, int64_t tokens) {
    SmallVector<Value> sums = emitStep(b, product, {tiles, token, tokens});
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
      forRows([&](Value row, int64_t groups) { emitTile(makeTiles(row, groups), token, 1); });
    });
  }

  void emitSeveral(Value count) {
    int64_t sumBytes = product.isInteger() ? 4 * product.groups() * range.mostTokens : 0;
    bool hasMemory = sumBytes < range.memoryBytes;
    product.isSplit = hasMemory && product.isInteger() && product.format.codesAreSigned;
    if (hasMemory && product.needsSums())
      product.sums = emitSums(b, product, range);
    int64_t ofRowGroup = weights.size() * product.planes();
    most = range.schedule.countTileTokens(ofRowGroup);
    together = std::max<int64_t>(sumRegisters / (ofRowGroup * most), 1);
    int64_t panelBytes = together * weights.size() * interleavedRows * product.input.columns *
                         (product.isInteger() ? product.planes() + 1 : 4); // with scales
    if (sumBytes + panelBytes > range.memoryBytes)
      return emitDirect();
    b.ifLess(
        count, b.index(range.schedule.panelTokens), [&] { emitDirect(); },
        [&] { emitWithPanels(); });
  }

  void emitDirect() {
    forTokens(b, range.firstToken, range.lastToken, most, [&](Value token, int64_t tokens) {
      forRows([&](Value row, int64_t groups) { emitTile(makeTiles(row, groups), token, tokens); });
    });
  }

  void emitWithPanels() {
    SmallVector<Panel> panels;
    for (size_t i = 0; i < together * weights.size(); ++i)
      panels.push_back(allocatePanel(b, product));
    forRows([&](Value row, int64_t groups) {
      SmallVector<WeightTile> tiles = makeTiles(row, groups);
      for (auto [tile, panel] : llvm::zip(tiles, panels)) {
        tile.panel = panel;
        fillPanel(b, product, tile);
      }
      forTokens(b, range.firstToken, range.lastToken, most,
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
