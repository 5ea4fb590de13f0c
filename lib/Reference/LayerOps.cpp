//===- LayerOps.cpp - Meaning of row-wise ops -------------------------------------------------===//
//
// Ops of LayerOps.td. T is the number of rows (tokens), C and F channels in and out.
//
//===------------------------------------------------------------------------------------------===//

#include "Frame.h"
#include "LayerMath.h"
#include <atomic>
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::reference;
using namespace ingot::transformer;

static LogicalResult embedding(EmbeddingOp op, Frame &frame) {
  auto &ids = frame.tensor(op.getIds());
  auto &weight = frame.weight(op.getWeight());
  int64_t vocabulary = weight.type.getRows(), channels = weight.type.getColumns();
  std::vector<float> result(ids.size() * channels);
  for (auto [index, id] : llvm::enumerate(ids.ids())) {
    if (id < 0 || id >= vocabulary)
      return op.emitError("expected ids from 0 to ") << vocabulary - 1 << ", got " << id;
    auto row = MutableArrayRef(result).slice(index * channels, channels);
    if (failed(frame.context.readRows(op, weight, id, 1, row)))
      return failure();
  }
  Shape shape(ids.shape());
  shape.push_back(channels);
  frame.set(op.getResult(), Tensor(shape, std::move(result)));
  return success();
}

/// The operand as numbers in double: integers times the scale of their block.
static std::vector<double> linearInput(LinearOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  if (!op.getScales())
    return std::vector<double>(input.floats().begin(), input.floats().end());
  auto scales = frame.tensor(op.getScales()).floats();
  std::vector<double> result(input.size());
  for (size_t i = 0, block = result.size() / std::max<size_t>(scales.size(), 1); i < result.size();
       ++i)
    result[i] = double(input.at(i).integer) * scales[i / block];
  return result;
}

static LogicalResult linear(LinearOp op, Frame &frame) {
  // An integer of 16 bits times its scale is exact in double, so the quantised form needs no other
  // sums.
  std::vector<double> input = linearInput(op, frame);
  auto &weight = frame.weight(op.getWeight());
  int64_t tokens = frame.tensor(op.getInput()).rows();
  int64_t features = weight.type.getRows(), channels = weight.type.getColumns();
  std::vector<float> bias(features, 0.0f);
  if (op.getBias()) {
    auto values = frame.context.readVector(op, frame.weight(op.getBias()));
    if (failed(values))
      return failure();
    bias = std::move(*values);
  }
  std::vector<float> result(tokens * features);
  std::atomic<bool> hasFailed = false;
  // Weights are decoded a few rows at a time: the whole would be eight bytes a weight.
  frame.context.parallelFor(features, /*grain=*/32, [&](int64_t begin, int64_t end) {
    std::vector<float> rows((end - begin) * channels);
    if (failed(frame.context.readRows(op, weight, begin, end - begin, rows)))
      hasFailed = true;
    std::vector<double> row(channels);
    for (int64_t feature = begin; feature < end; ++feature) {
      std::copy_n(rows.begin() + (feature - begin) * channels, channels, row.begin());
      for (int64_t token = 0; token < tokens; ++token)
        result[token * features + feature] =
            dot(ArrayRef(input).slice(token * channels, channels), row) + bias[feature];
    }
  });
  if (hasFailed)
    return failure();
  Shape shape(frame.tensor(op.getInput()).shape());
  shape.back() = features;
  frame.set(op.getResult(), Tensor(shape, std::move(result)));
  return success();
}

/// One row of `norm`.
static void normRow(NormKind kind, ArrayRef<float> x, ArrayRef<float> weight, ArrayRef<float> bias,
                    double epsilon, MutableArrayRef<float> result) {
  double mean = 0, squares = 0;
  if (kind == NormKind::Layer) {
    for (float value : x)
      mean += value;
    mean /= double(x.size());
  }
  for (float value : x)
    squares += (value - mean) * (value - mean);
  double inverse = 1 / std::sqrt(squares / double(x.size()) + epsilon);
  for (size_t c = 0; c < x.size(); ++c)
    result[c] = (x[c] - mean) * inverse * weight[c] + (bias.empty() ? 0.0 : double(bias[c]));
}

static LogicalResult norm(NormOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto weight = frame.context.readVector(op, frame.weight(op.getWeight()));
  if (failed(weight))
    return failure();
  FailureOr<std::vector<float>> bias = std::vector<float>();
  if (op.getBias() && failed(bias = frame.context.readVector(op, frame.weight(op.getBias()))))
    return failure();
  int64_t channels = weight->size();
  std::vector<float> result(input.size());
  for (int64_t row = 0; row < input.rows(); ++row)
    normRow(op.getKind(), input.floats().slice(row * channels, channels), *weight, *bias,
            op.getEpsilon().convertToFloat(),
            MutableArrayRef(result).slice(row * channels, channels));
  frame.set(op.getResult(), Tensor(input.shape(), std::move(result)));
  return success();
}

static LogicalResult rope(RopeOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto positions = frame.tensor(op.getPositions()).ids();
  int64_t heads = input.dim(input.rank() - 2), dim = input.dim(input.rank() - 1);
  int64_t pairs = op.getDims().value_or(dim) / 2;
  bool isHalf = op.getLayout() == RopeLayout::Half;
  std::vector<float> frequencies = ropeFrequencies(op.getBase().convertToDouble(), pairs,
                                                   op.getFactors().value_or(ArrayRef<float>()));
  std::vector<float> result(input.floats());
  for (int64_t row = 0; row < input.rows(); ++row)
    for (int64_t i = 0; i < pairs; ++i) {
      float angle = float(positions[row / heads]) * frequencies[i];
      float cosine = std::cos(double(angle)), sine = std::sin(double(angle));
      float &first = result[row * dim + (isHalf ? i : 2 * i)];
      float &second = result[row * dim + (isHalf ? i + pairs : 2 * i + 1)];
      float a = first, b = second;
      float ac = a * cosine, bs = b * sine, as = a * sine, bc = b * cosine;
      first = ac - bs;
      second = as + bc;
    }
  frame.set(op.getResult(), Tensor(input.shape(), std::move(result)));
  return success();
}

static LogicalResult activation(ActivationOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  std::vector<float> result(input.floats());
  for (float &value : result)
    value = activate(op.getKind(), value);
  frame.set(op.getResult(), Tensor(input.shape(), std::move(result)));
  return success();
}

static LogicalResult gatherChannels(GatherChannelsOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto order = frame.context.readVector(op, frame.weight(op.getOrder()));
  if (failed(order))
    return failure();
  int64_t channels = input.shape().back();
  std::vector<float> result(input.size());
  for (int64_t c = 0; c < channels; ++c) {
    float number = (*order)[c] > 0 ? (*order)[c] : 0.0f; // NaN is not
    int64_t from = number < float(channels - 1) ? int64_t(number) : channels - 1;
    for (int64_t row = 0; row < int64_t(input.size()); row += channels)
      result[row + c] = input.floats()[row + from];
  }
  frame.set(op.getResult(), Tensor(input.shape(), std::move(result)));
  return success();
}

static LogicalResult quantize(QuantizeOp op, Frame &frame) {
  auto &input = frame.tensor(op.getInput());
  auto scalesType = op.getScales().getType();
  Shape shape(input.shape());
  int64_t blocks = scalesType.getShape().back(), block = shape.back() / blocks;
  std::vector<int8_t> values(input.size());
  std::vector<float> scales(input.size() / block);
  for (size_t index = 0; index < scales.size(); ++index)
    scales[index] = quantizeBlock(input.floats().slice(index * block, block),
                                  MutableArrayRef(values).slice(index * block, block));
  frame.set(op.getValues(), Tensor(shape, std::move(values)));
  shape.back() = blocks;
  frame.set(op.getScales(), Tensor(shape, std::move(scales)));
  return success();
}

void reference::addLayerOps(Context &context) {
  context.add(embedding);
  context.add(linear);
  context.add(norm);
  context.add(rope);
  context.add(activation);
  context.add(gatherChannels);
  context.add(quantize);
}
