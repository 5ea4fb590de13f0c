//===- Tuning.h - Measured machines as files, and predicted steps -------------------------------===//
//
// A tuning file is JSON of the shape that ingot/Kernels/Tuning.cpp gives the attribute
// `tile.tuning`: machine constants, and the best schedules of products that were measured. `ingot
// tune` measures launches and hands them in as JSON; the compiler fits the constants and picks.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_LIB_COMPILER_TUNING_H
#define INGOT_LIB_COMPILER_TUNING_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace ingot {

/// Reads a file, as the attribute and as it stands there; what is in it is correct.
llvm::Expected<mlir::DictionaryAttr> readTuning(llvm::StringRef path, mlir::MLIRContext *context,
                                                llvm::json::Object &text);

/// From measurements
///
///   {"machine": "...", "threads": 2, "stream_gbps": 36.0,
///    "launches": [{"units": {"launch": 1, ...}, "weight_bytes": 0, "us": 12.5, "fit": true}, ...],
///    "products": {"q4_1 int8 1x576x1536": [{"schedule": "...", "us": {"1": 22.1, ...}}, ...]},
///    "tuning": {...}}
///
/// to `{"tuning": {...}, "predicted_us": [...], "picks": {...}}`: the tuning, the prediction of
/// each launch, and for each product the schedule that the model picks where the tuning names none.
/// The machine's constants come from the launches that say `fit`, which are of weights in caches;
/// the winners from `products`; `tuning`, which may be missing, is what was known before.
llvm::Expected<std::string> tune(llvm::StringRef measurements);

/// What the cost model says of the module's kernels and of whole steps, after the plan stage:
///
///   {"machine": "...", "threads": 2, "steps": [{"tokens": 1, "context": 32, "outputs": 1,
///    "us": 3900.1, "tok_per_s": 256.4}, ...],
///    "kernels": [{"kernel": "...", "rows": "tokens", "product": "q4_1 int8 1x576x1536",
///                 "schedule": "...", "launches": 30, "us": [38.1, ...]}, ...]}
///
/// With `units` also each kernel's `"work": [{"units": {...}, "weight_bytes": 0}, ...]`, an element
/// a step.
llvm::json::Object describeSpeed(mlir::ModuleOp module, bool units);

} // namespace ingot

#endif // INGOT_LIB_COMPILER_TUNING_H
