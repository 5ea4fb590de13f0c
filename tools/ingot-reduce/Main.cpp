//===- Main.cpp - ingot-reduce: smaller IR that still fails -------------------------------------===//
//
// mlir-reduce with Ingot's dialects and passes: shrinks a module while a test script finds it
// interesting.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Compiler/Register.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  ingot::registerAllDialects(registry);
  ingot::registerAllPasses();
  mlir::MLIRContext context(registry);
  return failed(mlir::mlirReduceMain(argc, argv, context));
}
