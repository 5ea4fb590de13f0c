//===- Embedding.cpp - Rows of a table, rows of a result --------------------------------------------===//
//
// Embedding: one block a token. The table is packed for products too (the output is often tied to
// it), so a block decodes the whole row group of its token, keeps one row of the eight, and reads
// eight times the row's bytes: 5 KB for 576 columns at 8 bits, which a step does not notice.
// On a GPU it is planar, or plain, and a block reads its row alone.
// SelectRows: one block a wanted row, a copy.
//
//===----------------------------------------------------------------------------------------------===//

#include "Common.h"
#include "Families.h"
#include "GpuProduct.h"

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

/// A row of a weight as a GPU has it, to float32, and where it goes.
static void copyRowOnGpu(TileBuilder &b, const Request &request, transformer::WeightType table,
                         Value weight, Value row, Value output, Value token) {
  auto view = cast<tile::ViewType>(weight.getType());
  int64_t columns = view.getShape()[1];
  RankedTensorType type = rowTile(request, b.f32(), columns);
  using Part = Spread::Part;
  if (view.isPacked()) {
    constexpr int64_t lanes = 32, mostWarps = 8;
    int64_t run = getGpuRun(table), warps = 1;
    while (warps < mostWarps && run * lanes * warps < columns)
      warps *= 2;
    type = spreadTile({1, run * lanes * warps}, b.f32(),
                      {{Part::Register, 1, run}, {Part::Lane, 1, lanes}, {Part::Warp, 1, warps}});
  }
  int64_t step = type.getDimSize(1);
  bool masked = columns % step;
  b.forLoop(b.index(0), b.index(columns), step, [&](Value column) {
    Value values;
    if (view.isPacked())
      values = decodePlanar(b, weight, row, column, type, masked);
    else
      values = b.toF32(b.load(weight, {row, column}, type.clone(view.getElementType()), masked));
    b.store(values, output, {token, column}, masked);
  });
}

/// Whether a GPU reads the table as products of GpuProduct.h do.
static bool isForGpu(const Request &request, transformer::WeightType weight) {
  return request.machine == Machine::Cuda && (plainElementType(weight) || getGpuRun(weight));
}

static Emission emitEmbedding(const Request &request, OpBuilder &builder,
                              OpBuilder &kernelBuilder) {
  auto op = findOp<transformer::EmbeddingOp>(request.compute);
  auto weight = op.getWeight().getType();
  MLIRContext *context = builder.getContext();
  auto rows = tile::ViewType::sizeFor(request.rows);
  bool isGpu = isForGpu(request, weight);
  Type views[] = {tile::ViewType::get(context, {rows}, builder.getI32Type()),
                  isGpu ? gpuWeightView(weight) : packedView(weight),
                  rowsView(op.getResult().getType(), request.rows)};
  auto kernel =
      beginKernel(kernelBuilder, request, views, {tile::ExtentAttr::get(context, request.rows)});
  auto args = kernel.getViews();

  TileBuilder b(kernelBuilder, op.getLoc());
  Value token = b.blockId(tile::Axis::X);
  Value id = b.readIndex(args[0], {token});
  Value row = b.rem(id, interleavedRows), firstRow = b.sub(id, row);
  const NumericFormat &format = *NumericFormat::lookup(weight.getFormat());
  if (isGpu)
    copyRowOnGpu(b, request, weight, args[1], id, args[2], token);
  else
    b.forLoop(b.index(0), b.index(weight.getColumns()), decodedColumns(format), [&](Value column) {
      Value values = decodeValues(b, args[1], firstRow, column);
      b.store(keepRow(b, values, row), args[2], {token, column});
    });
  tile::ReturnOp::create(kernelBuilder, op.getLoc());

  Emission emission{kernel};
  Value table = outerValue(request.compute, op.getWeight());
  emission.operands = {outerValue(request.compute, op.getIds()),
                       isGpu ? packForGpu(builder, op.getLoc(), table)
                             : packWeight(builder, op.getLoc(), table)};
  emission.inPlace = {-1};
  uint64_t bytesPerRow = *format.bytesForRow(weight.getColumns());
  emission.cost = {0, bytesPerRow * (isGpu ? 1 : interleavedRows) + 4 * weight.getColumns(),
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

  TileBuilder b(kernelBuilder, op.getLoc());
  Value output = b.blockId(tile::Axis::X);
  tile::AwaitLaunchesOp::create(b.builder, b.loc);
  Value token = b.readIndex(args[1], {output});
  RankedTensorType type = rowTile(request, b.f32(), columns);
  int64_t width = type.getDimSize(1);
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
