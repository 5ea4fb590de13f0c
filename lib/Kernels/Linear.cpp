//===- Linear.cpp - Products of activations with weights, and what follows them ---------------------===//
//
// Linear: y = W x, plus the bias where there is one, plus the residual where the region adds one;
// it is then added in place. LinearActivation: act(W x), with its bias. LinearGatedActivation:
// act(W_gate x) * (W_up x), each with its bias; both weights are streamed side by side, so that the
// two sums of an element meet in registers.
//
// A block computes some row groups for some tokens (Product.h); what follows the product is done to
// its sums in registers. On a GPU the block is that of GpuProduct.h where its matrix units can
// compute the product.
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
  transformer::ActivationOp activation;
  Value residual; ///< null where there is none
  Value result;
};

LinearRegion regionOf(const Request &request) {
  LinearRegion region;
  transformer::ComputeOp compute = request.compute;
  Block &body = compute.getBody().front();
  llvm::append_range(region.linears, body.getOps<transformer::LinearOp>());
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
  if (region.linears.size() != 1 || compute.getNumResults() != 1 || region.activation)
    return reason = "the region is not one product", failure();
  if (region.residual && !outerValue(compute, region.residual))
    return reason = "the residual is not an operand", failure();
  return canMultiply(region.linears[0], reason);
}

LogicalResult supportsActivation(const Request &request, std::string &reason) {
  LinearRegion region = regionOf(request);
  if (region.linears.size() != 1 || !region.activation ||
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
  emission.inPlace = {-1};
  if (region.residual) {
    emission.inPlace = {int64_t(emission.operands.size())};
    emission.operands.push_back(outerValue(compute, region.residual));
    emission.cost.bytesPerRow += 4 * linear.getWeight().getType().getRows();
  }
  return emission;
}

Emission emitLinear(const Request &request, OpBuilder &builder, OpBuilder &kernelBuilder) {
  LinearRegion region = regionOf(request);
  transformer::ComputeOp compute = request.compute;
  transformer::LinearOp linear = region.linears.front();
  auto weight = linear.getWeight().getType();
  ProductSchedule schedule = getSchedule(compute, productShape(linear, region.linears.size()));
  bool isQuantized = bool(linear.getScales());
  std::optional<GpuProductSchedule> gpu;
  if (request.machine == Machine::Cuda)
    gpu = getGpuSchedule(weight, region.linears.size(), isQuantized);

  SmallVector<Type> views = productViews(linear, request.rows);
  views.append(region.linears.size(), gpu ? gpuWeightView(weight) : packedView(weight));
  unsigned firstBias = views.size();
  for (transformer::LinearOp op : region.linears)
    if (Value bias = op.getBias())
      views.push_back(columnView(cast<transformer::WeightType>(bias.getType())));
  Type sums = transposedView(builder.getF32Type(), weight.getRows(), request.rows);
  views.push_back(sums); // the result, or the residual that becomes it
  MLIRContext *context = builder.getContext();
  auto kernel =
      beginKernel(kernelBuilder, request, views,
                  gpu ? getGpuGrid(context, weight, *gpu, request.rows)
                      : getProductGrid(schedule, context, weight.getRows(), request.rows));
  auto args = kernel.getViews();
  ProductInput input{args[0], isQuantized ? Value(args[1]) : Value(), weight.getColumns()};
  ValueRange weights = ValueRange(args).slice(isQuantized ? 2 : 1, region.linears.size());
  Value output = args.back();

  TileBuilder b(kernelBuilder, compute.getLoc());
  // What becomes of the sums of a tile, [rows, tokens] of each weight.
  auto finish = [&](Value row, Value token, MutableArrayRef<Value> sums, bool masked) {
    auto type = cast<RankedTensorType>(sums.front().getType());
    unsigned bias = firstBias;
    for (auto [sum, op] : llvm::zip_equal(sums, region.linears))
      if (op.getBias())
        sum = b.addf(sum, loadColumn(b, args[bias++], row, type, masked));
    Value y = sums.front();
    if (region.activation)
      y = activate(b, region.activation.getKind(), y);
    if (sums.size() == 2)
      y = b.mulf(y, sums.back());
    if (region.residual) {
      y = b.addf(b.load(output, {row, token}, type, masked), y);
      if (gpu) // every warp has read the residual before one writes
        tile::BarrierOp::create(b.builder, b.loc);
    }
    b.store(y, output, {row, token}, masked);
  };
  if (gpu) {
    kernel.setThreads(gpu->getThreads());
    emitGpuProducts(b, *gpu, input, weights, request.rows,
                    [&](Value row, Value token, MutableArrayRef<Value> sums) {
                      finish(row, token, sums, /*masked=*/true);
                    });
    tile::ReturnOp::create(kernelBuilder, compute.getLoc());
    return describe(request, builder, kernel, region, /*isForGpu=*/true);
  }
  bool masked = weight.getRows() % interleavedRows;
  emitProducts(b, input, weights,
               getProductRange(schedule, b, weight.getRows(), request.rows, request.machine),
               [&](Value row, Value token, MutableArrayRef<Value> sums) {
                 finish(row, token, sums, masked);
               });
  tile::ReturnOp::create(kernelBuilder, compute.getLoc());
  return describe(request, builder, kernel, region, /*isForGpu=*/false);
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
