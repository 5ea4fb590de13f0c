//===- AssignDevices.cpp - The devices of a module ----------------------------------------------===//
//
// One device: an attribute. See Passes.td for what is refused.
//
//===--------------------------------------------------------------------------------------------===//

#include "dialects/Transformer/Transformer.h"
#include "passes/Partition/Passes.h"

namespace ingot::partition {
#define GEN_PASS_DEF_ASSIGNDEVICES
#include "passes/Partition/Passes.h.inc"
} // namespace ingot::partition

using namespace mlir;
using namespace ingot;

namespace {

struct AssignDevices : partition::impl::AssignDevicesBase<AssignDevices> {
  using AssignDevicesBase::AssignDevicesBase;

  void runOnOperation() override {
    if (failed(assign(getOperation())))
      signalPassFailure();
  }

private:
  LogicalResult assign(ModuleOp module) {
    StringRef name = transformer::TransformerDialect::devicesAttrName;
    if (devices != 1)
      return module.emitError("expected 'devices' to be 1, got ") << devices.getValue();
    Attribute wanted = Builder(module.getContext()).getI64IntegerAttr(devices);
    Attribute present = module->getAttr(name);
    if (present && present != wanted)
      return module.emitError("expected '") << name << "' to be " << wanted << ", got " << present;
    module->setAttr(name, wanted);
    return success();
  }
};

} // namespace
