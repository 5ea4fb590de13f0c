//===- SelectKernels.cpp - From compute regions to tile kernels and launches ------------------------===//
//
// Each `transformer.compute` becomes a `tile.launch` of a kernel that its family emits; weights
// that kernels decode get their packing (`transformer.pack_weight`). Regions that are equal share
// one kernel. A region that its family does not support is an error that says why: the fuse stage
// promised a kernel.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/Kernel.h"
#include "passes/Tile/Passes.h"

namespace ingot::tile {
#define GEN_PASS_DEF_SELECTKERNELS
#include "passes/Tile/Passes.h.inc"
} // namespace ingot::tile

using namespace mlir;
using namespace ingot;

namespace {

/// The region as text: equal for regions that compute the same. Names of values start anew in it.
std::string keyOf(transformer::ComputeOp compute, tile::Count rows) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << compute.getKernel() << ' ' << tile::stringifyCount(rows) << ' ';
  if (Attribute schedule = compute->getAttr(kernels::scheduleName))
    os << schedule << ' ';
  llvm::interleaveComma(compute.getBody().getArgumentTypes(), os);
  OpPrintingFlags flags;
  flags.useLocalScope();
  for (Operation &op : compute.getBody().front()) {
    os << '\n';
    op.print(os, flags);
  }
  return text;
}

/// A readable name: family, shapes of its weights, and how rows are counted where that is not
/// tokens.
std::string nameOf(transformer::ComputeOp compute, tile::Count rows) {
  std::string name = compute.getKernel().str();
  llvm::raw_string_ostream os(name);
  for (Type type : compute.getInputs().getTypes())
    if (auto weight = dyn_cast<transformer::WeightType>(type); weight && weight.getRank() == 2)
      os << '_' << weight.getRows() << 'x' << weight.getColumns() << '_' << weight.getFormat();
  for (unsigned bits : {8, 16})
    if (llvm::any_of(compute.getInputs().getTypes(), [&](Type type) {
          auto tensor = dyn_cast<RankedTensorType>(type);
          return tensor && tensor.getElementType().isInteger(bits);
        }))
      os << "_int" << bits;
  if (rows != tile::Count::Tokens)
    os << '_' << tile::stringifyCount(rows);
  return name;
}

/// Threads of the largest layout in the kernel.
int64_t countThreads(tile::KernelOp kernel) {
  constexpr int64_t warpThreads = 32;
  int64_t warps = 1;
  kernel.getBody().walk([&](Operation *op) {
    for (Type type : op->getResultTypes())
      if (tile::isTile(type)) {
        tile::LayoutAttr layout = tile::getLayout(type);
        warps = std::max(warps, int64_t(1) << layout.getWarps().size() / layout.getRank());
      }
  });
  return warps * warpThreads;
}

struct SelectKernels : tile::impl::SelectKernelsBase<SelectKernels> {
  using SelectKernelsBase::SelectKernelsBase;

  void runOnOperation() override {
    if (target != "cpu" && target != "cuda") {
      getOperation().emitError("expected option 'target' to be cpu or cuda, got '")
          << target << "'";
      return signalPassFailure();
    }
    machine = target == "cuda" ? kernels::Machine::Cuda : kernels::Machine::Cpu;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      auto regions = llvm::to_vector(function.getOps<transformer::ComputeOp>());
      for (transformer::ComputeOp compute : regions)
        if (failed(select(compute)))
          return signalPassFailure();
    }
    getOperation()->setAttr(tile::TileDialect::versionAttrName,
                            Builder(&getContext()).getI64IntegerAttr(tile::TileDialect::version));
  }

private:
  /// What the rows of a region's results count: wanted outputs behind a `select_rows`, tokens
  /// elsewhere.
  tile::Count countRows(transformer::ComputeOp compute) {
    bool selects = !compute.getBody().front().getOps<transformer::SelectRowsOp>().empty();
    bool follows =
        llvm::any_of(compute.getInputs(), [&](Value input) { return perOutput.contains(input); });
    if (!selects && !follows)
      return tile::Count::Tokens;
    perOutput.insert(compute.getResults().begin(), compute.getResults().end());
    return tile::Count::Outputs;
  }

  LogicalResult select(transformer::ComputeOp compute) {
    const kernels::Family *family = kernels::lookupFamily(compute.getKernel());
    if (!family)
      return compute.emitOpError("expected 'kernel' to be a kernel family, got \"")
             << compute.getKernel() << '"';
    kernels::Request request{compute, countRows(compute), maxContext, 0, {}, machine};
    for (Value input : compute.getInputs())
      if (auto cache = dyn_cast<transformer::KVCacheType>(input.getType()))
        request.cachePages = llvm::divideCeil(maxContext, cache.getPage()) * maxSequences;
    request.name = nameOf(compute, request.rows);
    std::string reason;
    if (failed(family->supports(request, reason)))
      return compute.emitOpError("has no kernel: family ")
             << family->name << " does not support it: " << reason;

    if (failed(checkSchedule(compute)))
      return failure();
    OpBuilder builder(compute);
    auto kernelBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
    kernels::Emission emission = family->emit(request, builder, kernelBuilder);
    if (machine == kernels::Machine::Cpu && family->products)
      recordSchedule(emission.kernel, compute, family->products(request));
    std::string key = keyOf(compute, request.rows);
    ValueRange results = launch(emission, compute, key, request.rows, builder);
    while (emission.finish) {
      auto nextBuilder = OpBuilder::atBlockEnd(getOperation().getBody());
      emission = emission.finish(nextBuilder, results);
      results = launch(emission, compute, key += " finish", request.rows, builder);
    }
    results = results.take_front(compute.getNumResults());
    for (auto [old, result] : llvm::zip_equal(compute.getResults(), results))
      if (perOutput.contains(old))
        perOutput.insert(result);
    compute.replaceAllUsesWith(results);
    compute.erase();
    return success();
  }

  LogicalResult checkSchedule(transformer::ComputeOp compute) {
    Attribute attribute = compute->getAttr(kernels::scheduleName);
    if (!attribute)
      return success();
    std::string reason = "expected a schedule to be a dictionary";
    auto dictionary = dyn_cast<DictionaryAttr>(attribute);
    if (dictionary && succeeded(kernels::ProductSchedule::read(dictionary, {}, reason)))
      return success();
    return compute.emitOpError(reason);
  }

  /// What the kernel's time depends on, for the cost model.
  void recordSchedule(tile::KernelOp kernel, transformer::ComputeOp compute,
                      ArrayRef<kernels::ProductShape> products) {
    Builder builder(&getContext());
    SmallVector<Attribute> texts;
    for (const kernels::ProductShape &shape : products)
      texts.push_back(builder.getStringAttr(shape.toText()));
    kernel->setDiscardableAttr(kernels::productsName, builder.getArrayAttr(texts));
    auto otherwise = kernels::ProductSchedule::getDefault(products.front());
    std::string reason;
    if (auto attribute = compute->getAttrOfType<DictionaryAttr>(kernels::scheduleName))
      otherwise = kernels::ProductSchedule::read(attribute, otherwise, reason).value_or(otherwise);
    kernel->setDiscardableAttr(kernels::scheduleName, otherwise.toAttribute(&getContext()));
  }

  ValueRange launch(kernels::Emission &emission, transformer::ComputeOp compute, std::string key,
                    tile::Count rows, OpBuilder &builder) {
    tile::KernelOp kernel = merge(emission, std::move(key), rows);
    SmallVector<Type> types;
    if (!emission.isPreparation)
      llvm::append_range(types, compute.getResultTypes());
    llvm::append_range(types, emission.scratch);
    SmallVector<int64_t> inPlace(emission.inPlace);
    inPlace.append(emission.scratch.size(), -1);
    ++numLaunches;
    return tile::LaunchOp::create(builder, compute.getLoc(), types, kernel, emission.operands,
                                  inPlace)
        .getResults();
  }

  /// The kernel of an equal region, if there is one; else the new one, under a name of its own.
  tile::KernelOp merge(kernels::Emission &emission, std::string key, tile::Count rows) {
    auto [entry, isNew] = kernelOf.try_emplace(std::move(key), emission.kernel);
    if (!isNew) {
      emission.kernel.erase();
      return entry->second;
    }
    ++numKernels;
    if (machine == kernels::Machine::Cuda && !emission.kernel.getThreads())
      emission.kernel.setThreads(countThreads(emission.kernel));
    unsigned &uses = usesOfName[emission.kernel.getSymName()];
    if (uses++)
      emission.kernel.setSymName((emission.kernel.getSymName() + "_" + Twine(uses)).str());
    Builder builder(&getContext());
    auto number = [&](uint64_t value) { return builder.getI64IntegerAttr(value); };
    NamedAttribute cost[] = {
        builder.getNamedAttr("bytes_per_row", number(emission.cost.bytesPerRow)),
        builder.getNamedAttr("count", builder.getStringAttr(emission.cost.perContext
                                                                ? "context"
                                                                : tile::stringifyCount(rows))),
        builder.getNamedAttr("operations_per_row", number(emission.cost.operationsPerRow)),
        builder.getNamedAttr("weight_bytes", number(emission.cost.weightBytes)),
    };
    emission.kernel->setDiscardableAttr("tile.cost", builder.getDictionaryAttr(cost));
    return emission.kernel;
  }

  kernels::Machine machine = kernels::Machine::Cpu;
  llvm::StringMap<tile::KernelOp> kernelOf;
  llvm::StringMap<unsigned> usesOfName;
  DenseSet<Value> perOutput;
};

} // namespace
