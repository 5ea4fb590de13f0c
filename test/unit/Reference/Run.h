//===- Run.h - Runs a few lines of IR by the reference ----------------------------------------===//
//
// Tests write the body of a module; `run` parses it and calls @f.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_UNIT_REFERENCE_RUN_H
#define INGOT_TEST_UNIT_REFERENCE_RUN_H

#include "ingot/Import/Import.h"
#include "ingot/Reference/Interpreter.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>
#include <random>

namespace ingot::reference {

class ReferenceTest : public ::testing::Test {
protected:
  ReferenceTest() : context(makeRegistry()) { context.loadAllAvailableDialects(); }

  /// Results of @f, or none where parsing or running fails; `message` then is the first error.
  std::vector<Datum> run(llvm::StringRef text, llvm::ArrayRef<Datum> inputs) {
    message.clear();
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
      if (message.empty())
        message = diagnostic.str();
    });
    auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    if (!module)
      return {};
    auto results = runEntry(*module, "f", inputs, weights, /*threads=*/2);
    return failed(results) ? std::vector<Datum>() : *results;
  }
  /// The only result.
  Tensor runOne(llvm::StringRef text, llvm::ArrayRef<Datum> inputs) {
    auto results = run(text, inputs);
    EXPECT_EQ(message, "");
    return results.size() == 1 ? std::get<Tensor>(results[0])
                               : Tensor(llvm::ArrayRef<int64_t>{0}, std::vector<float>());
  }
  void addWeight(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, std::vector<float> values) {
    llvm::cantFail(weights.addValues(name, *NumericFormat::lookup("f32"), shape, values));
  }

  static mlir::DialectRegistry makeRegistry() {
    mlir::DialectRegistry registry;
    import::registerImportDialects(registry);
    return registry;
  }

  mlir::MLIRContext context;
  InlineWeightStore weights;
  std::string message;
};

inline Tensor floats(llvm::ArrayRef<int64_t> shape, std::vector<float> values) {
  return Tensor(shape, std::move(values));
}
inline Tensor ids(llvm::ArrayRef<int64_t> shape, std::vector<int32_t> values) {
  return Tensor(shape, std::move(values));
}
inline Tensor randomFloats(llvm::ArrayRef<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(countElements(shape));
  for (float &value : values)
    value = normal(random);
  return Tensor(shape, std::move(values));
}

} // namespace ingot::reference

#endif // INGOT_TEST_UNIT_REFERENCE_RUN_H
