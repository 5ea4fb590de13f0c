//===- CostModel.cpp - How long a launch takes on a machine -----------------------------------------===//
//
// See CostModel.h for the units. What is counted here follows the loops of Product.cpp.
//
//===----------------------------------------------------------------------------------------------===//

#include "ingot/Kernels/CostModel.h"
#include "Product.h"
#include "ingot/Support/Packing.h"
#include <cmath>

using namespace mlir;
using namespace ingot;
using namespace ingot::kernels;

/// Columns of a cell.
static constexpr int64_t cellColumns = 32;

//===----------------------------------------------------------------------------------------------===//
// Counting
//===----------------------------------------------------------------------------------------------===//

namespace {

/// Blocks of a launch, and the part of its work that the thread which is done last has.
struct Deal {
  double blocks, share;
  Deal(int64_t blocks, int64_t threads)
      : blocks(blocks), share(double(llvm::divideCeil(blocks, threads)) / double(blocks)) {}
  /// A launch of one block stays on its thread; of several, others are told and waited for.
  void addLaunch(Work &work, int64_t threads) const {
    work.units["launch"] = 1;
    if (blocks > 1 && threads > 1)
      work.units["spread"] = 1;
  }
};

class ProductCounter {
public:
  ProductCounter(const ProductShape &shape, const ProductSchedule &schedule, Work &work)
      : shape(shape), schedule(schedule), work(work), format(*NumericFormat::lookup(shape.format)) {
    groups = llvm::divideCeil(shape.rows, interleavedRows);
    blockGroups =
        shape.spanGroups ? shape.spanGroups * shape.spans : std::min(schedule.rowGroups, groups);
    cells = double(groups * shape.weights) * shape.columns / cellColumns;
    prefix = shape.format + (shape.isInteger ? " int8 " : " float ");
  }

  int64_t countRowBlocks() const { return llvm::divideCeil(groups, blockGroups); }

  /// Work of all row blocks for so many tokens of a block; `share` of it counts.
  void count(int64_t tokens, double share) {
    add("block", share * countRowBlocks());
    add("element", share * groups * tokens);
    int64_t spanGroups = shape.spanGroups ? shape.spanGroups : blockGroups;
    if (tokens == 1)
      return countSingle(spanGroups, share);
    if (shape.isInteger)
      add("sum", share * countRowBlocks() * shape.spans * tokens * shape.columns / cellColumns);
    bool usesPanel = tokens >= schedule.panelTokens && hasPanel();
    if (usesPanel)
      add("fill", share * cells);
    int64_t most = schedule.countTileTokens(shape.weights);
    llvm::StringRef kind = usesPanel ? "panel " : "direct ";
    add(kind + llvm::Twine(most), share * cells * (tokens / most));
    add(kind + "1", share * cells * (tokens % most));
  }

private:
  void add(const llvm::Twine &unit, double count) {
    if (count > 0)
      work.units[prefix + unit.str()] += count;
  }

  /// Row groups that do not fill the last round go one by one.
  void countSingle(int64_t spanGroups, double share) {
    int64_t together = schedule.singleGroups, rest = spanGroups % together;
    double part = double(rest) / double(spanGroups);
    add("single " + llvm::Twine(together), share * cells * (1 - part));
    add("single 1", share * cells * part);
  }

  /// Whether sums and panels fit the memory of a block: codes and scales of the row groups of a
  /// tile.
  bool hasPanel() const {
    int64_t most = schedule.countTileTokens(shape.weights),
            tileGroups = std::max<int64_t>(8 / most, shape.weights),
            sums = shape.isInteger
                       ? 4 * shape.columns / decodedColumns(format) * schedule.blockTokens
                       : 0,
            panels = tileGroups * interleavedRows * shape.columns * (shape.isInteger ? 2 : 4);
    return sums + panels <= memoryBytes;
  }

  const ProductShape &shape;
  const ProductSchedule &schedule;
  Work &work;
  const NumericFormat &format;
  int64_t groups, blockGroups;
  double cells;
  std::string prefix;
};

} // namespace

Work kernels::countProduct(ArrayRef<ProductShape> shapes, const ProductSchedule &schedule,
                           int64_t tokens, int64_t threads) {
  Work work;
  int64_t blockTokens = schedule.blockTokens;
  for (const ProductShape &shape : shapes)
    if (shape.mostTokens)
      blockTokens = std::min(blockTokens, shape.mostTokens);
  int64_t full = tokens / blockTokens, rest = tokens % blockTokens, rowBlocks = 0;
  for (const ProductShape &shape : shapes)
    rowBlocks += ProductCounter(shape, schedule, work).countRowBlocks();
  Deal deal(rowBlocks * (full + (rest > 0)), threads);
  for (const ProductShape &shape : shapes) {
    ProductCounter counter(shape, schedule, work);
    if (full)
      counter.count(blockTokens, deal.share * full);
    if (rest)
      counter.count(rest, deal.share);
    auto layout = llvm::cantFail(PackedLayout::get(*NumericFormat::lookup(shape.format), shape.rows,
                                                   shape.columns, interleavedRows));
    work.weightBytes += double(layout.bytes) * shape.weights;
  }
  deal.addLaunch(work, threads);
  return work;
}

KernelCost KernelCost::read(tile::KernelOp kernel) {
  KernelCost result;
  result.family = kernel.getFamily().value_or("").str();
  for (unsigned axis = 0; axis < 3; ++axis)
    result.grid[axis] = kernel.getExtent(axis);
  if (auto costs = kernel->getAttrOfType<DictionaryAttr>("tile.cost")) {
    auto number = [&](StringRef name) -> uint64_t {
      auto value = costs.getAs<IntegerAttr>(name);
      return value ? value.getInt() : 0;
    };
    result.cost = {number("weight_bytes"), number("bytes_per_row"), number("operations_per_row")};
    if (auto count = costs.getAs<StringAttr>("count"))
      result.rows = count.str();
    result.cost.perContext = result.rows == "context";
  }
  std::string reason;
  if (auto schedule = kernel->getAttrOfType<DictionaryAttr>(scheduleName))
    result.schedule = ProductSchedule::read(schedule, {}, reason).value_or(ProductSchedule());
  if (auto products = kernel->getAttrOfType<ArrayAttr>(productsName))
    for (auto text : products.getAsRange<StringAttr>())
      if (auto shape = ProductShape::parse(text))
        result.products.push_back(*shape);
  return result;
}

/// Blocks along an axis for so many rows.
static int64_t countBlocks(tile::ExtentAttr extent, int64_t rows, int64_t sequences) {
  bool isSequences = extent.getCount() == tile::Count::Sequences;
  return std::max<int64_t>(extent.evaluate(isSequences ? sequences : rows), 1);
}

Work KernelCost::count(const StepSize &step, int64_t threads) const {
  int64_t rows = this->rows == "outputs" ? step.outputs : step.tokens;
  if (!products.empty())
    return countProduct(products, schedule, rows, threads);
  int64_t blocks = 1;
  for (tile::ExtentAttr extent : grid)
    blocks *= countBlocks(extent, rows, /*sequences=*/1);
  Deal deal(blocks, threads);
  Work work;
  deal.addLaunch(work, threads);
  work.units[family + " block"] = deal.share * deal.blocks;
  if (cost.perContext) {
    // Tokens of the step see what was there before, and themselves and each other below the
    // diagonal.
    double past = step.context - step.tokens,
           pairs = double(step.tokens) * past + 0.5 * double(step.tokens) * (step.tokens + 1);
    // Along x lie the parts of the context; short ones are in the first.
    double share = Deal(blocks / countBlocks(grid[0], rows, 1), threads).share,
           operations = share * double(cost.operationsPerRow) * pairs;
    work.units[family + (step.tokens == 1 ? " alone" : " together")] = operations;
  } else {
    work.units[family + " byte"] = deal.share * double(cost.bytesPerRow) * rows;
  }
  return work;
}

double Work::predictSeconds(const Tuning &tuning) const {
  double compute = 0, launch = 0;
  for (const auto &[unit, count] : units)
    (unit == "launch" || unit == "spread" ? launch : compute) +=
        count * tuning.getNanoseconds(unit);
  double memory = tuning.bytesPerSecond > 0 ? 1e9 * weightBytes / tuning.bytesPerSecond : 0;
  return 1e-9 * (launch + std::pow(std::pow(compute, 4) + std::pow(memory, 4), 0.25));
}

//===----------------------------------------------------------------------------------------------===//
// Choosing
//===----------------------------------------------------------------------------------------------===//

size_t kernels::findNearest(ArrayRef<RatedSchedule> schedules) {
  SmallVector<double, 5> best = schedules.front().seconds;
  for (const RatedSchedule &rated : schedules)
    for (auto [least, mine] : llvm::zip_equal(best, rated.seconds))
      least = std::min(least, mine);
  auto getLoss = [&](const RatedSchedule &rated) {
    double worst = 0, sum = 0;
    for (auto [mine, least] : llvm::zip_equal(rated.seconds, best)) {
      double loss = least > 0 ? mine / least - 1 : 0;
      worst = std::max(worst, loss);
      sum += loss;
    }
    return worst + sum / double(best.size());
  };
  size_t nearest = 0;
  for (size_t i = 1; i < schedules.size(); ++i)
    if (getLoss(schedules[i]) < getLoss(schedules[nearest]))
      nearest = i;
  return nearest;
}

Choice kernels::chooseSchedule(ArrayRef<ProductShape> shapes, const Tuning &tuning) {
  Choice choice;
  auto rate = [&](const ProductSchedule &schedule) {
    RatedSchedule rated{schedule, {}};
    for (int64_t tokens : scheduleTokens)
      rated.seconds.push_back(
          countProduct(shapes, schedule, tokens, tuning.threads).predictSeconds(tuning));
    choice.candidates.push_back(rated);
  };
  rate(ProductSchedule::getDefault(shapes.front()));
  for (ProductSchedule schedule : scheduleCandidates()) {
    if (shapes.front().spanGroups) // rows of a block are the kernel's
      schedule.rowGroups = choice.candidates.front().schedule.rowGroups;
    auto isSame = [&](const RatedSchedule &rated) { return rated.schedule == schedule; };
    if (llvm::none_of(choice.candidates, isSame))
      rate(schedule);
  }
  choice.chosen = findNearest(choice.candidates);
  return choice;
}

//===----------------------------------------------------------------------------------------------===//
// Fitting
//===----------------------------------------------------------------------------------------------===//

namespace {

/// Least squares of relative errors over numbers that are not negative, one coordinate after the
/// other. Each number is drawn weakly to where it starts. A microsecond more or less is noise.
class Fit {
public:
  Fit(ArrayRef<Measurement> measurements, const Tuning &start) {
    for (const Measurement &measured : measurements)
      for (const auto &[unit, count] : measured.work.units)
        if (numbers.try_emplace(unit, numbers.size()).second)
          values.push_back(std::max(start.getNanoseconds(unit), 1e-3));
    starts = values;
    for (const Measurement &measured : measurements) {
      constexpr double noise = 1e-6;
      double scale = measured.seconds + noise;
      Row row;
      for (const auto &[unit, count] : measured.work.units)
        row.push_back({numbers[unit], 1e-9 * count / scale});
      rows.push_back(std::move(row));
      errors.push_back(-measured.seconds / scale);
    }
  }

  std::map<std::string, double, std::less<>> run() {
    constexpr int rounds = 2000;
    for (auto [row, error] : llvm::zip_equal(rows, errors))
      for (auto [number, factor] : row)
        error += factor * values[number];
    std::vector<std::vector<std::pair<size_t, double>>> columns(values.size());
    for (auto [index, row] : llvm::enumerate(rows))
      for (auto [number, factor] : row)
        columns[number].push_back({index, factor});
    for (int round = 0; round < rounds; ++round)
      for (size_t number = 0; number < values.size(); ++number)
        improve(number, columns[number]);
    std::map<std::string, double, std::less<>> result;
    for (const auto &[unit, number] : numbers)
      result[unit] = values[number];
    return result;
  }

private:
  using Row = std::vector<std::pair<size_t, double>>;

  void improve(size_t number, const Row &column) {
    constexpr double pull = 1e-4; // in relative errors squared
    double weight = pull / (starts[number] * starts[number]);
    double gradient = weight * (values[number] - starts[number]), curvature = weight;
    for (auto [row, factor] : column) {
      gradient += factor * errors[row];
      curvature += factor * factor;
    }
    double next = std::max(values[number] - gradient / curvature, 0.0),
           step = next - values[number];
    for (auto [row, factor] : column)
      errors[row] += factor * step;
    values[number] = next;
  }

  std::map<std::string, size_t> numbers;
  std::vector<double> values, starts, errors;
  std::vector<Row> rows;
};

} // namespace

std::map<std::string, double, std::less<>> kernels::fitUnits(ArrayRef<Measurement> measurements,
                                                             const Tuning &start) {
  return Fit(measurements, start).run();
}
