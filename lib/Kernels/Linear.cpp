//===- Linear.cpp - Products of activations with weights, and what follows them ---------------------===//
//
// Linear: y = W x, plus the bias where there is one, plus the residual where the region adds one;
// it is then added in place. LinearActivation: act(W x), with its bias. LinearGatedActivation:
// act(W_gate x) * (W_up x), each with its bias; both weights are streamed side by side, so that the
// two sums of an element meet in registers.
//
// A block computes some row groups for some tokens (Product.h); what follows the product is done to
// its sums in registers. On a GPU the block is that of GpuProduct.h where its matrix units can
// compute the product; then the region of gate and up may begin with their rms norm.
//
//===----------------------------------------------------------------------------------------------===//

#include "Families.h"
#include "GpuProduct.h"
#include "Product.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

namespace {

struct LinearRegion {
  SmallVector<transformer::LinearOp, 2> linears; ///< one, or gate and up
  transformer::NormOp norm; ///< of the products' input; null where there is none
  transformer::ActivationOp activation;
  Value residual; ///< null where there is none
  Value result;
};

LinearRegion regionOf(const Request &request) {
  LinearRegion region;
  transformer::ComputeOp compute = request.compute;
  Block &body = compute.getBody().front();
  llvm::append_range(region.linears, body.getOps<transformer::LinearOp>());
  region.norm = findOp<transformer::NormOp>(compute);
  region.activation = findOp<transformer::ActivationOp>(compute);
  region.result = body.getTerminator()->getOperand(0);
  if (region.linears.size() == 2 && region.activation &&
      region.activation.getInput() != region.linears[0].getResult())
    std::swap(region.linears[0], region.linears[1]); // the gate first
  if (auto add = region.result.getDefiningOp<arith::AddFOp>())
    region.residual = add.getLhs().getDefiningOp() ? add.getRhs() : add.getLhs();
  return region;
}

LogicalResult supportsLinear(const Request &request, std::string &reason) {
  LinearRegion region = regionOf(request);
  transformer::ComputeOp compute = request.compute;
  if (region.linears.size() != 1 || compute.getNumResults() != 1 || region.activation ||
      region.norm)
    return reason = "the region is not one product", failure();
  if (region.residual && !outerValue(compute, region.residual))
    return reason = "the residual is not an operand", failure();
  return canMultiply(region.linears[0], reason);
}

LogicalResult supportsActivation(const Request &request, std::string &reason) {
  LinearRegion region = regionOf(request);
  if (region.linears.size() != 1 || !region.activation || region.norm ||
      region.result != region.activation.getResult() ||
      region.activation.getInput() != region.linears[0].getResult())
    return reason = "the region is not act(product)", failure();
  return canMultiply(region.linears[0], reason);
}

LogicalResult supportsGated(const Request &request, std::string &reason) {
  LinearRegion region = regionOf(request);
  if (region.linears.size() != 2 || !region.activation ||
      !region.result.getDefiningOp<arith::MulFOp>())
    return reason = "the region is not act(gate) * up", failure();
  auto gate = region.linears[0], up = region.linears[1];
  if (gate.getInput() != up.getInput() || gate.getWeight().getType() != up.getWeight().getType())
    return reason = "gate and up differ in input or weight type", failure();
  if (region.norm && failed(canNormInput(request, gate, 2, reason)))
    return failure();
  return success(succeeded(canMultiply(gate, reason)) && succeeded(canMultiply(up, reason)));
}

/// The launch: operands in the order of the views, the residual's place, and what it costs.
Emission describe(const Request &request, OpBuilder &builder, tile::KernelOp kernel,
                  LinearRegion &region, bool isForGpu) {
  transformer::ComputeOp compute = request.compute;
  transformer::LinearOp linear = region.linears.front();
  Emission emission{kernel};
  emission.operands.push_back(outerValue(compute, linear.getInput()));
  if (Value scales = linear.getScales())
    emission.operands.push_back(outerValue(compute, scales));
  for (transformer::LinearOp op : region.linears) {
    Value weight = outerValue(compute, op.getWeight());
    emission.operands.push_back(isForGpu ? packForGpu(builder, op.getLoc(), weight)
                                         : packWeight(builder, op.getLoc(), weight));
    Cost cost = productCost(op);
    emission.cost.weightBytes += cost.weightBytes;
    emission.cost.operationsPerRow += cost.operationsPerRow;
    emission.cost.bytesPerRow = cost.bytesPerRow;
  }
  for (transformer::LinearOp op : region.linears)
    if (op.getBias())
      emission.operands.push_back(outerValue(compute, op.getBias()));
  if (region.norm) // the first operand is then that of the launch before
    emission.operands.append({outerValue(compute, region.norm.getInput()),
                              outerValue(compute, region.norm.getWeight())});
  emission.inPlace = {-1};
  if (region.residual) {
    emission.inPlace = {int64_t(emission.operands.size())};
    emission.operands.push_back(outerValue(compute, region.residual));
    emission.cost.bytesPerRow += 4 * linear.getWeight().getType().getRows();
  }
  return emission;
}

/// The kernel of a region.
class LinearEmitter {
public:
  LinearEmitter(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder,
                GpuTokens tokens = GpuTokens::Few)
      : tokens(tokens), request(request), compute(request.compute), region(regionOf(request)),
        builder(builder), b(kernelBuilder, compute->getLoc()), linear(region.linears.front()),
        weight(linear.getWeight().getType()),
        schedule(getSchedule(compute, productShape(linear, region.linears.size()))) {
    if (request.machine == Machine::Cuda)
      gpu = getGpuSchedule(weight, region.linears.size(), isQuantized());
  }

  bool isForMatrixUnits() const { return gpu.has_value(); }

  Emission emit() {
    tile::KernelOp kernel = begin();
    if (gpu)
      emitOnGpu(kernel);
    else
      emitPlain();
    tile::ReturnOp::create(b.builder, b.loc);
    return describe(request, builder, kernel, region, /*isForGpu=*/gpu.has_value());
  }

private:
  bool isQuantized() { return bool(linear.getScales()); }

  /// The views: activations, weights, biases, what is normed and its weight, result.
  tile::KernelOp begin() {
    SmallVector<Type> views = productViews(linear, request.rows);
    views.append(region.linears.size(), gpu ? gpuWeightView(weight) : packedView(weight));
    firstBias = views.size();
    for (transformer::LinearOp op : region.linears)
      if (Value bias = op.getBias())
        views.push_back(columnView(cast<transformer::WeightType>(bias.getType())));
    firstNormView = views.size();
    if (region.norm)
      views.append(
          {rowsView(cast<RankedTensorType>(region.norm.getInput().getType()), request.rows),
           vectorView(region.norm.getWeight().getType())});
    // The result, or the residual that becomes it.
    views.push_back(transposedView(b.f32(), weight.getRows(), request.rows));
    MLIRContext *context = builder.getContext();
    SmallVector<tile::ExtentAttr> grid;
    if (gpu)
      grid.append(getGpuGrid(context, weight, *gpu, request.rows, tokens));
    else
      grid.append(getProductGrid(schedule, context, weight.getRows(), request.rows));
    auto kernel = beginKernel(b.builder, request, views, grid);
    args = kernel.getViews();
    output = args.back();
    return kernel;
  }

  ProductInput getInput() {
    return {args[0], isQuantized() ? args[1] : Value(), weight.getColumns()};
  }
  ValueRange getWeights() { return args.slice(isQuantized() ? 2 : 1, region.linears.size()); }

  void emitOnGpu(tile::KernelOp kernel) {
    kernel.setThreads(gpu->getThreads());
    GpuEpilogue epilogue;
    epilogue.readInputs = [&](Value row, Value, RankedTensorType type) {
      readBiases(row, type, /*masked=*/true);
    };
    if (region.residual)
      epilogue.readBuffers = [&](Value row, Value token, RankedTensorType type) {
        readResidual(row, token, type, /*masked=*/true);
      };
    epilogue.finish = [&](Value row, Value token, MutableArrayRef<Value> sums) {
      finish(row, token, sums, /*masked=*/true);
    };
    std::optional<GpuInputNorm> norm;
    if (region.norm)
      norm = {args[firstNormView], args[firstNormView + 1],
              region.norm.getEpsilon().convertToDouble(),
              rowTile(request, b.f32(), weight.getColumns()), getNormTokens(weight.getColumns())};
    emitGpuProducts(b, *gpu, tokens, getInput(), getWeights(), request.rows, epilogue,
                    norm ? &*norm : nullptr);
  }

  void emitPlain() {
    bool masked = weight.getRows() % interleavedRows;
    emitProducts(b, getInput(), getWeights(),
                 getProductRange(schedule, b, weight.getRows(), request.rows, request.machine),
                 [&](Value row, Value token, MutableArrayRef<Value> sums) {
                   auto type = cast<RankedTensorType>(sums.front().getType());
                   readBiases(row, type, masked);
                   if (region.residual)
                     readResidual(row, token, type, masked);
                   finish(row, token, sums, masked);
                 });
  }

  void readBiases(Value row, RankedTensorType type, bool masked) {
    unsigned bias = firstBias;
    biases.clear();
    for (transformer::LinearOp op : region.linears)
      biases.push_back(op.getBias() ? loadColumn(b, args[bias++], row, type, masked) : Value());
  }

  void readResidual(Value row, Value token, RankedTensorType type, bool masked) {
    residual = b.load(output, {row, token}, type, masked);
  }

  /// What becomes of the sums of a tile, [rows, tokens] of each weight.
  void finish(Value row, Value token, MutableArrayRef<Value> sums, bool masked) {
    for (auto [sum, bias] : llvm::zip_equal(sums, biases))
      if (bias)
        sum = b.addf(sum, bias);
    Value y = sums.front();
    if (region.activation)
      y = activate(b, region.activation.getKind(), y);
    if (sums.size() == 2)
      y = b.mulf(y, sums.back());
    if (region.residual)
      y = b.addf(residual, y);
    b.store(y, output, {row, token}, masked);
  }

  GpuTokens tokens;
  const Request &request;
  transformer::ComputeOp compute;
  LinearRegion region;
  OpBuilder &builder; ///< where the launch will be
  TileBuilder b;      ///< inside of the kernel
  transformer::LinearOp linear;
  transformer::WeightType weight;
  ProductSchedule schedule;
  std::optional<GpuProductSchedule> gpu;
  unsigned firstBias = 0, firstNormView = 0; ///< numbers of views

  ValueRange args;
  Value output;
  // Of the tile at hand.
  SmallVector<Value> biases; ///< null where there are none
  Value residual;
};

Emission emitLinear(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  LinearEmitter first(request, builder, kernelBuilder);
  Emission emission = first.emit();
  if (!first.isForMatrixUnits())
    return emission;
  Request many = request;
  many.name += "_many";
  OpBuilder nextBuilder = OpBuilder::atBlockEnd(emission.kernel->getBlock());
  Emission second = LinearEmitter(many, builder, nextBuilder, GpuTokens::Many).emit();
  if (transformer::NormOp norm = regionOf(request).norm)
    return prepareRmsNorm(request, norm, std::move(emission), std::move(second));
  return joinLaunches(std::move(emission), std::move(second));
}

SmallVector<ProductShape> getProducts(const Request &request) {
  LinearRegion region = regionOf(request);
  return {productShape(region.linears.front(), region.linears.size())};
}

} // namespace

const Family kernels::linearFamily = {"Linear", supportsLinear, emitLinear, getProducts};
const Family kernels::linearActivationFamily = {"LinearActivation", supportsActivation, emitLinear,
                                                getProducts};
const Family kernels::linearGatedActivationFamily = {"LinearGatedActivation", supportsGated,
                                                     emitLinear, getProducts};
