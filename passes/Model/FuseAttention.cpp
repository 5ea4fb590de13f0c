//===- FuseAttention.cpp - Raise scores, mask, softmax and values to one op -------------------===//
//
// The match starts at a softmax and walks both ways: back over mask, scale and the contraction of
// queries with keys, forward to the contraction with values. Which dimension is what follows from
// the indexing maps alone: a letter that both operands and the result have is a batch or head, the
// softmax's dimension is the context, the one that the scores sum over is the channel. The operands
// are then brought to [B, S, H, D] by transposes and collapses, which fold away for spellings that
// come from there.
//
//===------------------------------------------------------------------------------------------===//

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/RegionUtils.h"
#include "passes/Model/Passes.h"
#include "passes/Model/TokenMixing.h"

namespace ingot::model {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/Model/Passes.h.inc"
} // namespace ingot::model

using namespace mlir;
using namespace ingot;

namespace {

/// A contraction y[...] = sum a[...] b[...] by the positions that its iterators have in each
/// tensor.
struct Contraction {
  Value a, b;
  SmallVector<AffineMap, 3> maps;
  unsigned iterators = 0;

  /// Position of the iterator in tensor 0 (a), 1 (b) or 2 (y), or -1.
  int find(unsigned iterator, unsigned tensor) const {
    AffineMap map = maps[tensor];
    for (auto [index, expr] : llvm::enumerate(map.getResults()))
      if (cast<AffineDimExpr>(expr).getPosition() == iterator)
        return index;
    return -1;
  }
  /// The iterator at a position of a tensor.
  unsigned at(unsigned tensor, unsigned position) const {
    return cast<AffineDimExpr>(maps[tensor].getResult(position)).getPosition();
  }
};

/// Everything that was found about one attention.
struct Match {
  linalg::SoftmaxOp softmax;
  Contraction scores, values;
  Operation *valuesOp = nullptr;
  transformer::AttentionMaskOp mask;
  SmallVector<int64_t> maskDims; ///< where the mask's [b, s, t] lie in the scores
  double scale = 1;
};

bool isZeroFilled(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs().front(), m_AnyZeroFloat());
}

std::optional<Contraction> matchContraction(Operation *op) {
  auto linalgOp = dyn_cast_or_null<linalg::LinalgOp>(op);
  if (!linalgOp || !linalg::isaContractionOpInterface(linalgOp) ||
      !isZeroFilled(linalgOp.getDpsInits()[0]))
    return std::nullopt;
  Contraction result;
  result.a = linalgOp.getDpsInputs()[0];
  result.b = linalgOp.getDpsInputs()[1];
  result.maps = linalgOp.getIndexingMapsArray();
  result.iterators = linalgOp.getNumLoops();
  for (AffineMap map : result.maps)
    if (!map.isProjectedPermutation())
      return std::nullopt;
  return result;
}

/// The number that a tensor holds in every element.
std::optional<double> matchSplat(Value value) {
  FloatAttr number;
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    return matchPattern(splat.getInput(), m_Constant(&number))
               ? std::optional(number.getValueAsDouble())
               : std::nullopt;
  DenseFPElementsAttr dense;
  if (matchPattern(value, m_Constant(&dense)) && dense.isSplat())
    return dense.getSplatValue<APFloat>().convertToDouble();
  return std::nullopt;
}

/// Strips multiplications and divisions by one number from a value.
Value stripScale(Value value, double &scale) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto multiply = dyn_cast<arith::MulFOp>(op)) {
      std::optional<double> left = matchSplat(multiply.getLhs()),
                            right = matchSplat(multiply.getRhs());
      if (!left && !right)
        break;
      scale *= left ? *left : *right;
      value = left ? multiply.getRhs() : multiply.getLhs();
    } else if (auto divide = dyn_cast<arith::DivFOp>(op)) {
      std::optional<double> right = matchSplat(divide.getRhs());
      if (!right)
        break;
      scale /= *right;
      value = divide.getLhs();
    } else {
      break;
    }
  }
  return value;
}

/// The mask op behind a predicate over the scores, and where its dimensions lie there.
LogicalResult matchMask(Value predicate, Match &match) {
  int64_t rank = cast<ShapedType>(predicate.getType()).getRank();
  match.maskDims.clear();
  if (auto broadcast = predicate.getDefiningOp<linalg::BroadcastOp>()) {
    for (int64_t dim = 0; dim < rank; ++dim)
      if (!llvm::is_contained(broadcast.getDimensions(), dim))
        match.maskDims.push_back(dim);
    predicate = broadcast.getInput();
  } else {
    llvm::append_range(match.maskDims, llvm::seq<int64_t>(0, rank));
  }
  match.mask = predicate.getDefiningOp<transformer::AttentionMaskOp>();
  return success(match.mask && match.maskDims.size() == 3);
}

/// Strips the mask, selected (mask ? scores : -inf) or added (scores + (mask ? 0 : -inf)).
LogicalResult stripMask(Value &value, Match &match) {
  auto isMinusInfinity = [](Value x) {
    std::optional<double> number = matchSplat(x);
    return number && *number <= -3.0e38;
  };
  if (auto select = value.getDefiningOp<arith::SelectOp>()) {
    if (!isMinusInfinity(select.getFalseValue()) || failed(matchMask(select.getCondition(), match)))
      return failure();
    value = select.getTrueValue();
    return success();
  }
  auto add = value.getDefiningOp<arith::AddFOp>();
  if (!add)
    return failure();
  for (auto [bias, scores] :
       {std::pair(add.getLhs(), add.getRhs()), {add.getRhs(), add.getLhs()}}) {
    auto select = bias.getDefiningOp<arith::SelectOp>();
    if (!select || !isMinusInfinity(select.getFalseValue()) ||
        matchSplat(select.getTrueValue()) != 0.0 || failed(matchMask(select.getCondition(), match)))
      continue;
    value = scores;
    return success();
  }
  return failure();
}

/// Finds the parts around a softmax; the reason where one is missing.
StringRef findParts(linalg::SoftmaxOp softmax, Match &match) {
  match.softmax = softmax;
  Value result = softmax->getResult(0);
  if (!result.hasOneUse())
    return "the probabilities have other uses";
  match.valuesOp = *result.user_begin();
  auto values = matchContraction(match.valuesOp);
  if (!values)
    return "the probabilities are not multiplied with values";
  if (values->a != result) {
    std::swap(values->a, values->b);
    std::swap(values->maps[0], values->maps[1]);
  }
  match.values = *values;
  Value scores = softmax.getInput();
  if (failed(stripMask(scores, match)))
    return "the mask is not transformer.attention_mask, selected or added";
  scores = stripScale(scores, match.scale);
  auto product = matchContraction(scores.getDefiningOp());
  if (!product)
    return "the scores are not a product of queries and keys";
  match.scores = *product;
  return {};
}

/// Permutes `value` so that its dimensions come in `order`, collapsing the groups [0], [1],
/// [2..n-2], [n-1].
Value canonicalize(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> order) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!llvm::equal(order, llvm::seq<int64_t>(0, order.size()))) {
    SmallVector<int64_t> shape;
    SmallVector<Value> sizes;
    for (int64_t dim : order) {
      shape.push_back(type.getDimSize(dim));
      if (type.isDynamicDim(dim))
        sizes.push_back(tensor::DimOp::create(builder, loc, value, dim));
    }
    Value init = tensor::EmptyOp::create(builder, loc, shape, type.getElementType(), sizes);
    value = linalg::TransposeOp::create(builder, loc, value, init, order).getResult()[0];
  }
  int64_t rank = order.size();
  if (rank == 4)
    return value;
  SmallVector<ReassociationIndices> groups{{0}, {1}, {}, {rank - 1}};
  for (int64_t dim = 2; dim < rank - 1; ++dim)
    groups[2].push_back(dim);
  return builder.createOrFold<tensor::CollapseShapeOp>(loc, value, groups);
}

/// Which dimension is what, by the position it has in the scores.
struct Roles {
  int64_t sequence, query, context;   ///< b, s, t
  SmallVector<int64_t> heads, groups; ///< n: in keys too; g: in queries only
};

/// Replaces the match, or says why it cannot.
StringRef rewrite(Match &match) {
  Contraction &scores = match.scores, &values = match.values;
  Roles roles{match.maskDims[0], match.maskDims[1], match.maskDims[2], {}, {}};
  if (int64_t(match.softmax.getDimension()) != roles.context)
    return "the softmax is not over the mask's context";
  // Queries are the operand that has the mask's second dimension.
  if (scores.find(scores.at(2, roles.query), 0) < 0) {
    std::swap(scores.a, scores.b);
    std::swap(scores.maps[0], scores.maps[1]);
  }
  int64_t rank = scores.maps[2].getNumResults();
  for (int64_t dim = 0; dim < rank; ++dim) {
    unsigned iterator = scores.at(2, dim);
    bool inQuery = scores.find(iterator, 0) >= 0, inKey = scores.find(iterator, 1) >= 0;
    bool expectQuery = dim != roles.context,
         expectKey = dim == roles.context || dim == roles.sequence;
    if (dim != roles.sequence && dim != roles.query && dim != roles.context)
      (inKey ? roles.heads : roles.groups).push_back(dim);
    else if (inQuery != expectQuery || inKey != expectKey)
      return "queries and keys are not indexed by sequence and token";
    if (!inQuery && dim != roles.context)
      return "keys have a dimension that queries lack";
  }
  if (roles.heads.empty() && roles.groups.empty())
    return "there are no heads";

  // The channel: the one iterator that the scores sum over. In the values: the one the
  // probabilities lack.
  auto summed = [](const Contraction &c, unsigned absentFrom) -> int {
    int found = -1;
    for (unsigned i = 0; i < c.iterators; ++i)
      if (c.find(i, absentFrom) < 0)
        found = found < 0 ? int(i) : -2;
    return found;
  };
  int channel = summed(scores, 2), outputChannel = summed(values, 0);
  if (channel < 0 || outputChannel < 0)
    return "more than one channel dimension";

  auto order = [&](const Contraction &c, unsigned tensor, unsigned reference, int64_t token,
                   bool withGroups, unsigned last) {
    // Iterators of the contraction that stand for the scores' dimensions: they index tensor
    // `reference`.
    SmallVector<int64_t> dims;
    SmallVector<int64_t> wanted{roles.sequence, token};
    llvm::append_range(wanted, roles.heads);
    if (withGroups)
      llvm::append_range(wanted, roles.groups);
    for (int64_t dim : wanted)
      dims.push_back(c.find(c.at(reference, dim), tensor));
    dims.push_back(c.find(last, tensor));
    return dims;
  };
  SmallVector<int64_t> queryOrder = order(scores, 0, 2, roles.query, true, channel);
  SmallVector<int64_t> keyOrder = order(scores, 1, 2, roles.context, false, channel);
  SmallVector<int64_t> valueOrder = order(values, 1, 0, roles.context, false, outputChannel);
  SmallVector<int64_t> resultOrder = order(values, 2, 0, roles.query, true, outputChannel);
  for (auto &dims : {queryOrder, keyOrder, valueOrder, resultOrder})
    if (llvm::is_contained(dims, -1))
      return "values are not indexed as the scores are";
  if (!llvm::equal(resultOrder, llvm::seq<int64_t>(0, resultOrder.size())))
    return "the result is not in the order of queries";

  double queryScale = 1;
  scores.a = stripScale(scores.a, queryScale);
  scores.b = stripScale(scores.b, queryScale);
  OpBuilder builder(match.valuesOp);
  Location loc = match.valuesOp->getLoc();
  Value query = canonicalize(builder, loc, scores.a, queryOrder);
  Value key = canonicalize(builder, loc, scores.b, keyOrder);
  Value value = canonicalize(builder, loc, values.b, valueOrder);
  auto type = cast<RankedTensorType>(query.getType());
  auto attention = transformer::AttentionOp::create(
      builder, loc, type, query, key, value, match.mask.getPositions(), match.mask.getLengths(),
      Value(), match.mask.getCausal(), APFloat(float(match.scale * queryScale)),
      match.mask.getWindowAttr());
  Value result = attention.getResult();
  auto resultType = cast<RankedTensorType>(match.valuesOp->getResult(0).getType());
  if (resultType.getRank() != 4) {
    SmallVector<ReassociationIndices> groups{{0}, {1}, {}, {resultType.getRank() - 1}};
    for (int64_t dim = 2; dim < resultType.getRank() - 1; ++dim)
      groups[2].push_back(dim);
    result = tensor::ExpandShapeOp::create(builder, loc, resultType, result, groups);
  }
  match.valuesOp->getResult(0).replaceAllUsesWith(result);
  return {};
}

struct FuseAttention : model::impl::FuseAttentionBase<FuseAttention> {
  void runOnOperation() override {
    SmallVector<linalg::SoftmaxOp> softmaxes;
    getOperation().walk([&](linalg::SoftmaxOp softmax) { softmaxes.push_back(softmax); });
    for (linalg::SoftmaxOp softmax : softmaxes) {
      Match match;
      StringRef reason = findParts(softmax, match);
      if (reason.empty())
        reason = rewrite(match);
      auto options = model::remarkAbout(softmax, "FuseAttention");
      if (!reason.empty()) {
        remark::missed(softmax.getLoc(), options) << remark::reason("{0}", reason);
        continue;
      }
      remark::passed(softmax.getLoc(), options)
          << "scores, mask, softmax and values are one attention";
      ++numFused;
    }
    // What the attention was made of is dead now.
    IRRewriter rewriter(&getContext());
    for (auto function : getOperation().getOps<func::FuncOp>())
      (void)runRegionDCE(rewriter, function->getRegions());
    if (failed(foldReshapes()))
      return signalPassFailure();
  }

  /// Collapses of expansions that the rewrite put beside each other.
  LogicalResult foldReshapes() {
    RewritePatternSet patterns(&getContext());
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    linalg::TransposeOp::getCanonicalizationPatterns(patterns, &getContext());
    return applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};

} // namespace
