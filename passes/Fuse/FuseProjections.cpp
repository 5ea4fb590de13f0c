//===- FuseProjections.cpp - Queries, keys and values in one region -----------------------------===//
//
// Starts at an append_cache and looks back for the products behind its keys and values, and forward
// through the attention that reads it for the product behind the queries. Weights are stacked in
// the order query, key, value, which the kernel relies on.
//
//===--------------------------------------------------------------------------------------------===//

#include "passes/Fuse/Passes.h"
#include "passes/Fuse/Regions.h"

namespace ingot::fuse {
#define GEN_PASS_DEF_FUSEPROJECTIONS
#include "passes/Fuse/Passes.h.inc"
} // namespace ingot::fuse

using namespace mlir;
using namespace ingot;

namespace {

/// The ops behind queries, keys or values: a product, its split into heads, perhaps a rotation.
struct Projection {
  transformer::LinearOp linear;
  tensor::ExpandShapeOp heads;
  transformer::RopeOp rope; ///< null without rotation
};

/// The ops that `value` comes from, if nothing else uses what is between.
std::optional<Projection> traceProjection(Value value) {
  Projection found;
  auto step = [&](auto &op) {
    using OpT = std::remove_reference_t<decltype(op)>;
    op = value.hasOneUse() ? value.getDefiningOp<OpT>() : OpT();
    if (op)
      value = op->getOperand(0);
    return bool(op);
  };
  step(found.rope);
  if (!step(found.heads) || !step(found.linear))
    return std::nullopt;
  return found;
}

/// What becomes one region.
struct Projections {
  Projection query, key, value;
  transformer::AppendCacheOp append;

  SmallVector<transformer::LinearOp, 3> linears() const {
    return {query.linear, key.linear, value.linear};
  }
};

/// Finds the products around `append`, or says what is missing.
std::optional<Projections> findProjections(transformer::AppendCacheOp append, std::string &reason) {
  transformer::CachedAttentionOp attention;
  for (Operation *user : append->getUsers())
    if (auto reader = dyn_cast<transformer::CachedAttentionOp>(user);
        reader && reader.getLayer() == append.getLayer() && user->getBlock() == append->getBlock())
      attention = reader;
  if (!attention)
    return reason = "no attention reads what was appended", std::nullopt;
  Projections found{{}, {}, {}, append};
  for (auto [projection, value, name] : {std::tuple(&found.query, attention.getQuery(), "queries"),
                                         std::tuple(&found.key, append.getKey(), "keys"),
                                         std::tuple(&found.value, append.getValue(), "values")}) {
    auto traced = traceProjection(value);
    if (!traced || traced->linear->getBlock() != append->getBlock())
      return reason = llvm::formatv("{0} are no product that only attention uses", name),
             std::nullopt;
    *projection = *traced;
  }
  return found;
}

/// Why the products stay apart; empty if they can be one.
std::string reasonAgainst(Projections found) {
  transformer::LinearOp query = found.query.linear;
  transformer::WeightType type = query.getWeight().getType();
  if (cast<RankedTensorType>(query.getInput().getType()).getRank() != 2)
    return "tokens are not packed";
  for (transformer::LinearOp linear : found.linears()) {
    transformer::WeightType other = linear.getWeight().getType();
    if (linear.getInput() != query.getInput() || linear.getScales() != query.getScales())
      return "queries, keys and values come from different inputs";
    if (linear.getBias())
      return "a projection has a bias";
    if (other.getFormat() != type.getFormat() || other.getColumns() != type.getColumns() ||
        other.getPacking() || type.getPacking())
      return llvm::formatv("the weights {0} and {1} cannot be stacked", type, other);
  }
  transformer::RopeOp rope = found.query.rope, keyRope = found.key.rope;
  if (!rope || !keyRope || found.value.rope)
    return "not exactly queries and keys are rotated";
  if (rope->getAttrDictionary() != keyRope->getAttrDictionary())
    return "queries and keys are rotated differently";
  for (Value positions : {rope.getPositions(), keyRope.getPositions()}) {
    auto op = positions.getDefiningOp<transformer::PositionsOp>();
    if (!op || op.getBatch() != found.append.getBatch())
      return "rotations are not by the positions of the batch";
  }
  return {};
}

/// Writes the ops of the region in front of `append`: one product, its parts, and what follows.
class Stacker {
public:
  explicit Stacker(const Projections &found)
      : found(found), append(found.append), builder(append), loc(append.getLoc()) {}

  /// Fails and changes nothing, with the reason, if no region can be formed.
  LogicalResult stack(std::string &reason) {
    Value weight = concatWeights();
    transformer::LinearOp query = found.query.linear;
    auto outputType = RankedTensorType::get(
        {ShapedType::kDynamic, cast<transformer::WeightType>(weight.getType()).getRows()},
        builder.getF32Type());
    Value all = add<transformer::LinearOp>(outputType, query.getInput(), query.getScales(), weight,
                                           Value());
    rows = add<tensor::DimOp>(all, add<arith::ConstantIndexOp>(0));
    Value positions = add<transformer::PositionsOp>(
        cast<RankedTensorType>(found.query.rope.getPositions().getType()), append.getBatch());
    Value queries = rotate(found.query, slice(all, found.query), positions);
    Value keys = rotate(found.key, slice(all, found.key), positions);
    Value values = slice(all, found.value);
    auto stacked =
        add<transformer::AppendCacheOp>(append.getResult().getType(), append.getCache(),
                                        append.getLayer(), keys, values, append.getBatch());
    Value oldQueries = found.query.rope.getResult();
    oldQueries.replaceAllUsesWith(queries);
    append.getResult().replaceAllUsesWith(stacked);
    if (succeeded(fuse::fuseOps("LinearRopeAppendCache", created, reason))) {
      eraseOld();
      return success();
    }
    queries.replaceAllUsesWith(oldQueries);
    stacked.replaceAllUsesWith(append.getResult());
    for (Operation *op : llvm::reverse(created))
      op->erase();
    weight.getDefiningOp()->erase();
    return failure();
  }

private:
  /// Adds an op to the region to be; its result, if it has one.
  template <typename OpT, typename... Args> Value add(Args &&...args) {
    auto op = OpT::create(builder, loc, std::forward<Args>(args)...);
    created.push_back(op);
    return op->getResult(0);
  }

  Value concatWeights() {
    SmallVector<Value> weights;
    int64_t sum = 0;
    transformer::WeightType type;
    for (transformer::LinearOp linear : found.linears()) {
      type = linear.getWeight().getType();
      sum += type.getRows();
      weights.push_back(linear.getWeight());
    }
    auto stacked =
        transformer::WeightType::get(type.getContext(), {sum, type.getColumns()}, type.getFormat());
    return transformer::ConcatWeightsOp::create(builder, loc, stacked, weights);
  }

  /// The next columns of the product, as many as the projection had, split into its heads.
  Value slice(Value all, const Projection &projection) {
    transformer::LinearOp linear = projection.linear;
    tensor::ExpandShapeOp heads = projection.heads;
    int64_t columns = linear.getWeight().getType().getRows();
    OpFoldResult one = builder.getIndexAttr(1), count = rows;
    Value part = add<tensor::ExtractSliceOp>(
        linear.getResult().getType(), all,
        ArrayRef<OpFoldResult>{builder.getIndexAttr(0), builder.getIndexAttr(column)},
        ArrayRef<OpFoldResult>{count, builder.getIndexAttr(columns)},
        ArrayRef<OpFoldResult>{one, one});
    column += columns;
    SmallVector<OpFoldResult> shape{count};
    for (int64_t size : heads.getResultType().getShape().drop_front())
      shape.push_back(builder.getIndexAttr(size));
    return add<tensor::ExpandShapeOp>(heads.getResultType(), part, heads.getReassociationIndices(),
                                      shape);
  }

  Value rotate(const Projection &projection, Value input, Value positions) {
    transformer::RopeOp rope = projection.rope;
    IRMapping mapping;
    mapping.map(rope.getInput(), input);
    mapping.map(rope.getPositions(), positions);
    created.push_back(builder.clone(*rope, mapping));
    return created.back()->getResult(0);
  }

  void eraseOld() {
    append.erase();
    for (const Projection &projection : {found.query, found.key, found.value}) {
      if (projection.rope)
        projection.rope->erase();
      projection.heads->erase();
      projection.linear->erase();
    }
  }

  Projections found;
  transformer::AppendCacheOp append;
  OpBuilder builder;
  Location loc;
  SmallVector<Operation *> created;
  Value rows;
  int64_t column = 0;
};

struct FuseProjections : fuse::impl::FuseProjectionsBase<FuseProjections> {
  using FuseProjectionsBase::FuseProjectionsBase;

  void runOnOperation() override {
    fuse::forwardRowCounts(getOperation());
    for (auto append : fuse::opsOutsideOfRegions<transformer::AppendCacheOp>(getOperation()))
      visit(append);
  }

private:
  void visit(transformer::AppendCacheOp append) {
    auto opts = fuse::remarkOptions(append, "FuseProjections");
    Location loc = append.getLoc();
    std::string reason;
    auto found = findProjections(append, reason);
    if (found)
      reason = reasonAgainst(*found);
    if (!reason.empty() || failed(Stacker(*found).stack(reason))) {
      remark::missed(loc, opts) << remark::reason("{0}", reason);
      return;
    }
    ++numRegions;
    remark::passed(loc, opts) << remark::add("queries, keys and values in one product");
  }
};

} // namespace
