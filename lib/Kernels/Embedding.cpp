//===- Embedding.cpp - Rows of a table, rows of a result --------------------------------------------===//
//
// Embedding: one block a token. The table is packed for products too (the output is often tied to
// it), so a block decodes the whole row group of its token, keeps one row of the eight, and reads
// eight times the row's bytes: 5 KB for 576 columns at 8 bits, which a step does not notice.
// SelectRows: one block a wanted row, a copy.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

//===----------------------------------------------------------------------------------------------===//
// Embedding
//===----------------------------------------------------------------------------------------------===//

static LogicalResult supportsEmbedding(const Request &request, std::string &reason) {
  auto op = findOp<transformer::EmbeddingOp>(request.compute);
  return op ? canDecode(op.getWeight().getType(), reason)
            : (reason = "no single embedding", failure());
}

/// Keeps row `row` of an [8, G] tile: [1, G], the same in every lane. Sums of one number and zeros
/// are exact.
static Value keepRow(TileBuilder &b, Value values, Value row) {
  auto type = cast<RankedTensorType>(values.getType());
  Value rows = b.iota(type.getShape(), 0, 0);
  Value wanted = b.splat(b.toI32(row), cast<RankedTensorType>(rows.getType()));
  Value isWanted = arith::CmpIOp::create(b.builder, b.loc, arith::CmpIPredicate::eq, rows, wanted);
  Value kept = arith::SelectOp::create(b.builder, b.loc, isWanted, values, b.constant(type, 0));
  return b.reduce(tile::ReduceKind::Add, kept, 0);
}

static Emission emitEmbedding(const Request &request, OpBuilder &builder,
                              OpBuilder &kernelBuilder) {
  auto op = findOp<transformer::EmbeddingOp>(request.compute);
  auto weight = op.getWeight().getType();
  MLIRContext *context = builder.getContext();
  auto rows = tile::ViewType::sizeFor(request.rows);
  Type views[] = {tile::ViewType::get(context, {rows}, builder.getI32Type()), packedView(weight),
                  rowsView(op.getResult().getType(), request.rows)};
  auto kernel =
      beginKernel(kernelBuilder, request, views, {tile::ExtentAttr::get(context, request.rows)});
  auto args = kernel.getViews();

  TileBuilder b(kernelBuilder, op.getLoc());
  Value token = b.blockId(tile::Axis::X);
  Value id = b.readIndex(args[0], {token});
  Value row = b.rem(id, interleavedRows), firstRow = b.sub(id, row);
  const NumericFormat &format = *NumericFormat::lookup(weight.getFormat());
  b.forLoop(b.index(0), b.index(weight.getColumns()), decodedColumns(format), [&](Value column) {
    Value values = decodeValues(b, args[1], firstRow, column);
    b.store(keepRow(b, values, row), args[2], {token, column});
  });
  tile::ReturnOp::create(kernelBuilder, op.getLoc());

  Emission emission{kernel};
  emission.operands = {
      outerValue(request.compute, op.getIds()),
      packWeight(builder, op.getLoc(), outerValue(request.compute, op.getWeight()))};
  emission.inPlace = {-1};
  uint64_t bytesPerRow = *format.bytesForRow(weight.getColumns());
  emission.cost = {0, bytesPerRow * interleavedRows + 4 * weight.getColumns(),
                   uint64_t(2 * weight.getColumns())};
  return emission;
}

const Family kernels::embeddingFamily = {"Embedding", supportsEmbedding, emitEmbedding};

//===----------------------------------------------------------------------------------------------===//
// SelectRows
//===----------------------------------------------------------------------------------------------===//

static LogicalResult supportsSelectRows(const Request &request, std::string &reason) {
  return success(findOp<transformer::SelectRowsOp>(request.compute) ||
                 (reason = "no single select_rows", false));
}

static Emission emitSelectRows(const Request &request, OpBuilder &builder,
                               OpBuilder &kernelBuilder) {
  auto op = findOp<transformer::SelectRowsOp>(request.compute);
  MLIRContext *context = builder.getContext();
  auto outputs = tile::ViewType::sizeFor(tile::Count::Outputs);
  int64_t columns = op.getResult().getType().getShape().back();
  Type views[] = {rowsView(op.getInput().getType(), tile::Count::Tokens),
                  tile::ViewType::get(context, {outputs}, builder.getI32Type()),
                  rowsView(op.getResult().getType(), tile::Count::Outputs)};
  auto kernel = beginKernel(kernelBuilder, request, views,
                            {tile::ExtentAttr::get(context, tile::Count::Outputs)});
  auto args = kernel.getViews();

  constexpr int64_t width = 32;
  TileBuilder b(kernelBuilder, op.getLoc());
  Value output = b.blockId(tile::Axis::X);
  Value token = b.readIndex(args[1], {output});
  auto type = tileType({1, width}, b.f32(), 1);
  b.forLoop(b.index(0), b.index(columns), width, [&](Value column) {
    b.store(b.load(args[0], {token, column}, type, columns % width), args[2], {output, column},
            columns % width);
  });
  tile::ReturnOp::create(kernelBuilder, op.getLoc());

  Emission emission{kernel};
  emission.operands = {outerValue(request.compute, op.getInput()),
                       outerValue(request.compute, op.getRows())};
  emission.inPlace = {-1};
  emission.cost = {0, uint64_t(8 * columns), 0};
  return emission;
}

const Family kernels::selectRowsFamily = {"SelectRows", supportsSelectRows, emitSelectRows};
