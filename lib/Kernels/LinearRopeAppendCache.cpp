//===- LinearRopeAppendCache.cpp - Queries, keys and values of a layer in one launch ----------------===//
//
// The products that give queries, keys and values, and what follows them: bias, norm over each
// head, rotation; queries are stored, keys and values appended to the cache. Weights of equal
// format and input are stacked, so that they are one product; others have their own in the same
// launch.
//
// A block computes a *unit* for up to 64 tokens: rows of one head that the rest needs together.
// Where pairs of channels are neighbours that is 32 rows; where they are half a head apart it is 16
// from either half; where a norm needs the sum over a head, a cache of integers its largest
// numbers, or only some channels rotate, it is the head. First come the products, in tiles of
// tokens as in Linear.cpp, into memory of the block; then token by token what depends on its
// position and its page (Heads.h). So a weight is decoded once for a tile of tokens, and a token's
// bits do not depend on its tile.
//
// Keys are stored transposed, [dim, page], so that attention finds a register of positions side by
// side.
//
// On a GPU what is plain, one stack of heads that rotate as a whole, takes the block of
// GpuProduct.h, whose 16 rows lie in one head; there tokens are columns of a tile and keep together
// (GpuCache.h).
//
//===----------------------------------------------------------------------------------------------===//

#include "Families.h"
#include "GpuCache.h"
#include "GpuProduct.h"
#include "Heads.h"
#include "Product.h"
#include "ingot/Kernels/HeadProjection.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

/// Memory of a block for the results of its products.
constexpr int64_t scratchBytes = 32 * 1024;

/// Queries, keys or values.
struct Part {
  HeadProjection projection;
  HeadKind kind;
  unsigned stack = 0;
  int64_t firstRow = 0; ///< in the stack
};

/// Weights that one product reads, one after the other.
struct Stack {
  SmallVector<transformer::LinearOp, 3> linears;
  int64_t rows = 0;
  SmallVector<const Part *, 3> parts = {}; ///< by first row; together all rows

  transformer::LinearOp front() const { return linears.front(); }
  bool canTake(transformer::LinearOp linear) const {
    auto type = linear.getWeight().getType(), other = front().getWeight().getType();
    return linear.getInput() == front().getInput() && linear.getScales() == front().getScales() &&
           type.getFormat() == other.getFormat() && type.getColumns() == other.getColumns();
  }
};

struct Region {
  SmallVector<Part, 3> parts; ///< query, key, value
  SmallVector<Stack, 3> stacks;
  transformer::AppendCacheOp append;

  transformer::KVCacheType getCache() { return append.getCache().getType(); }
  /// The norm of the products' input in the region; null where it is outside.
  transformer::NormOp getInputNorm() {
    return stacks.front().front().getInput().getDefiningOp<transformer::NormOp>();
  }
  transformer::RopeOp getRope() { return parts.front().projection.rope; }
};

/// Puts the rows of each part into a stack; false where rows are left over.
bool stackRows(Region &region) {
  for (Part &part : region.parts) {
    transformer::LinearOp linear = part.projection.linear;
    auto *stack = llvm::find_if(region.stacks, [&](Stack &s) { return s.canTake(linear); });
    if (stack == region.stacks.end()) {
      region.stacks.push_back({{linear}, 0});
      stack = &region.stacks.back();
    } else if (!llvm::is_contained(stack->linears, linear)) {
      stack->linears.push_back(linear);
    }
    part.stack = stack - region.stacks.begin();
  }
  for (auto [number, stack] : llvm::enumerate(region.stacks)) {
    int64_t used = 0;
    for (transformer::LinearOp linear : stack.linears) {
      for (Part &part : region.parts)
        if (part.projection.linear == linear) {
          part.firstRow = stack.rows + part.projection.getFirstRow();
          used += part.projection.getHeads() * part.projection.getDim();
          stack.parts.push_back(&part);
        }
      stack.rows += linear.getWeight().getType().getRows();
    }
    llvm::sort(stack.parts, [](auto *a, auto *b) { return a->firstRow < b->firstRow; });
    if (used != stack.rows)
      return false;
  }
  return true;
}

/// Reads the region; what it lacks is the reason. The parts stay where they are: stacks point to
/// them.
LogicalResult readRegion(const Request &request, Region &region, std::string &reason) {
  transformer::ComputeOp compute = request.compute;
  region.append = findOp<transformer::AppendCacheOp>(compute);
  if (!region.append)
    return reason = "the region does not append to one cache", failure();
  if (compute.getNumResults() != 2)
    return reason = "queries, keys or values are used elsewhere too", failure();
  auto results = compute.getBody().front().getTerminator()->getOperands();
  Value query = results[results[0] == region.append.getResult() ? 1 : 0];
  for (auto [value, kind, name] :
       {std::tuple(query, HeadKind::Query, "queries"),
        std::tuple(Value(region.append.getKey()), HeadKind::Key, "keys"),
        std::tuple(Value(region.append.getValue()), HeadKind::Value, "values")}) {
    auto projection = traceHeadProjection(value);
    if (!projection)
      return reason = llvm::formatv("{0} are no heads of a product", name), failure();
    region.parts.push_back({*projection, kind});
  }
  return success(stackRows(region) || (reason = "rows of a product are not used", false));
}

/// Whether a rotation is by the positions of the tokens that are appended.
bool isByPositions(const Request &request, transformer::RopeOp rope,
                   transformer::AppendCacheOp append) {
  Value positions = rope.getPositions(), batch = append.getBatch();
  if (!positions.getDefiningOp()) {
    positions = outerValue(request.compute, positions);
    batch = outerValue(request.compute, batch);
  }
  auto op = positions ? positions.getDefiningOp<transformer::PositionsOp>() : nullptr;
  return op && op.getBatch() == batch;
}

LogicalResult checkRotations(const Request &request, Region &region, std::string &reason) {
  transformer::RopeOp query = region.parts[0].projection.rope,
                      key = region.parts[1].projection.rope;
  if (region.parts[2].projection.rope || bool(query) != bool(key))
    return reason = "not exactly queries and keys are rotated", failure();
  if (!query)
    return success();
  if (query->getAttrDictionary() != key->getAttrDictionary())
    return reason = "queries and keys are rotated differently", failure();
  if (!isByPositions(request, query, region.append) || !isByPositions(request, key, region.append))
    return reason = "rotations are not by the positions of the batch", failure();
  return success();
}

/// Whether the block of GpuProduct.h serves the region: nothing between product, rotation of whole
/// heads and cache, parts in one stack.
std::optional<GpuProductSchedule> getGpuSchedule(const Request &request, Region &region) {
  if (!isGpuCache(request.machine, region.getCache()) || region.stacks.size() != 1)
    return std::nullopt;
  transformer::LinearOp linear = region.stacks.front().front();
  transformer::RopeOp rope = region.getRope();
  int64_t dim = region.getCache().getDim(), row = 0;
  bool isPlain = rope && int64_t(rope.getDims().value_or(dim)) == dim &&
                 (rope.getLayout() == transformer::RopeLayout::Interleaved ||
                  plainElementType(linear.getWeight().getType()));
  for (Part &part : region.parts) {
    isPlain &= !part.projection.norm && !part.projection.linear.getBias() && part.firstRow == row;
    row += part.projection.getHeads() * dim;
  }
  if (!isPlain)
    return std::nullopt;
  auto schedule =
      kernels::getGpuSchedule(linear.getWeight().getType(), 1, bool(linear.getScales()));
  if (schedule) { // places and angles of more would spill
    schedule->blockTokens = 16;
    schedule->rowTiles = 1;
    schedule->manyUnroll = 2;
  }
  return schedule;
}

LogicalResult supports(const Request &request, std::string &reason) {
  Region region;
  if (failed(readRegion(request, region, reason)) ||
      failed(checkRotations(request, region, reason)))
    return failure();
  if (region.getCache().getDim() % interleavedRows)
    return reason = "the head dimension is not a multiple of 8", failure();
  if (region.getInputNorm() &&
      (!getGpuSchedule(request, region) ||
       failed(canNormInput(request, region.stacks.front().front(), 1, reason)))) {
    if (reason.empty())
      reason = "the norm of the input goes only with one stack of heads that rotate as a whole";
    return failure();
  }
  if (failed(canCache(request.machine, region.getCache(), reason)))
    return failure();
  for (Part &part : region.parts) {
    HeadProjection &projection = part.projection;
    if (failed(canMultiply(projection.linear, reason)))
      return failure();
    if (projection.getDim() != region.getCache().getDim())
      return reason = "queries have another head dimension than the cache", failure();
    transformer::NormOp norm = projection.norm;
    if (norm && (norm.getKind() != transformer::NormKind::Rms ||
                 !plainElementType(norm.getWeight().getType())))
      return reason = "heads are normed by other than an rms norm with a weight of floats",
             failure();
  }
  return success();
}

/// Rows of a head that one block computes: `spans` times `spanRows` neighbouring ones, spans half a
/// head apart.
struct Unit {
  int64_t spans, spanRows;
  int64_t getRows() const { return spans * spanRows; }
};

Unit chooseUnit(Region &region) {
  int64_t dim = region.getCache().getDim(), half = dim / 2;
  transformer::RopeOp rope = region.getRope();
  bool hasNorm = llvm::any_of(region.parts, [](Part &part) { return part.projection.norm; });
  if (hasNorm || region.getCache().isQuantized() ||
      (rope && int64_t(rope.getDims().value_or(dim)) != dim))
    return {1, dim};
  if (rope && rope.getLayout() == transformer::RopeLayout::Half) {
    if (half % interleavedRows)
      return {1, dim};
    return {2, half % (2 * interleavedRows) ? interleavedRows : 2 * interleavedRows};
  }
  for (int64_t groups : {4, 2})
    if (dim % (groups * interleavedRows) == 0)
      return {1, groups * interleavedRows};
  return {1, interleavedRows};
}

/// The product of a stack; a block's rows are the unit's.
ProductShape shapeOf(const Stack &stack, Unit unit) {
  ProductShape shape = productShape(stack.front());
  shape.rows = stack.rows;
  shape.spanGroups = unit.spanRows / interleavedRows;
  shape.spans = unit.spans;
  shape.mostTokens = scratchBytes / (4 * unit.getRows());
  return shape;
}

/// Views of a kernel and the operands of its launch that they belong to.
struct Arguments {
  SmallVector<Type> views;
  SmallVector<Value> operands;

  /// The number of the operand's first view.
  unsigned add(Value operand, TypeRange types) {
    operands.push_back(operand);
    llvm::append_range(views, types);
    return views.size() - types.size();
  }
};

class Emitter {
public:
  Emitter(const Request &request, Region &region, OpBuilder &builder, OpBuilder &kernelBuilder)
      : request(request), compute(request.compute), region(region), unit(chooseUnit(region)),
        cache(region.getCache()), builder(builder), b(kernelBuilder, compute->getLoc()) {
    for (const Stack &stack : region.stacks)
      schedules.push_back(getSchedule(compute, shapeOf(stack, unit)));
    blockTokens =
        std::min(schedules.front().blockTokens, shapeOf(region.stacks[0], unit).mostTokens);
  }

  Emission emit() {
    addArguments();
    int64_t units = 0;
    for (Stack &stack : region.stacks)
      units += stack.rows / unit.getRows();
    MLIRContext *context = builder.getContext();
    auto kernel = beginKernel(b.builder, request, arguments.views,
                              {tile::ExtentAttr::get(context, units),
                               tile::ExtentAttr::get(context, request.rows, blockTokens)});
    args = kernel.getViews();
    auto scratchType =
        tile::ViewType::get(context, {unit.getRows(), blockTokens}, b.f32(), {1, unit.getRows()},
                            tile::PackedAttr(), tile::Space::Shared);
    scratch = tile::AllocOp::create(b.builder, b.loc, scratchType);
    if (cache.isQuantized())
      headMemory = allocateHead(b, cache.getDim());
    firstToken = b.mul(b.blockId(tile::Axis::Y), blockTokens);
    lastToken = arith::MinUIOp::create(b.builder, b.loc, b.add(firstToken, blockTokens),
                                       b.count(request.rows));
    emitStacks(0, b.blockId(tile::Axis::X));
    tile::ReturnOp::create(b.builder, b.loc);
    return describe(kernel);
  }

  Emission emitOnGpu(const GpuProductSchedule &schedule, GpuTokens tokens) {
    MLIRContext *context = builder.getContext();
    const Stack &stack = region.stacks.front();
    Value weight = stackWeights(stack);
    auto type = cast<transformer::WeightType>(weight.getType());
    int64_t dim = cache.getDim(), keyRows = cache.getHeads() * dim,
            queryRows = stack.rows - 2 * keyRows;
    transformer::NormOp norm = region.getInputNorm();
    // With a norm the first operand will be that of a launch before.
    unsigned values = arguments.add(norm ? Value() : outer(stack.front().getInput()),
                                    productViews(stack.front(), request.rows));
    bool isHalf = region.getRope().getLayout() == transformer::RopeLayout::Half;
    unsigned weights = arguments.add(packForGpu(builder, b.loc, weight),
                                     isHalf ? gpuHalvesView(type, dim) : gpuWeightView(type));
    table = arguments.add(ropeTable(request, builder, region.getRope(), dim),
                          gpuAnglesView(context, request.contextTokens, dim));
    unsigned normed = 0, gain = 0;
    if (norm) {
      auto inputType = cast<RankedTensorType>(norm.getInput().getType());
      normed = arguments.add(outer(norm.getInput()), rowsView(inputType, request.rows));
      gain = arguments.add(outer(norm.getWeight()), vectorView(norm.getWeight().getType()));
    }
    addCacheArguments();
    auto kernel = beginKernel(b.builder, request, arguments.views,
                              getGpuGrid(context, type, schedule, request.rows, tokens));
    kernel.setThreads(schedule.getThreads());
    args = kernel.getViews();
    GpuProjection projection = {
        cache,       queryRows, keyRows,     request.rows,    ValueRange(args).slice(batch, 3),
        args[table], isHalf,    args[pages], args[pages + 1], args[queries]};
    std::optional<GpuInputNorm> inputNorm;
    if (norm)
      inputNorm = {args[normed], args[gain], norm.getEpsilon().convertToDouble(),
                   rowTile(request, b.f32(), type.getColumns()), getNormTokens(type.getColumns())};
    emitGpuProducts(b, schedule, tokens, {args[values], Value(), type.getColumns()},
                    ValueRange(args).slice(weights, 1), request.rows,
                    makeProjectionEpilogue(b, projection), inputNorm ? &*inputNorm : nullptr);
    tile::ReturnOp::create(b.builder, b.loc);
    return describe(kernel);
  }

private:
  /// The launch, and what it costs.
  Emission describe(tile::KernelOp kernel) {
    Emission emission{kernel, arguments.operands, resultsInPlace(compute, cacheOperand)};
    for (const Stack &stack : region.stacks)
      for (transformer::LinearOp linear : stack.linears) {
        Cost cost = productCost(linear);
        emission.cost.weightBytes += cost.weightBytes;
        emission.cost.operationsPerRow += cost.operationsPerRow;
        // The activations are read once for a stack.
        emission.cost.bytesPerRow +=
            linear == stack.front() ? cost.bytesPerRow : 4 * linear.getWeight().getType().getRows();
      }
    return emission;
  }

  /// Numbers of views that belong to a stack.
  struct StackViews {
    unsigned values, scales, weight;
  };
  /// Numbers of views that belong to a part; 0 (the activations) for none.
  struct PartViews {
    unsigned bias = 0, norm = 0;
  };

  Value outer(Value value) { return outerValue(compute, value); }

  void addArguments() {
    for (auto [number, stack] : llvm::enumerate(region.stacks)) {
      transformer::LinearOp linear = stack.front();
      StackViews views{};
      auto *same = llvm::find_if(ArrayRef(region.stacks).take_front(number), [&](const Stack &s) {
        return s.front().getInput() == linear.getInput();
      });
      if (same != region.stacks.begin() + number) {
        views = stackViews[same - region.stacks.begin()];
      } else {
        SmallVector<Type> types = productViews(linear, request.rows);
        views.values = arguments.add(outer(linear.getInput()), types[0]);
        if (linear.getScales())
          views.scales = arguments.add(outer(linear.getScales()), types[1]);
      }
      Value weight = stackWeights(stack);
      auto type = cast<transformer::WeightType>(weight.getType());
      views.weight = arguments.add(packWeight(builder, b.loc, weight), packedView(type));
      stackViews.push_back(views);
    }
    for (Part &part : region.parts) {
      PartViews views;
      if (Value bias = part.projection.linear.getBias())
        views.bias =
            arguments.add(outer(bias), columnView(cast<transformer::WeightType>(bias.getType())));
      if (transformer::NormOp norm = part.projection.norm)
        views.norm = arguments.add(outer(norm.getWeight()), columnView(norm.getWeight().getType()));
      partViews.push_back(views);
    }
    MLIRContext *context = builder.getContext();
    if (transformer::RopeOp rope = region.getRope()) {
      int64_t dims = rope.getDims().value_or(cache.getDim());
      table = arguments.add(ropeTable(request, builder, rope, dims),
                            ropeTableView(context, request.contextTokens, dims));
    }
    addCacheArguments();
  }

  void addCacheArguments() {
    MLIRContext *context = builder.getContext();
    batch = arguments.add(outer(region.append.getBatch()),
                          batchViews(context, pagesPerSequence(request, cache)));
    cacheOperand = arguments.operands.size();
    pages = arguments.add(outer(region.append.getCache()), cacheViewsFor(request, cache));
    arguments.operands.push_back(outer(region.append.getLayer()));
    // The result has no operand.
    int64_t queryRows = region.parts.front().projection.getHeads() * cache.getDim();
    queries = arguments.views.size();
    arguments.views.push_back(transposedView(builder.getF32Type(), queryRows, request.rows));
  }

  /// The weights of a stack, one after the other.
  Value stackWeights(const Stack &stack) {
    SmallVector<Value> weights;
    for (transformer::LinearOp linear : stack.linears)
      weights.push_back(outer(linear.getWeight()));
    auto type = cast<transformer::WeightType>(weights.front().getType());
    if (weights.size() == 1)
      return weights.front();
    auto stacked = transformer::WeightType::get(builder.getContext(),
                                                {stack.rows, type.getColumns()}, type.getFormat());
    return transformer::ConcatWeightsOp::create(builder, b.loc, stacked, weights);
  }

  /// The stacks from `number` on; `index` counts their units.
  void emitStacks(unsigned number, Value index) {
    int64_t units = region.stacks[number].rows / unit.getRows();
    if (number + 1 == region.stacks.size())
      return emitStack(number, index);
    b.ifLess(
        index, b.index(units), [&] { emitStack(number, index); },
        [&] { emitStacks(number + 1, b.sub(index, b.index(units))); });
  }

  void emitStack(unsigned number, Value index) {
    int64_t dim = cache.getDim(), unitsPerHead = dim / unit.getRows();
    Value head = b.div(index, unitsPerHead);
    // Channels of the unit's spans: from here on, and from half a head further on.
    Value channel =
        unitsPerHead == 1 ? b.index(0) : b.mul(b.rem(index, unitsPerHead), unit.spanRows);
    Value row = b.add(b.mul(head, dim), channel);
    for (int64_t span = 0; span < unit.spans; ++span)
      emitSpan(number, b.add(row, span * (dim / 2)), span * unit.spanRows);
    tile::BarrierOp::create(b.builder, b.loc); // all sums are there before any is read
    b.forLoop(firstToken, lastToken, 1,
              [&](Value token) { emitParts(region.stacks[number].parts, head, channel, token); });
  }

  /// The products of neighbouring rows for all tokens of the block, into scratch.
  void emitSpan(unsigned number, Value firstRow, int64_t scratchRow) {
    const StackViews &views = stackViews[number];
    transformer::LinearOp linear = region.stacks[number].front();
    ProductInput input{args[views.values], linear.getScales() ? Value(args[views.scales]) : Value(),
                       linear.getWeight().getType().getColumns()};
    int64_t groups = unit.spanRows / interleavedRows;
    Value firstGroup = b.div(firstRow, interleavedRows);
    int64_t products = region.stacks.size() * unit.spans;
    ProductRange range{firstGroup,
                       b.add(firstGroup, groups),
                       groups % 2 == 0,
                       firstToken,
                       lastToken,
                       blockTokens,
                       request.machine == Machine::Cpu ? memoryBytes / products : 0,
                       schedules[number]};
    emitProducts(b, input, Value(args[views.weight]), range,
                 [&](Value row, Value token, MutableArrayRef<Value> sums) {
                   Value inScratch = b.add(b.sub(row, firstRow), scratchRow);
                   b.store(sums.front(), scratch, {inScratch, b.sub(token, firstToken)});
                 });
  }

  /// What becomes of the unit for one token: that of the part which its head, a number in the
  /// stack, belongs to.
  void emitParts(ArrayRef<const Part *> parts, Value head, Value channel, Value token) {
    const Part &part = *parts.front();
    int64_t firstHead = part.firstRow / cache.getDim();
    auto emitThis = [&] { emitPart(part, b.sub(head, b.index(firstHead)), channel, token); };
    if (parts.size() == 1)
      return emitThis();
    b.ifLess(head, b.index(firstHead + part.projection.getHeads()), emitThis,
             [&] { emitParts(parts.drop_front(), head, channel, token); });
  }

  void emitPart(const Part &part, Value head, Value channel, Value token) {
    const HeadProjection &projection = part.projection;
    const PartViews &views = partViews[&part - region.parts.begin()];
    int64_t dim = cache.getDim();
    bool isQuery = part.kind == HeadKind::Query;
    HeadInput input{scratch, b.sub(token, firstToken)};
    if (views.bias) {
      input.bias = args[views.bias];
      input.biasRow = b.add(b.mul(head, dim), projection.getFirstRow());
    }
    if (transformer::NormOp norm = projection.norm) {
      input.normScale =
          emitHeadNorm(b, input, b.index(0), dim, norm.getEpsilon().convertToDouble());
      input.normWeight = args[views.norm];
    }
    unsigned numbers = pages + (part.kind == HeadKind::Value);
    HeadOutput output{part.kind, args[isQuery ? queries : numbers], head, dim};
    output.isGpuCache = isGpuCache(request.machine, cache);
    if (isQuery)
      output.token = token;
    else
      output.place = readPlace(b, ValueRange(args).slice(batch, 3), token, cache.getPage());
    std::optional<HeadRotation> rotation;
    if (transformer::RopeOp rope = projection.rope) {
      Value position = isQuery ? b.readIndex(args[batch], {token}) : output.place.position;
      rotation = {args[table], position, int64_t(rope.getDims().value_or(dim)),
                  rope.getLayout() == transformer::RopeLayout::Half};
    }
    if (!isQuery && cache.isQuantized())
      return emitHeadCodes(
          b, input, headMemory,
          {cache, part.kind == HeadKind::Key, output.view, args[numbers + 2], head, output.place},
          rotation, b.index(0));
    if (unit.getRows() == dim)
      return emitHead(b, input, output, rotation, b.index(0));
    if (rotation)
      return emitHeadRotation(b, input, output, *rotation, b.index(0), channel, unit.spanRows,
                              unit.spanRows);
    for (int64_t span = 0; span < unit.spans; ++span)
      emitHeadCopy(b, input, output, b.index(span * unit.spanRows),
                   b.add(channel, span * (dim / 2)), unit.spanRows);
  }

  const Request &request;
  transformer::ComputeOp compute;
  Region &region;
  Unit unit;
  transformer::KVCacheType cache;
  OpBuilder &builder; ///< where the launch will be
  TileBuilder b;      ///< inside of the kernel
  int64_t blockTokens;
  SmallVector<ProductSchedule, 3> schedules; ///< of each stack

  Arguments arguments;
  SmallVector<StackViews, 3> stackViews;
  SmallVector<PartViews, 3> partViews;
  unsigned table = 0, batch = 0, pages = 0, queries = 0; ///< numbers of views
  int64_t cacheOperand = 0;

  Block::BlockArgListType args;
  Value scratch;    ///< [rows of the unit, tokens of the block] float32
  Value headMemory; ///< of a token, for a cache of codes
  Value firstToken, lastToken;
};

SmallVector<ProductShape> getProducts(const Request &request) {
  Region region;
  std::string reason;
  SmallVector<ProductShape> shapes;
  if (succeeded(readRegion(request, region, reason)))
    for (const Stack &stack : region.stacks)
      shapes.push_back(shapeOf(stack, chooseUnit(region)));
  return shapes;
}

Emission emit(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  Region region;
  std::string reason;
  LogicalResult isRead = readRegion(request, region, reason);
  assert(succeeded(isRead) && "only called for regions that are supported");
  (void)isRead;
  Emitter emitter(request, region, builder, kernelBuilder);
  std::optional<GpuProductSchedule> schedule = getGpuSchedule(request, region);
  if (!schedule)
    return emitter.emit();
  Emission few = emitter.emitOnGpu(*schedule, GpuTokens::Few);
  Request beyond = request;
  beyond.name += "_many";
  OpBuilder nextBuilder = OpBuilder::atBlockEnd(few.kernel->getBlock());
  Emission many =
      Emitter(beyond, region, builder, nextBuilder).emitOnGpu(*schedule, GpuTokens::Many);
  if (transformer::NormOp norm = region.getInputNorm())
    return prepareRmsNorm(request, norm, std::move(few), std::move(many));
  return joinLaunches(std::move(few), std::move(many));
}

} // namespace

const Family kernels::linearRopeAppendCacheFamily = {"LinearRopeAppendCache", supports, emit,
                                                     getProducts};
