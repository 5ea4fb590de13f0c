//===- Main.cpp - ingot-lsp-server: editors on IR with Ingot's dialects -------------------------===//
//
// mlir-lsp-server that knows transformer, tile and plan: diagnostics, hover, definitions.
//
//===--------------------------------------------------------------------------------------------===//

#include "ingot/Compiler/Register.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  ingot::registerAllDialects(registry);
  return failed(mlir::MlirLspServerMain(argc, argv, registry));
}
