//===- Passes.td - Passes of the partition stage --------------------------------------*- tablegen -*-===//
//
// The partition stage says on which device each op runs and each weight lies. It comes before fusion, because stacked
// weights cannot be split any more.
//
//===------------------------------------------------------------------------------------------------===//

#ifndef INGOT_PASSES_PARTITION
#define INGOT_PASSES_PARTITION

include "mlir/Pass/PassBase.td"

def AssignDevices : Pass<"ingot-assign-devices", "::mlir::ModuleOp"> {
  let summary = "Say for how many devices a module is";
  let description = [{
    Writes the number of devices on the module. One device needs nothing else: every op and every weight is its own.
    More than one is refused, because no pass splits weights or places communication yet.

    ```mlir
    module { ... }
    // becomes
    module attributes {transformer.devices = 1 : i64} { ... }
    ```

    A module that is already for this number of devices stays as it is; one for another number is an error. Constant
    cost.
  }];
  let options = [Option<"devices", "devices", "int64_t", /*default=*/"1", "Number of devices that run the model">];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

#endif // INGOT_PASSES_PARTITION
