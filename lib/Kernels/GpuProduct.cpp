//===- GpuProduct.cpp - Products with weights by the matrix units of a GPU --------------------------===//
//
// See GpuProduct.h for the shape of a block and the order of the sums.
//
//===----------------------------------------------------------------------------------------------===//

#include "GpuProduct.h"
#include "ingot/Support/Packing.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Rows of a planar row group; any number whose groups start at multiples of 16 bytes.
static constexpr int64_t planarRows = 8;

//===----------------------------------------------------------------------------------------------===//
// Schedule
//===----------------------------------------------------------------------------------------------===//

int64_t kernels::getGpuRun(transformer::WeightType type) {
  constexpr int64_t floatRun = 8, least = 16, wordBits = 32; // 16 bytes; two words of 4-bit codes
  const NumericFormat *format = NumericFormat::lookup(type.getFormat());
  if (!format || type.getRank() != 2)
    return 0;
  if (format->isFloat())
    return format->codeBits == 16 && type.getColumns() % floatRun == 0 ? floatRun : 0;
  auto layout = PackedLayout::get(*format, type.getRows(), type.getColumns(), planarRows,
                                  PackedOrder::Planar);
  if (!layout) {
    llvm::consumeError(layout.takeError());
    return 0;
  }
  bool areWords = llvm::all_of(
      layout->planes, [](const PackedPlane &plane) { return least * plane.bits % wordBits == 0; });
  return areWords ? least : layout->groupColumns;
}

std::optional<GpuProductSchedule> kernels::getGpuSchedule(transformer::WeightType weight,
                                                          unsigned weights, bool isQuantized) {
  int64_t run = isQuantized ? 0 : getGpuRun(weight);
  if (run == 0)
    return std::nullopt;
  // Eight warps hide the latency of memory behind each other where there are columns for them.
  GpuProductSchedule schedule = {run, 8, 4, 32, 4};
  while (schedule.warps > 1 && schedule.getStepColumns() > weight.getColumns())
    schedule.warps /= 2;
  // Operands of a step, of all weights and tokens, must fit the registers.
  if (run > 8)
    schedule.blockTokens = 16;
  if (weights > 1) {
    schedule.blockTokens = 16;
    schedule.rowTiles = 2;
    schedule.unroll = 2;
  }
  while (weight.getRows() % (schedule.rowTiles * GpuProductSchedule::blockRows) != 0 &&
         schedule.rowTiles > 1)
    schedule.rowTiles /= 2;
  return schedule;
}

SmallVector<tile::ExtentAttr, 2> kernels::getGpuGrid(MLIRContext *context,
                                                     transformer::WeightType weight,
                                                     const GpuProductSchedule &schedule,
                                                     tile::Count rows) {
  return {tile::ExtentAttr::get(context,
                                llvm::divideCeil(weight.getRows(), GpuProductSchedule::blockRows)),
          tile::ExtentAttr::get(context, rows, schedule.blockTokens)};
}

//===----------------------------------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------------------------------===//

static tile::PackedAttr getPacking(transformer::WeightType type) {
  return tile::PackedAttr::get(type.getContext(), type.getFormat(), planarRows, /*planar=*/true);
}

tile::ViewType kernels::gpuWeightView(transformer::WeightType type) {
  if (Type element = plainElementType(type))
    return tile::ViewType::get(type.getContext(), type.getShape(), element);
  return tile::ViewType::get(type.getContext(), type.getShape(), getPacking(type));
}

tile::ViewType kernels::gpuHalvesView(transformer::WeightType type, int64_t dim) {
  return tile::ViewType::get(type.getContext(),
                             {2 * type.getRows() / dim, dim / 2, type.getColumns()},
                             plainElementType(type));
}

Value kernels::packForGpu(OpBuilder &builder, Location loc, Value weight) {
  auto type = cast<transformer::WeightType>(weight.getType());
  if (plainElementType(type))
    return weight;
  return transformer::PackWeightOp::create(builder, loc, type.withPacking(getPacking(type)),
                                           weight);
}

/// Codes of a planar weight times scale plus minimum, computed in `element`.
static Value decode(TileBuilder &b, Value view, Value row, Value column, RankedTensorType type,
                    Type element, bool masked) {
  auto packing = cast<tile::ViewType>(view.getType()).getPacking();
  int64_t group = NumericFormat::lookup(packing.getFormat())->groupElements;
  auto op = tile::DecodeOp::create(b.builder, b.loc, view, row, column,
                                   cast<RankedTensorType>(type.clone(b.f16())), masked);
  int64_t rows = type.getDimSize(0), groups = type.getDimSize(1) / group;
  Value stored = op.getResult(0);
  Value codes = b.reshape(element.isF32() ? b.toF32(stored) : stored, {rows, groups, group});
  auto whole = cast<RankedTensorType>(codes.getType());
  auto spread = [&](Value ofGroup) {
    return b.broadcast(b.reshape(b.fromF32(ofGroup, element), {rows, groups, 1}), whole);
  };
  Value values = b.fma(codes, spread(op.getResult(1)), spread(op.getResult(2)));
  return b.reshape(values, type.getShape());
}

Value kernels::decodePlanar(TileBuilder &b, Value view, Value row, Value column,
                            RankedTensorType type, bool masked) {
  return decode(b, view, row, column, type, b.f32(), masked);
}

//===----------------------------------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------------------------------===//

namespace {

using Part = Spread::Part;

/// The operands of a step.
class Operands {
public:
  Operands(TileBuilder &b, const GpuProductSchedule &schedule, const ProductInput &input,
           Value weight)
      : b(b), schedule(schedule), input(input), view(cast<tile::ViewType>(weight.getType())),
        columns(schedule.getStepColumns()) {
    element = view.isPacked() ? b.f16() : view.getElementType();
  }

  /// Operand A: rows `row` ... of the step from `column` on, [warps, 16, columns of a warp].
  Value loadWeights(Value weight, Value row, Value column, bool masked) {
    if (view.getRank() == 3)
      return toParts(loadHalves(weight, row, column, masked));
    auto type = spreadTile({GpuProductSchedule::blockRows, columns}, element,
                           {{Part::Register, 1, schedule.run},
                            {Part::Lane, 1, GpuProductSchedule::lanesAlongColumns},
                            {Part::Lane, 0, 8},
                            {Part::Register, 0, 2},
                            {Part::Warp, 1, schedule.warps}});
    Value values;
    if (view.isPacked())
      values = decode(b, weight, row, column, type, element, masked);
    else
      values = b.load(weight, {row, column}, type,
                      masked || view.getShape()[0] % GpuProductSchedule::blockRows != 0);
    return toParts(values);
  }

  /// 8 rows of the first half of a head and those that are half a head further.
  Value loadHalves(Value weight, Value row, Value column, bool masked) {
    int64_t dim = 2 * view.getShape()[1];
    auto type = spreadTile({2, GpuProductSchedule::blockRows / 2, columns}, element,
                           {{Part::Register, 2, schedule.run},
                            {Part::Lane, 2, GpuProductSchedule::lanesAlongColumns},
                            {Part::Lane, 1, 8},
                            {Part::Register, 0, 2},
                            {Part::Warp, 2, schedule.warps}});
    Value offsets[] = {b.mul(b.div(row, dim), 2), b.div(b.rem(row, dim), 2), column};
    return b.reshape(b.load(weight, offsets, type, masked),
                     {GpuProductSchedule::blockRows, columns});
  }

  /// [16, columns] as [warps, 16, columns of a warp].
  Value toParts(Value values) {
    Value parts = b.reshape(
        values, {GpuProductSchedule::blockRows, schedule.warps, columns / schedule.warps});
    return tile::TransposeOp::create(b.builder, b.loc, parts, ArrayRef<int64_t>{1, 0, 2});
  }

  /// Tokens `token` ... of the step from `column` on, as they are in memory.
  Value loadActivations(Value token, Value column, int64_t tokens) {
    auto type = spreadTile({columns, tokens}, b.f32(),
                           {{Part::Register, 0, schedule.run},
                            {Part::Lane, 0, GpuProductSchedule::lanesAlongColumns},
                            {Part::Lane, 1, GpuProductSchedule::tokenTile},
                            {Part::Register, 1, tokens / GpuProductSchedule::tokenTile},
                            {Part::Warp, 0, schedule.warps}});
    return b.load(input.values, {column, token}, type, /*masked=*/true);
  }

  /// Operand B of those: [warps, columns of a warp, tokens].
  Value toOperand(Value x) {
    int64_t tokens = cast<RankedTensorType>(x.getType()).getDimSize(1);
    return b.reshape(b.fromF32(x, element), {schedule.warps, columns / schedule.warps, tokens});
  }

  /// The sums, [warps, 16, tokens]: each warp its own.
  RankedTensorType sumsType(int64_t tokens) {
    return spreadTile({schedule.warps, GpuProductSchedule::blockRows, tokens}, b.f32(),
                      {{Part::Register, 2, 2},
                       {Part::Lane, 2, GpuProductSchedule::lanesAlongColumns},
                       {Part::Lane, 1, 8},
                       {Part::Register, 1, 2},
                       {Part::Register, 2, tokens / GpuProductSchedule::tokenTile},
                       {Part::Warp, 0, schedule.warps}});
  }

private:
  TileBuilder &b;
  const GpuProductSchedule &schedule;
  const ProductInput &input;
  tile::ViewType view;
  int64_t columns;
  Type element;
};

/// The program of a block.
class BlockEmitter {
public:
  using Emit = llvm::function_ref<void(Value, Value, MutableArrayRef<Value>)>;

  BlockEmitter(TileBuilder &b, const GpuProductSchedule &schedule, const ProductInput &input,
               ValueRange weights, tile::Count rows, Emit emit)
      : b(b), schedule(schedule), input(input), weights(weights), rows(rows), emit(emit),
        operands(b, schedule, input, weights.front()) {}

  void run() {
    Value token = b.mul(b.blockId(tile::Axis::Y), schedule.blockTokens);
    constexpr int64_t few = GpuProductSchedule::tokenTile;
    if (schedule.blockTokens == few)
      return runFew(token);
    Value end = b.add(token, few + 1);
    b.ifLess(b.count(rows), end, [&] { runFew(token); }, [&] { runMany(token); });
  }

private:
  /// Up to 8 tokens. Weights of the first steps are on their way before what the launch waits for
  /// is there.
  void runFew(Value token) {
    rowTiles = {b.mul(b.blockId(tile::Axis::X), GpuProductSchedule::blockRows)};
    int64_t steps = llvm::divideCeil(input.columns, schedule.getStepColumns());
    int64_t ahead = std::min(schedule.unroll, steps);
    SmallVector<Value> first = loadSteps(0, ahead);
    tile::AwaitLaunchesOp::create(b.builder, b.loc);
    runTokens(token, GpuProductSchedule::tokenTile, schedule.unroll, ahead, first);
  }

  /// More tokens: what is read of them costs more than the weights, so that one block in
  /// `rowTiles` computes the rows of all of them, and the others have nothing to do.
  void runMany(Value token) {
    tile::AwaitLaunchesOp::create(b.builder, b.loc);
    Value block = b.blockId(tile::Axis::X);
    auto emitAll = [&] {
      rowTiles.clear();
      for (int64_t i = 0; i < schedule.rowTiles; ++i)
        rowTiles.push_back(b.mul(b.add(block, i), GpuProductSchedule::blockRows));
      runTokens(token, schedule.blockTokens, /*unroll=*/1, 0, {});
    };
    if (schedule.rowTiles == 1)
      return emitAll();
    b.ifLess(b.rem(block, schedule.rowTiles), b.index(1), emitAll);
  }

  /// Weights of a step: for each tile of rows those of each weight.
  void loadStep(Value column, bool masked, SmallVector<Value> &loaded) {
    for (Value row : rowTiles)
      for (Value weight : weights)
        loaded.push_back(operands.loadWeights(weight, row, column, masked));
  }

  /// Weights of the steps from `begin` to `end`; the last of all may be partial.
  SmallVector<Value> loadSteps(int64_t begin, int64_t end) {
    SmallVector<Value> loaded;
    for (int64_t step = begin; step < end; ++step) {
      Value column = b.index(step * schedule.getStepColumns());
      loadStep(column, (step + 1) * schedule.getStepColumns() > input.columns, loaded);
    }
    return loaded;
  }

  /// Adds the products of some steps from `column` on. With few tokens all loads come first.
  SmallVector<Value> addSteps(ArrayRef<Value> loaded, Value column, Value token, int64_t tokens,
                              ArrayRef<Value> sums) {
    SmallVector<Value> next(sums), activations;
    int64_t steps = loaded.size() / sums.size();
    auto load = [&](int64_t step) {
      return operands.loadActivations(token, b.add(column, step * schedule.getStepColumns()),
                                      tokens);
    };
    bool isFew = tokens == GpuProductSchedule::tokenTile;
    for (int64_t step = 0; isFew && step < steps; ++step)
      activations.push_back(load(step));
    for (int64_t step = 0; step < steps; ++step) {
      Value x = operands.toOperand(isFew ? activations[step] : load(step));
      for (size_t i = 0; i < sums.size(); ++i)
        next[i] =
            tile::ContractOp::create(b.builder, b.loc, next[i].getType(), tile::Atom::MmaM16N8K16,
                                     loaded[step * sums.size() + i], x, next[i]);
    }
    return next;
  }

  /// All columns for the tiles of rows and `tokens` tokens, of which `done` steps are loaded.
  void runTokens(Value token, int64_t tokens, int64_t unroll, int64_t done, ArrayRef<Value> first) {
    int64_t columns = schedule.getStepColumns(), whole = input.columns / columns,
            total = llvm::divideCeil(input.columns, columns);
    SmallVector<Value> sums(rowTiles.size() * weights.size(),
                            b.constant(operands.sumsType(tokens), 0));
    if (done)
      sums = addSteps(first, b.index(0), token, tokens, sums);
    int64_t full = done + (std::max(whole, done) - done) / unroll * unroll;
    if (done < full)
      sums = b.forLoop(b.index(done * columns), b.index(full * columns), unroll * columns, sums,
                       [&](Value column, auto carried) {
                         SmallVector<Value> loaded;
                         for (int64_t step = 0; step < unroll; ++step)
                           loadStep(b.add(column, step * columns), /*masked=*/false, loaded);
                         return addSteps(loaded, column, token, tokens, carried);
                       });
    if (full < total) // what is left, all at once
      sums = addSteps(loadSteps(full, total), b.index(full * columns), token, tokens, sums);
    for (auto [number, row] : llvm::enumerate(rowTiles)) {
      SmallVector<Value> results;
      for (Value sum : ArrayRef(sums).slice(number * weights.size(), weights.size()))
        results.push_back(b.reshape(b.reduce(tile::ReduceKind::Add, sum, 0),
                                    {GpuProductSchedule::blockRows, tokens}));
      emit(row, token, results);
    }
  }

  TileBuilder &b;
  const GpuProductSchedule &schedule;
  const ProductInput &input;
  ValueRange weights;
  tile::Count rows;
  Emit emit;
  Operands operands;
  SmallVector<Value> rowTiles; ///< first rows of the tiles that the block computes
};

} // namespace

void kernels::emitGpuProducts(TileBuilder &b, const GpuProductSchedule &schedule,
                              const ProductInput &input, ValueRange weights, tile::Count rows,
                              llvm::function_ref<void(Value, Value, MutableArrayRef<Value>)> emit) {
  BlockEmitter(b, schedule, input, weights, rows, emit).run();
}
