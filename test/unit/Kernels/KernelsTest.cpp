//===- KernelsTest.cpp - Every kernel, interpreted, compiled and against the reference --------------===//
//
// Each case of the table (KernelPrograms.cpp) goes through the kernel's emitter. The tile program
// is executed by the tile interpreter, which judges indices, memory and the order of blocks, and by
// the code that the CPU's lowering makes of it; all bytes of both must be the same. The result is
// held against the transformer reference, within a tolerance that follows from types and lengths.
// Then single tokens are computed alone: they must have the bits that they had beside the others.
// Products are computed under other schedules too, which must not change a bit either.
//
//===----------------------------------------------------------------------------------------------===//

#include "KernelPrograms.h"
#include "KernelStep.h"
#include "ingot/Compiler/Register.h"
#include "ingot/Kernels/Kernel.h"
#include "ingot/Kernels/Schedule.h"
#include "ingot/Reference/Interpreter.h"
#include "ingot/Reference/TileInterpreter.h"
#include "ingot/Support/CacheCodec.h"
#include "ingot/Support/Codec.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Tile/Passes.h"
#include "gtest/gtest.h"
#include <cmath>
#include <random>
#include <set>

using namespace mlir;
using namespace ingot;
using namespace ingot::test;
using reference::Datum;
using reference::Tensor;

namespace {

//===----------------------------------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------------------------------===//

std::vector<float> drawFloats(int64_t count, std::mt19937 &random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(random);
  return values;
}

/// What the numbers of a case are drawn for.
struct InputSizes {
  int64_t tokens, outputs;
  int64_t idLimit;    ///< of integers
  float integers = 0; ///< not 0: scales of so many
};

Tensor drawTensor(RankedTensorType type, const InputSizes &sizes, std::mt19937 &random) {
  reference::Shape shape(type.getShape());
  bool isIds = type.getElementType().isInteger(32);
  shape.front() = isIds ? sizes.outputs : sizes.tokens;
  int64_t count = reference::countElements(shape);
  if (isIds) {
    std::vector<int32_t> ids(count);
    for (int32_t &id : ids)
      id = random() % sizes.idLimit;
    ids.back() = sizes.idLimit - 1;
    return Tensor(shape, ids);
  }
  auto drawIntegers = [&]<typename T>(T most) {
    std::vector<T> values(count);
    for (T &value : values)
      value = int(random() % (2 * most + 1)) - most;
    return Tensor(shape, values);
  };
  if (type.getElementType().isInteger(8))
    return drawIntegers(int8_t(127));
  if (type.getElementType().isInteger(16))
    return drawIntegers(int16_t(32767));
  std::vector<float> values = drawFloats(count, random);
  if (sizes.integers) // so that scale times value is about 1
    for (float &value : values)
      value = (1 + std::fabs(value)) / sizes.integers;
  else if (sizes.tokens > 2) // a row without anything
    std::fill_n(values.begin() + count / sizes.tokens, count / sizes.tokens, 0.0f);
  return Tensor(shape, values);
}

reference::Ragged makeBatch(const KernelCase &kernel) {
  reference::Ragged batch;
  for (auto [sequence, tokens] : llvm::enumerate(kernel.tokens))
    for (int64_t i = 0; i < tokens; ++i) {
      batch.sequences.push_back(sequence);
      batch.positions.push_back(kernel.past[sequence] + i);
    }
  return batch;
}

/// What earlier steps left in layer 1; with the tokens of this step where the kernel only reads.
reference::Cache drawCache(transformer::KVCacheType type, const KernelCase &kernel,
                           std::mt19937 &random) {
  reference::Cache cache(type);
  auto layer = std::make_shared<reference::Cache::Layer>();
  bool isRead = kernel.family == "PagedAttention";
  auto draw = [&](bool isKey) {
    std::vector<float> values = drawFloats(type.getHeads() * type.getDim(), random);
    if (type.getFormat().isF16())
      for (float &value : values)
        value = halfToFloat(floatToHalf(value));
    size_t group = type.getGroupChannels(isKey);
    std::vector<int8_t> codes(group);
    for (size_t i = 0; i < values.size() && type.isQuantized(); i += group) {
      MutableArrayRef<float> numbers = MutableArrayRef(values).slice(i, group);
      uint16_t scale = encodeCacheGroup(numbers, type.getBits(isKey), codes);
      for (auto [number, code] : llvm::zip_equal(numbers, codes))
        number = decodeCacheCode(code, scale);
    }
    return values;
  };
  for (auto [sequence, past] : llvm::enumerate(kernel.past))
    for (int64_t i = 0; i < past + (isRead ? kernel.tokens[sequence] : 0); ++i)
      (*layer)[{int32_t(sequence), int32_t(i)}] = {draw(/*isKey=*/true), draw(/*isKey=*/false)};
  cache.layers[1] = layer;
  return cache;
}

double getNorm(ArrayRef<float> row) {
  double squares = 0;
  for (float value : row)
    squares += double(value) * value;
  return std::sqrt(squares);
}

//===----------------------------------------------------------------------------------------------===//
// One case
//===----------------------------------------------------------------------------------------------===//

class Check {
public:
  Check(const KernelCase &kernel, kernels::Machine machine)
      : kernel(kernel), machine(machine), store(/*seed=*/3), random(5) {
    DialectRegistry registry;
    registerAllDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  }

  void run();
  /// The bytes of the default schedule are those of others.
  void runSchedules(ArrayRef<kernels::ProductSchedule> schedules);

private:
  void prepare();
  void addWeights();
  void drawInputs(func::FuncOp function);
  void selectKernels();
  void executeAndCompare();
  KernelStep makeStep(ArrayRef<Datum> inputs, Counts counts);
  OwningOpRef<ModuleOp> copyKernels();
  void execute(const CompiledKernels &compiled, KernelStep &step);
  void compareCompiled(const CompiledKernels &compiled, const KernelStep &interpreted);
  void compareAlone(const CompiledKernels &compiled, KernelStep &together, int64_t token);
  void compareWithReference(KernelStep &step, ArrayRef<Datum> expected);
  void compareCache(KernelStep &step, unsigned index, const reference::Cache &expected,
                    double tolerance);
  double getTolerance() const;

  const KernelCase &kernel;
  kernels::Machine machine;
  RandomWeightStore store;
  std::mt19937 random;
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> module, selected;
  std::vector<Datum> inputs;
  Counts counts;
};

void Check::addWeights() {
  for (auto weight : module->getOps<transformer::WeightOp>()) {
    auto type = cast<transformer::WeightType>(weight.getType());
    bool isGain = type.getRank() == 1;
    if (weight.getSymName() == "order") { // of channels; some beyond them, which are clamped
      float half = 0.5f * float(type.getColumns());
      llvm::cantFail(
          store.add("order", *NumericFormat::lookup("f32"), type.getShape(), half, half));
      continue;
    }
    float deviation = isGain ? 0.3f : 1 / std::sqrt(float(type.getColumns()));
    llvm::cantFail(store.add(weight.getSymName(), *NumericFormat::lookup(type.getFormat()),
                             type.getShape(), deviation, isGain ? 1.0f : 0.0f));
  }
}

void Check::drawInputs(func::FuncOp function) {
  InputSizes sizes{kernel.countTokens(), kernel.countTokens(), contextTokens};
  if (kernel.family == "Embedding")
    sizes.idLimit = kernel.rows;
  if (kernel.family == "SelectRows")
    sizes = {kernel.rows, kernel.countTokens(), kernel.rows};
  counts = {sizes.tokens, kernel.family == "SelectRows" ? sizes.outputs : 0,
            int64_t(kernel.tokens.size())};
  bool hasIntegers = false;
  for (Type type : function.getArgumentTypes()) {
    if (auto cache = dyn_cast<transformer::KVCacheType>(type)) {
      inputs.push_back(drawCache(cache, kernel, random));
    } else if (isa<transformer::RaggedType>(type)) {
      inputs.push_back(makeBatch(kernel));
    } else {
      auto tensor = cast<RankedTensorType>(type);
      float most = kernel.activations == "int16" ? 32768 : 128;
      sizes.integers = hasIntegers ? most : 0; // scales follow their integers
      hasIntegers = tensor.getElementType().isInteger(8) || tensor.getElementType().isInteger(16);
      inputs.push_back(drawTensor(tensor, sizes, random));
    }
  }
}

void Check::selectKernels() {
  selected = module->clone();
  PassManager passes(context.get());
  tile::SelectKernelsOptions options;
  options.maxContext = contextTokens;
  options.maxSequences = kernel.tokens.size();
  options.target = machine == kernels::Machine::Cuda ? "cuda" : "cpu";
  passes.addPass(tile::createSelectKernels(options));
  ASSERT_TRUE(succeeded(passes.run(*selected)));
}

double Check::getTolerance() const {
  double largest = 0, inputNorm = 0, weightNorm = 0;
  auto add = [&](ArrayRef<float> values, int64_t columns) {
    for (size_t i = 0; i < values.size(); i += columns)
      inputNorm = std::max(inputNorm, getNorm(values.slice(i, columns)));
    for (float value : values)
      largest = std::max<double>(largest, std::fabs(value));
  };
  for (const Datum &input : inputs) {
    if (auto *tensor = std::get_if<Tensor>(&input); tensor && tensor->holds<float>())
      add(tensor->floats(), tensor->shape().back());
    if (auto *cache = std::get_if<reference::Cache>(&input))
      for (const auto &[token, entry] : *cache->layers[1])
        for (const std::vector<float> *values : {&entry.key, &entry.value})
          add(*values, values->size());
  }
  if (kernel.activations != "f32") // at most 127 times a scale of at most 6 / 128, or like that
    inputNorm = std::max(inputNorm, 6 * std::sqrt(double(kernel.columns)));
  if (kernel.isForGpusOnly()) // normed rows, times gains of 1 or so
    inputNorm = std::max(inputNorm, 2 * std::sqrt(double(kernel.columns)));
  for (const std::string &name : store.getNames()) {
    if (name == "n") // those gains
      continue;
    const WeightInfo &info = *store.find(name);
    std::vector<float> row(info.columns);
    for (int64_t i = 0; i < info.rows; ++i) {
      llvm::cantFail(store.readValues(name, i, 1, row));
      weightNorm = std::max(weightNorm, getNorm(row));
    }
  }
  if (machine == kernels::Machine::Cuda)
    return getGpuTolerance(kernel, largest, inputNorm, weightNorm);
  return test::getTolerance(kernel, largest, inputNorm, weightNorm).get();
}

KernelStep Check::makeStep(ArrayRef<Datum> inputs, Counts counts) {
  return KernelStep(*selected->getOps<func::FuncOp>().begin(), store,
                    {contextTokens, int64_t(kernel.tokens.size()), machine}, counts, inputs);
}

OwningOpRef<ModuleOp> Check::copyKernels() {
  OwningOpRef<ModuleOp> kernels = ModuleOp::create(UnknownLoc::get(context.get()));
  for (auto op : selected->getOps<tile::KernelOp>())
    kernels->push_back(op->clone());
  return kernels;
}

void Check::executeAndCompare() {
  KernelStep interpreted = makeStep(inputs, counts);
  std::string message = llvm::toString(interpreted.run(
      [](tile::KernelOp kernel, ArrayRef<MutableArrayRef<uint8_t>> bytes, Counts counts) {
        return reference::runKernel(kernel, bytes, counts, 1);
      }));
  ASSERT_EQ(message, "");
  auto expected = reference::runEntry(*module, "f", inputs, store, /*threads=*/1);
  ASSERT_TRUE(succeeded(expected));
  compareWithReference(interpreted, *expected);
  if (machine == kernels::Machine::Cuda || ::testing::Test::HasFatalFailure())
    return; // no GPU here

  OwningOpRef<ModuleOp> kernels = copyKernels();
  CompiledKernels compiled(*kernels);
  compareCompiled(compiled, interpreted);
  // Rows are no tokens of their own; others see what is beside them.
  if (kernel.family != "SelectRows" && kernel.variant != "bidirectional")
    for (int64_t token : std::set<int64_t>{0, counts[0] / 2, counts[0] - 1})
      compareAlone(compiled, interpreted, token);
  // Dot instructions have the same bits: unsigned and signed codes.
  if (kernel.activations == "int8" && kernel.columns == 256 &&
      llvm::is_contained({"q4_1", "q8_0"}, kernel.format)) {
    kernels = copyKernels();
    auto emulated = CompiledKernels::emulate(*kernels, "cpu:x86-64-v3+avxvnni");
    EXPECT_GT(emulated->emulated, 0);
    compareCompiled(*emulated, interpreted);
  }
}

void Check::execute(const CompiledKernels &compiled, KernelStep &step) {
  ASSERT_EQ(compiled.error, "");
  std::string message = llvm::toString(
      step.run([&](tile::KernelOp kernel, ArrayRef<MutableArrayRef<uint8_t>> bytes, Counts counts) {
        SmallVector<void *> pointers;
        for (MutableArrayRef<uint8_t> argument : bytes)
          pointers.push_back(argument.data());
        std::array<int64_t, 3> grid;
        for (unsigned axis = 0; axis < 3; ++axis) {
          tile::ExtentAttr extent = kernel.getExtent(axis);
          grid[axis] =
              extent.evaluate(extent.getCount() ? counts[unsigned(*extent.getCount())] : 1);
        }
        compiled.run(kernel.getSymName(), pointers, counts, grid);
        return llvm::Error::success();
      }));
  ASSERT_EQ(message, "");
}

/// Executes the compiled kernels; all bytes must be those of the interpreter.
void Check::compareCompiled(const CompiledKernels &compiled, const KernelStep &interpreted) {
  KernelStep executed = makeStep(inputs, counts);
  ASSERT_NO_FATAL_FAILURE(execute(compiled, executed));
  ASSERT_EQ(interpreted.getBuffers().size(), executed.getBuffers().size());
  for (size_t i = 0; i < executed.getBuffers().size(); ++i) {
    ArrayRef<uint8_t> a = interpreted.getBuffers()[i]->get(), b = executed.getBuffers()[i]->get();
    auto [differsA, differsB] = std::mismatch(a.begin(), a.end(), b.begin());
    EXPECT_EQ(differsA, a.end()) << "byte " << differsA - a.begin() << " of buffer " << i << " is "
                                 << int(*differsA) << " interpreted, " << int(*differsB)
                                 << " compiled";
  }
}

/// An input of the step that has one token of it.
Datum takeToken(const Datum &input, int64_t token) {
  if (auto *tensor = std::get_if<Tensor>(&input)) {
    reference::Shape shape(tensor->shape());
    shape.front() = 1;
    int64_t row = reference::countElements(shape);
    return tensor->gathered(shape, [&](int64_t index) { return token * row + index; });
  }
  if (auto *batch = std::get_if<reference::Ragged>(&input))
    return reference::Ragged{{batch->sequences[token]}, {batch->positions[token]}};
  return input;
}

/// A token's results are a function of the token: its neighbours in the step change no bit.
void Check::compareAlone(const CompiledKernels &compiled, KernelStep &together, int64_t token) {
  std::vector<Datum> alone;
  for (const Datum &input : inputs)
    alone.push_back(takeToken(input, token));
  KernelStep step = makeStep(alone, {1, counts[1], counts[2]});
  ASSERT_NO_FATAL_FAILURE(execute(compiled, step));
  auto function = *selected->getOps<func::FuncOp>().begin();
  for (auto [index, type] : llvm::enumerate(function.getResultTypes())) {
    std::vector<float> one, all;
    if (isa<transformer::KVCacheType>(type)) {
      reference::Ragged batch = makeBatch(kernel);
      for (auto [from, values] : {std::pair(&step, &one), std::pair(&together, &all)}) {
        auto entry = from->getEntry(index, batch.sequences[token], batch.positions[token]);
        llvm::append_range(*values, entry.key);
        llvm::append_range(*values, entry.value);
      }
    } else {
      one = step.getResult(index);
      all = together.getResult(index);
      all = std::vector<float>(all.begin() + token * one.size(),
                               all.begin() + (token + 1) * one.size());
    }
    EXPECT_EQ(one, all) << "token " << token << " alone, result " << index;
  }
}

void Check::compareCache(KernelStep &step, unsigned index, const reference::Cache &expected,
                         double tolerance) {
  // A number near the middle between two of f16 may be rounded to either.
  transformer::KVCacheType type = expected.type;
  double ulp = type.getFormat().isF16() || type.isQuantized() ? 0x1p-10 : 0;
  // So may a code; and where two extremes are equal but for roundings the other may set the scale.
  auto getSteps = [&](ArrayRef<float> row, size_t channel, bool isKey) {
    double largest = 0;
    size_t group = type.getGroupChannels(isKey);
    for (float number : row.slice(channel / group * group, group))
      largest = std::max<double>(largest, std::fabs(number));
    return type.isQuantized() ? 2 * largest / (1 << (type.getBits(isKey) - 1)) : 0;
  };
  for (const auto &[token, entry] : *expected.layers[1]) {
    reference::Cache::Entry got = step.getEntry(index, token.first, token.second);
    for (auto [values, truth] :
         {std::pair(&got.key, &entry.key), std::pair(&got.value, &entry.value)})
      for (size_t i = 0; i < truth->size(); ++i)
        ASSERT_NEAR((*values)[i], (*truth)[i],
                    tolerance > 0 ? tolerance + ulp * std::fabs((*truth)[i]) +
                                        getSteps(*truth, i, truth == &entry.key)
                                  : 0)
            << "channel " << i << " of position " << token.second << " of sequence " << token.first;
  }
}

void Check::compareWithReference(KernelStep &step, ArrayRef<Datum> expected) {
  double tolerance = getTolerance();
  for (auto [index, datum] : llvm::enumerate(expected)) {
    if (auto *cache = std::get_if<reference::Cache>(&datum)) {
      compareCache(step, index, *cache, tolerance);
      continue;
    }
    const Tensor &truth = std::get<Tensor>(datum);
    std::vector<float> result = step.getResult(index);
    ASSERT_EQ(int64_t(result.size()), truth.size());
    // Integers of numbers that are off by roundings may fall to the neighbour.
    bool isInteger = truth.holds<int8_t>();
    double allowed = isInteger ? (tolerance > 0 ? 1 : 0) : tolerance;
    int64_t neighbours = 0;
    for (int64_t i = 0; i < truth.size(); ++i) {
      double number = isInteger ? truth.elements<int8_t>()[i] : truth.floats()[i];
      ASSERT_NEAR(result[i], number, allowed) << "element " << i << " of result " << index;
      neighbours += result[i] != number;
    }
    if (isInteger)
      EXPECT_LE(neighbours, 1 + truth.size() / 100);
  }
}

void Check::prepare() {
  std::string program = getProgram(kernel);
  ASSERT_NE(program, "") << "family '" << kernel.family.str() << "' has no text in getProgram";
  module = parseSourceString<ModuleOp>(program, context.get());
  ASSERT_TRUE(module) << program;
  addWeights();
  drawInputs(*module->getOps<func::FuncOp>().begin());
  selectKernels();
}

void Check::run() {
  prepare();
  if (!::testing::Test::HasFatalFailure())
    executeAndCompare();
}

void Check::runSchedules(ArrayRef<kernels::ProductSchedule> schedules) {
  ASSERT_NO_FATAL_FAILURE(prepare());
  KernelStep byDefault = makeStep(inputs, counts);
  OwningOpRef<ModuleOp> kernels = copyKernels();
  ASSERT_NO_FATAL_FAILURE(execute(CompiledKernels(*kernels), byDefault));
  for (const kernels::ProductSchedule &schedule : schedules) {
    SCOPED_TRACE(schedule.toText());
    module->walk([&](transformer::ComputeOp compute) {
      compute->setAttr(kernels::scheduleName, schedule.toAttribute(context.get()));
    });
    ASSERT_NO_FATAL_FAILURE(selectKernels());
    kernels = copyKernels();
    compareCompiled(CompiledKernels(*kernels), byDefault);
  }
}

class Kernels : public testing::TestWithParam<llvm::StringRef> {};

TEST_P(Kernels, AreInterpretedCompiledAndRight) {
  for (const KernelCase &kernel : getKernelCases()) {
    if (kernel.family != GetParam() || kernel.isForGpusOnly())
      continue;
    SCOPED_TRACE(kernel.describe());
    Check(kernel, kernels::Machine::Cpu).run();
    if (HasFatalFailure())
      return;
  }
}

// Blocks and tiles of any size, with and without panels, give the bits of the default; the numbers
// of the schedules do not divide those of the cases.
TEST(Schedules, ChangeNoBit) {
  const kernels::ProductSchedule schedules[] = {{1, 8, 8, 2, 2}, {24, 1024, 2, 6, 4}};
  size_t number = 0;
  for (const KernelCase &kernel : getKernelCases()) {
    // More tokens than a tile has, in one case of each family and format.
    bool isChosen = kernel.family == "Linear" ? kernel.rows == 20 || kernel.rows == 41
                    : kernel.family == "LinearGatedActivation"
                        ? kernel.rows == 24 || kernel.rows == 64
                        : kernel.family == "LinearRopeAppendCache" && kernel.dim == 64;
    if (!isChosen || !llvm::is_contained({"q4_1", "q8_0", "f16"}, kernel.format))
      continue;
    SCOPED_TRACE(kernel.describe());
    Check(kernel, kernels::Machine::Cpu).runSchedules(schedules[number++ % 2]);
    if (HasFatalFailure())
      return;
  }
  EXPECT_GE(number, 8u);
}

// The programs for GPUs, by the interpreter.
TEST_P(Kernels, AreRightOnGpus) {
  for (const KernelCase &kernel : getKernelCases()) {
    if (kernel.family != GetParam() || kernel.hasCodes()) // which GPUs refuse
      continue;
    SCOPED_TRACE(kernel.describe());
    Check(kernel, kernels::Machine::Cuda).run();
    if (HasFatalFailure())
      return;
  }
}

std::vector<llvm::StringRef> getFamilies() {
  std::vector<llvm::StringRef> names;
  for (const kernels::Family &family : kernels::kernelFamilies())
    names.push_back(family.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Family, Kernels, testing::ValuesIn(getFamilies()),
                         [](const auto &info) { return info.param.str(); });

TEST(KernelTable, HasEveryFamilyAndFormat) {
  std::set<std::string> families;
  for (const KernelCase &kernel : getKernelCases())
    families.insert(kernel.family.str());
  for (const kernels::Family &family : kernels::kernelFamilies())
    EXPECT_TRUE(families.count(family.name.str()))
        << "add a case of '" << family.name.str() << "' to the table in KernelPrograms.cpp";
  for (const NumericFormat &format : NumericFormat::all())
    for (llvm::StringRef family : getFamilies())
      for (llvm::StringRef activations : {"f32", "int8", "int16"}) {
        // LinearActivation is Linear with another end.
        bool isProduct = family.contains("Linear") && family != "LinearActivation";
        if ((!isProduct && family != "Embedding") ||
            (activations != "f32" && (!format.hasIntegerCodes() || !isProduct)))
          continue;
        EXPECT_TRUE(llvm::any_of(getKernelCases(),
                                 [&](const KernelCase &kernel) {
                                   return kernel.family == family && kernel.format == format.name &&
                                          kernel.activations == activations;
                                 }))
            << family.str() << " has no case of format " << format.name.str() << " with "
            << activations.str() << " activations";
      }
}

} // namespace
