//===- RunTile.h - Runs a few lines of the tile dialect by the interpreter --------------------------===//

#ifndef INGOT_TEST_UNIT_REFERENCE_RUNTILE_H
#define INGOT_TEST_UNIT_REFERENCE_RUNTILE_H

#include "ingot/Reference/TileInterpreter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <vector>

namespace ingot {

template <typename T> llvm::MutableArrayRef<uint8_t> bytesOf(std::vector<T> &values) {
  return {reinterpret_cast<uint8_t *>(values.data()), values.size() * sizeof(T)};
}

/// Runs the only kernel of `text`; the message, or nothing. `accesses`: of shared memory, an entry
/// for each op.
inline std::string run(const std::string &text,
                       llvm::ArrayRef<llvm::MutableArrayRef<uint8_t>> arguments,
                       std::array<int64_t, 3> counts = {1, 1, 1}, uint64_t seed = 0,
                       std::vector<reference::TileReport::Shared> *accesses = nullptr) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<tile::TileDialect, mlir::arith::ArithDialect, mlir::math::MathDialect,
                      mlir::scf::SCFDialect>();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return "does not parse";
  reference::TileReport report;
  std::string message =
      llvm::toString(reference::runKernel(*module->getOps<tile::KernelOp>().begin(), arguments,
                                          counts, seed, accesses ? &report : nullptr));
  for (const auto &[op, access] : report.accesses)
    accesses->push_back(access);
  return message;
}

} // namespace ingot

#endif // INGOT_TEST_UNIT_REFERENCE_RUNTILE_H
