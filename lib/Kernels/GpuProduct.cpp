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
  GpuProductSchedule schedule = {run, 8, 4, 32, 4, 1};
  while (schedule.warps > 1 && schedule.getStepColumns() > weight.getColumns())
    schedule.warps /= 2;
  // Operands of a step, of all weights and tokens, must fit the registers.
  if (run > 8 || weights > 1)
    schedule.rowTiles = 2;
  if (run > 8 && weights > 1)
    schedule.rowTiles = 1;
  if (weights > 1)
    schedule.unroll = 2;
  // More tiles of a block read activations less often, but the chip wants blocks first.
  constexpr int64_t wantedBlocks = 128;
  int64_t tiles = llvm::divideCeil(weight.getRows(), GpuProductSchedule::blockRows);
  while (schedule.rowTiles > 1 &&
         (weight.getRows() % (schedule.rowTiles * GpuProductSchedule::blockRows) != 0 ||
          tiles / schedule.rowTiles < wantedBlocks))
    schedule.rowTiles /= 2;
  if (run <= 8 && weights == 1)
    schedule.manyUnroll = 4 / schedule.rowTiles;
  return schedule;
}

SmallVector<tile::ExtentAttr, 3> kernels::getGpuGrid(MLIRContext *context,
                                                     transformer::WeightType weight,
                                                     const GpuProductSchedule &schedule,
                                                     tile::Count rows, GpuTokens tokens) {
  constexpr int64_t few = GpuProductSchedule::tokenTile;
  int64_t rowTiles = llvm::divideCeil(weight.getRows(), GpuProductSchedule::blockRows);
  auto number = [&](int64_t value) { return tile::ExtentAttr::get(context, value); };
  if (tokens == GpuTokens::Few) {
    // From 1 to 8 rows one block, with more none; along z none where there are no rows.
    constexpr int64_t beyondAll = int64_t(1) << 30;
    return {number(rowTiles), tile::ExtentAttr::get(context, rows, -1, few + 1, few),
            tile::ExtentAttr::get(context, rows, beyondAll)};
  }
  // With 2 (rows - 8) there are blocks enough just past 8, too.
  return {number(rowTiles / schedule.rowTiles),
          tile::ExtentAttr::get(context, rows, 2, -2 * few, schedule.blockTokens)};
}

Emission kernels::joinLaunches(Emission few, Emission many) {
  auto next = std::make_shared<Emission>(std::move(many));
  few.finish = [next](OpBuilder &, ValueRange results) {
    for (auto [number, operand] : llvm::enumerate(next->inPlace)) {
      if (operand >= 0) {
        next->operands[operand] = results[number];
        continue;
      }
      operand = next->operands.size();
      next->operands.push_back(results[number]);
    }
    return *next;
  };
  return few;
}

LogicalResult kernels::canNormInput(const Request &request, transformer::LinearOp linear,
                                    unsigned weights, std::string &reason) {
  auto norm = linear.getInput().getDefiningOp<transformer::NormOp>();
  transformer::WeightType type = linear.getWeight().getType();
  // With so many blocks the norm of each costs more than a launch for all.
  constexpr int64_t mostRows = 32768;
  if (request.machine != Machine::Cuda || !getGpuSchedule(type, weights, bool(linear.getScales())))
    return reason = "only products of a GPU's matrix units norm their input", failure();
  if (!norm || norm.getKind() != transformer::NormKind::Rms || norm.getBias() ||
      !plainElementType(norm.getWeight().getType()))
    return reason = "the input is no rms norm with a weight of floats", failure();
  if (!outerValue(request.compute, norm.getInput()))
    return reason = "what is normed is not an operand", failure();
  if (getNormTokens(type.getColumns()) == 0 || type.getRows() > mostRows)
    return reason = llvm::formatv("{0} is too wide or has too many rows", type), failure();
  return success();
}

int64_t kernels::getNormTokens(int64_t columns) {
  // Rows are normed one after the other: more of them take longer than a launch for all.
  constexpr int64_t most = 2, memory = 36 << 10; // of 48 KB; the rest is for the sums of the warps
  return 2 * most * (columns + 32) <= memory ? most : 0;
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

  /// Rows of activations in memory of the block, in the product's format: the step's tokens.
  void setStaged(Value view, Value tokens) { staged = view, stagedTokens = tokens; }
  bool hasStaged() const { return bool(staged); }
  Type getElement() const { return element; }

  /// Operand B of the staged rows from `column` on; 0 for tokens that there are not.
  Value loadStaged(Value column) {
    constexpr int64_t tokens = GpuProductSchedule::tokenTile;
    auto type = spreadTile({tokens, columns}, element,
                           {{Part::Register, 1, schedule.run},
                            {Part::Lane, 1, GpuProductSchedule::lanesAlongColumns},
                            {Part::Lane, 0, tokens},
                            {Part::Warp, 1, schedule.warps}});
    auto number = tile::getReducedType(tile::withElement(type, b.i32()), 1);
    Value isThere =
        arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::slt, b.iotaOf(number, 0),
                              b.splat(b.toI32(stagedTokens), number));
    Value x = b.gather(staged, {b.index(0), column}, type, {}, isThere);
    x = tile::TransposeOp::create(b.builder, b.loc, x, ArrayRef<int64_t>{1, 0});
    return b.reshape(x, {schedule.warps, columns / schedule.warps, tokens});
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
  Value staged, stagedTokens; ///< null where activations are read from memory
};

/// The program of a block.
class BlockEmitter {
public:
  BlockEmitter(TileBuilder &b, const GpuProductSchedule &schedule, const ProductInput &input,
               ValueRange weights, tile::Count rows, const GpuEpilogue &epilogue,
               const GpuInputNorm *norm)
      : b(b), schedule(schedule), input(input), weights(weights), rows(rows), epilogue(epilogue),
        norm(norm), operands(b, schedule, input, weights.front()) {}

  void runFew() {
    allocateRooms();
    auto runRead = [&] { runFew(nullptr); };
    if (!norm)
      return runRead();
    auto runNormed = [&] { runFew(norm); };
    if (norm->fewTokens == GpuProductSchedule::tokenTile)
      return runNormed();
    b.ifLess(b.count(rows), b.index(norm->fewTokens + 1), runNormed, runRead);
  }

  /// More tokens: what is read of them costs more than the weights, so that a block computes
  /// several tiles of rows.
  void runMany() {
    Value token = b.mul(b.blockId(tile::Axis::Y), schedule.blockTokens);
    tile::AwaitLaunchesOp::create(b.builder, b.loc);
    Value block = b.mul(b.blockId(tile::Axis::X), schedule.rowTiles);
    b.ifLess(token, b.count(rows), [&] {
      for (int64_t i = 0; i < schedule.rowTiles; ++i)
        rowTiles.push_back(b.mul(b.add(block, i), GpuProductSchedule::blockRows));
      finishMany(token, runTokens(token, schedule.blockTokens, schedule.manyUnroll, 0, {}));
    });
  }

private:
  /// Up to 8 tokens. Weights of the first steps, and what follows the product needs of the step's
  /// inputs, are on their way before what the launch waits for is there.
  void runFew(const GpuInputNorm *normed) {
    Value token = b.index(0);
    Value row = b.mul(b.blockId(tile::Axis::X), GpuProductSchedule::blockRows);
    rowTiles = {row};
    RankedTensorType type = getFewSumsType();
    int64_t steps = llvm::divideCeil(input.columns, schedule.getStepColumns());
    int64_t ahead = std::min(schedule.unroll, steps);
    SmallVector<Value> first = loadSteps(0, ahead);
    Value gain;
    if (normed)
      gain = loadGain(*normed);
    if (epilogue.readInputs)
      epilogue.readInputs(row, token, type);
    tile::AwaitLaunchesOp::create(b.builder, b.loc);
    if (epilogue.readBuffers)
      epilogue.readBuffers(row, token, type);
    if (normed)
      stageRows(*normed, gain);
    SmallVector<Value> sums =
        runTokens(token, GpuProductSchedule::tokenTile, schedule.unroll, ahead, first);
    operands.setStaged({}, {});
    sums = addWarps(sums, type);
    epilogue.finish(row, token, sums);
  }

  Value loadGain(const GpuInputNorm &normed) {
    Type stored = cast<tile::ViewType>(normed.gain.getType()).getElementType();
    Value zero = b.index(0);
    return b.toF32(b.load(normed.gain, {zero, zero}, tile::withElement(normed.line, stored),
                          /*masked=*/true));
  }

  /// Norms all rows into memory of the block, in the product's format; behind the last column 0.
  void stageRows(const GpuInputNorm &normed, Value gain) {
    constexpr int64_t apart = 32; // columns: neighbouring rows in different banks
    int64_t columns = llvm::alignTo(input.columns, schedule.getStepColumns());
    auto view =
        tile::ViewType::get(b.builder.getContext(), {normed.fewTokens, columns},
                            operands.getElement(), {columns + apart, 1}, {}, tile::Space::Shared);
    Value staged = tile::AllocOp::create(b.builder, b.loc, view), zero = b.index(0);
    Value tokens = b.count(rows);
    b.forLoop(zero, tokens, 1, [&](Value token) {
      Value x = b.load(normed.input, {token, zero}, normed.line, /*masked=*/true);
      Value squares = b.fma(x, x, b.constant(normed.line, 0));
      Value scale = emitNormScale(b, squares, input.columns, normed.epsilon);
      Value y = b.fromF32(b.mulf(b.mulf(x, scale), gain), operands.getElement());
      b.store(y, staged, {token, zero}, /*masked=*/true);
    });
    tile::BarrierOp::create(b.builder, b.loc); // the rows are there
    operands.setStaged(staged, tokens);
  }

  /// Sums of few tokens, each in one thread: rows side by side.
  RankedTensorType getFewSumsType() {
    constexpr int64_t rows = GpuProductSchedule::blockRows, tokens = GpuProductSchedule::tokenTile,
                      laneTokens = 32 / rows;
    int64_t warpTokens = std::min(schedule.warps, tokens / laneTokens);
    return spreadTile({rows, tokens}, b.f32(),
                      {{Part::Lane, 0, rows},
                       {Part::Lane, 1, laneTokens},
                       {Part::Warp, 1, warpTokens},
                       {Part::Warp, -1, schedule.warps / warpTokens},
                       {Part::Register, 1, tokens / (laneTokens * warpTokens)}});
  }

  /// Memory of the block for the sums of the warps.
  void allocateRooms() {
    constexpr int64_t rows = GpuProductSchedule::blockRows, tokens = GpuProductSchedule::tokenTile,
                      pitch = tokens + 1; // neighbouring rows in different banks
    auto view = tile::ViewType::get(b.builder.getContext(), {schedule.warps, rows, tokens}, b.f32(),
                                    {rows * pitch, pitch, 1}, {}, tile::Space::Shared);
    for (size_t i = 0; i < weights.size(); ++i)
      rooms.push_back(tile::AllocOp::create(b.builder, b.loc, view));
  }

  /// The sums of the warps added up.
  SmallVector<Value> addWarps(ArrayRef<Value> parts, RankedTensorType type) {
    SmallVector<Value, 3> zeros(3, b.index(0));
    for (auto [part, room] : llvm::zip_equal(parts, rooms))
      b.store(part, room, zeros);
    tile::BarrierOp::create(b.builder, b.loc); // the sums of all warps are there
    SmallVector<Value> sums;
    for (Value room : rooms) {
      Value ofWarps = b.load(room, zeros, withWarps(type));
      sums.push_back(b.reshape(b.reduce(tile::ReduceKind::Add, ofWarps, 0), type.getShape()));
    }
    return sums;
  }

  /// [rows, tokens] with the sums of all warps in registers beside each other.
  RankedTensorType withWarps(RankedTensorType type) {
    SmallVector<int64_t> registers, lanes, warps;
    auto append = [](ArrayRef<int64_t> bases, SmallVector<int64_t> &all) {
      for (size_t i = 0; i < bases.size(); i += 2)
        all.append({0, bases[i], bases[i + 1]});
    };
    tile::LayoutAttr layout = tile::getLayout(type);
    append(layout.getRegisters(), registers);
    append(layout.getLanes(), lanes);
    append(layout.getWarps(), warps);
    for (int64_t warp = 1; warp < schedule.warps; warp *= 2)
      registers.append({warp, 0, 0});
    auto whole = tile::LayoutAttr::get(type.getContext(), 3, registers, lanes, warps, {});
    return tile::getTileType({schedule.warps, type.getDimSize(0), type.getDimSize(1)}, b.f32(),
                             whole);
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
      Value first = b.add(column, step * schedule.getStepColumns());
      return operands.hasStaged() ? operands.loadStaged(first)
                                  : operands.loadActivations(token, first, tokens);
    };
    bool isFew = tokens == GpuProductSchedule::tokenTile;
    for (int64_t step = 0; isFew && step < steps; ++step)
      activations.push_back(load(step));
    for (int64_t step = 0; step < steps; ++step) {
      Value x = isFew ? activations[step] : load(step);
      if (!operands.hasStaged())
        x = operands.toOperand(x);
      for (size_t i = 0; i < sums.size(); ++i)
        next[i] =
            tile::ContractOp::create(b.builder, b.loc, next[i].getType(), tile::Atom::MmaM16N8K16,
                                     loaded[step * sums.size() + i], x, next[i]);
    }
    return next;
  }

  /// All columns for the tiles of rows and `tokens` tokens, of which `done` steps are loaded: for
  /// each tile of rows the sums of each weight.
  SmallVector<Value> runTokens(Value token, int64_t tokens, int64_t unroll, int64_t done,
                               ArrayRef<Value> first) {
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
    return sums;
  }

  /// Adds up the sums of the warps of all tiles of rows and hands them on.
  void finishMany(Value token, ArrayRef<Value> sums) {
    for (auto [number, row] : llvm::enumerate(rowTiles)) {
      SmallVector<Value> results;
      for (Value sum : sums.slice(number * weights.size(), weights.size()))
        results.push_back(b.reshape(b.reduce(tile::ReduceKind::Add, sum, 0),
                                    {GpuProductSchedule::blockRows, schedule.blockTokens}));
      auto type = cast<RankedTensorType>(results.front().getType());
      if (epilogue.readInputs)
        epilogue.readInputs(row, token, type);
      if (epilogue.readBuffers) {
        epilogue.readBuffers(row, token, type);
        tile::BarrierOp::create(b.builder, b.loc); // every warp has read before one writes
      }
      epilogue.finish(row, token, results);
    }
  }

  TileBuilder &b;
  const GpuProductSchedule &schedule;
  const ProductInput &input;
  ValueRange weights;
  tile::Count rows;
  const GpuEpilogue &epilogue;
  const GpuInputNorm *norm; ///< null without one
  Operands operands;
  SmallVector<Value> rowTiles; ///< first rows of the tiles that the block computes
  SmallVector<Value> rooms;    ///< of few tokens: memory for the sums of each weight
};

} // namespace

void kernels::emitGpuProducts(TileBuilder &b, const GpuProductSchedule &schedule, GpuTokens tokens,
                              const ProductInput &input, ValueRange weights, tile::Count rows,
                              const GpuEpilogue &epilogue, const GpuInputNorm *norm) {
  BlockEmitter emitter(b, schedule, input, weights, rows, epilogue, norm);
  if (tokens == GpuTokens::Few)
    emitter.runFew();
  else
    emitter.runMany();
}
