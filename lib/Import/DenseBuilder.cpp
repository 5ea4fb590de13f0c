//===- DenseBuilder.cpp - The vocabulary in which importers write a layer ---------------------===//
//
// See DenseBuilder.h. In attention the letters of dimensions are b sequence, s query slot, t key
// slot, n key-value head, g query head of that key-value head, d channel of a head.
//
//===------------------------------------------------------------------------------------------===//

#include "DenseBuilder.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include <limits>

using namespace mlir;
using namespace ingot;
using namespace ingot::import;

static RankedTensorType tensorOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// The type of `like` with another last dimension.
static RankedTensorType withLastDimension(Value like, int64_t size) {
  SmallVector<int64_t> shape(tensorOf(like).getShape());
  shape.back() = size;
  return RankedTensorType::get(shape, tensorOf(like).getElementType());
}

DenseBuilder::DenseBuilder(Block *block, Value x, Value positions, Value lengths)
    : builder(OpBuilder::atBlockEnd(block)), loc(builder.getUnknownLoc()), positions(positions),
      lengths(lengths), x(x) {}

SmallVector<Value, 2> DenseBuilder::getBatchSizes() {
  if (!sequences) {
    Location role = loc;
    setRole("sequences");
    sequences = tensor::DimOp::create(builder, loc, x, 0);
    setRole("slots");
    slots = tensor::DimOp::create(builder, loc, x, 1);
    loc = role;
  }
  return {sequences, slots};
}

SmallVector<Value> DenseBuilder::getUnknownSizes(Value like) {
  SmallVector<Value> sizes;
  auto shape = tensorOf(like).getShape();
  for (auto [dim, size] : llvm::enumerate(shape))
    if (ShapedType::isDynamic(size))
      sizes.push_back(tensor::DimOp::create(builder, loc, like, dim));
  return sizes;
}

Value DenseBuilder::weight(const Twine &role) const { return weights.lookup(role.str()); }

void DenseBuilder::setRole(StringRef role) { loc = NameLoc::get(builder.getStringAttr(role)); }

Value DenseBuilder::rmsNorm(Value x, StringRef name, float epsilon) {
  setRole(name);
  return transformer::NormOp::create(builder, loc, transformer::NormKind::Rms, x,
                                     weight(name + ".weight"),
                                     /*bias=*/Value(), llvm::APFloat(epsilon));
}

Value DenseBuilder::layerNorm(Value x, StringRef name, float epsilon) {
  setRole(name);
  return transformer::NormOp::create(builder, loc, transformer::NormKind::Layer, x,
                                     weight(name + ".weight"), weight(name + ".bias"),
                                     llvm::APFloat(epsilon));
}

Value DenseBuilder::linear(Value x, StringRef name) {
  setRole(name);
  Value matrix = weight(name + ".weight");
  if (Value order = weight(name + ".order"))
    x = transformer::GatherChannelsOp::create(builder, loc, x.getType(), x, order);
  auto rows = cast<transformer::WeightType>(matrix.getType()).getRows();
  return transformer::LinearOp::create(builder, loc, withLastDimension(x, rows), x,
                                       /*scales=*/Value(), matrix, weight(name + ".bias"));
}

Value DenseBuilder::splitDimension(Value x, int64_t dim, ArrayRef<int64_t> sizes) {
  auto type = tensorOf(x);
  SmallVector<int64_t> shape;
  SmallVector<OpFoldResult> resultSizes;
  SmallVector<ReassociationIndices> groups;
  auto batch = getBatchSizes();
  for (int64_t from = 0; from < type.getRank(); ++from) {
    auto &group = groups.emplace_back();
    bool isSplit = from == dim;
    for (int64_t size : isSplit ? sizes : type.getShape().slice(from, 1)) {
      group.push_back(shape.size());
      shape.push_back(size);
      // The unknown sizes are those of the batch, in front.
      resultSizes.push_back(ShapedType::isDynamic(size) ? OpFoldResult(batch[from ? 1 : 0])
                                                        : builder.getIndexAttr(size));
    }
  }
  return tensor::ExpandShapeOp::create(builder, loc, type.clone(shape), x, groups, resultSizes);
}

Value DenseBuilder::splitHeads(Value x, int64_t heads) {
  auto type = tensorOf(x);
  return splitDimension(x, type.getRank() - 1, {heads, type.getShape().back() / heads});
}

Value DenseBuilder::mergeHeads(Value x) {
  SmallVector<ReassociationIndices> merged = {{0}, {1}, {2, 3}};
  return tensor::CollapseShapeOp::create(builder, loc, x, merged);
}

Value DenseBuilder::rope(Value x, const RopeParameters &parameters) {
  bool isPartial = parameters.dims && parameters.dims != tensorOf(x).getShape().back();
  return transformer::RopeOp::create(
      builder, loc, x.getType(),
      transformer::RopeLayoutAttr::get(builder.getContext(), parameters.layout), x, positions,
      builder.getF64FloatAttr(parameters.base),
      isPartial ? builder.getI64IntegerAttr(parameters.dims) : IntegerAttr(),
      parameters.factors.empty() ? DenseF32ArrayAttr()
                                 : builder.getDenseF32ArrayAttr(parameters.factors));
}

Value DenseBuilder::filled(RankedTensorType type, ValueRange sizes, float number) {
  Value element = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(number));
  return tensor::SplatOp::create(builder, loc, element, type, sizes);
}

Value DenseBuilder::contract(RankedTensorType type, ValueRange sizes, Value a, StringRef aLetters,
                             Value b, StringRef bLetters, StringRef resultLetters) {
  // Loops: the result's dimensions, then those that are summed.
  std::string loops = resultLetters.str();
  for (char letter : aLetters)
    if (!resultLetters.contains(letter))
      loops.push_back(letter);
  auto mapOf = [&](StringRef letters) {
    SmallVector<unsigned> dims;
    for (char letter : letters)
      dims.push_back(loops.find(letter));
    return AffineMapAttr::get(
        AffineMap::getMultiDimMapWithTargets(loops.size(), dims, builder.getContext()));
  };
  Value zero = arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(0));
  Value empty = tensor::EmptyOp::create(builder, loc, type, sizes);
  Value init = linalg::FillOp::create(builder, loc, zero, empty).getResult(0);
  auto maps = builder.getArrayAttr({mapOf(aLetters), mapOf(bLetters), mapOf(resultLetters)});
  return linalg::ContractOp::create(builder, loc, TypeRange(type), ValueRange{a, b},
                                    ValueRange{init}, maps)
      .getResult(0);
}

Value DenseBuilder::maskScores(Value scores, ValueRange sizes,
                               const AttentionParameters &parameters) {
  auto type = tensorOf(scores);
  auto shape = type.getShape();
  auto maskType = RankedTensorType::get({shape[0], shape[3], shape[4]}, builder.getI1Type());
  auto window = parameters.window ? builder.getI64IntegerAttr(parameters.window) : IntegerAttr();
  Value mask = transformer::AttentionMaskOp::create(builder, loc, maskType, positions, lengths,
                                                    parameters.isCausal, window);
  Value empty = tensor::EmptyOp::create(builder, loc, type.clone(builder.getI1Type()), sizes);
  Value everyHead = linalg::BroadcastOp::create(builder, loc, mask, empty, ArrayRef<int64_t>{1, 2})
                        .getResult()[0];
  Value hidden = filled(type, sizes, -std::numeric_limits<float>::infinity());
  return arith::SelectOp::create(builder, loc, everyHead, scores, hidden);
}

Value DenseBuilder::attention(Value q, Value k, Value v, const AttentionParameters &parameters) {
  setRole("attention");
  auto keyShape = tensorOf(k).getShape();
  int64_t keyHeads = keyShape[2], dims = keyShape[3], group = tensorOf(q).getDimSize(2) / keyHeads;
  int64_t unknown = ShapedType::kDynamic;
  auto f32 = builder.getF32Type();
  Value grouped = splitDimension(q, 2, {keyHeads, group});

  auto batch = getBatchSizes();
  SmallVector<Value> sizes = {batch[0], batch[1], batch[1]};
  auto scoresType = RankedTensorType::get({unknown, keyHeads, group, unknown, unknown}, f32);
  Value scores = contract(scoresType, sizes, grouped, "bsngd", k, "btnd", "bngst");
  scores = arith::MulFOp::create(builder, loc, scores, filled(scoresType, sizes, parameters.scale));
  if (float cap = parameters.softCap) {
    scores = arith::DivFOp::create(builder, loc, scores, filled(scoresType, sizes, cap));
    scores = math::TanhOp::create(builder, loc, scores);
    scores = arith::MulFOp::create(builder, loc, scores, filled(scoresType, sizes, cap));
  }
  scores = maskScores(scores, sizes, parameters);

  Value empty = tensor::EmptyOp::create(builder, loc, scoresType, sizes);
  Value weights =
      linalg::SoftmaxOp::create(builder, loc, TypeRange(scoresType), scores, empty, /*dimension=*/4)
          .getResult()[0];
  auto resultType = RankedTensorType::get({unknown, unknown, keyHeads, group, dims}, f32);
  Value result =
      contract(resultType, ValueRange(sizes).take_front(2), weights, "bngst", v, "btnd", "bsngd");
  SmallVector<ReassociationIndices> merged = {{0}, {1}, {2, 3, 4}};
  return tensor::CollapseShapeOp::create(builder, loc, result, merged);
}

Value DenseBuilder::activate(Value x, transformer::ActivationKind kind) {
  return transformer::ActivationOp::create(builder, loc, x.getType(), kind, x);
}

Value DenseBuilder::multiply(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }

Value DenseBuilder::add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }

Value DenseBuilder::scale(Value x, float number) {
  return arith::MulFOp::create(builder, loc, x, filled(tensorOf(x), getUnknownSizes(x), number));
}

Value DenseBuilder::softCap(Value x, float cap) {
  Value caps = filled(tensorOf(x), getUnknownSizes(x), cap);
  Value ratio = arith::DivFOp::create(builder, loc, x, caps);
  return arith::MulFOp::create(builder, loc, math::TanhOp::create(builder, loc, ratio), caps);
}
