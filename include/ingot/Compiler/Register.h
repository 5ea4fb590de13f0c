//===- Register.h - All dialects and passes -----------------------------------------------------===//
//
// The one list of what the compiler and its tools know. A dialect or a stage is added here and
// nowhere else.
//
//===--------------------------------------------------------------------------------------------===//

#ifndef INGOT_COMPILER_REGISTER_H
#define INGOT_COMPILER_REGISTER_H

namespace mlir {
class DialectRegistry;
}

namespace ingot {

/// Ingot's dialects and the upstream ones that programs of any stage may use.
void registerAllDialects(mlir::DialectRegistry &registry);

/// The passes of every stage, with their flags, and upstream's general ones.
void registerAllPasses();

} // namespace ingot

#endif // INGOT_COMPILER_REGISTER_H
