//===- Main.cpp - ingot-opt: mlir-opt with Ingot's dialects and passes --------------------------===//
//
// For tests and for those who study a model: reads IR, runs the passes that flags name, prints.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Compiler/Register.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  ingot::registerAllDialects(registry);
  ingot::registerAllPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Ingot's modular optimizer driver\n", registry));
}
