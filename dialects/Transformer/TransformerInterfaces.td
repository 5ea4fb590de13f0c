//===- TransformerInterfaces.td - Interfaces of the transformer dialect -----------------*- tablegen -*-===//
//
// What passes ask of an op without knowing it.
//
//===---------------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER_INTERFACES
#define INGOT_TRANSFORMER_INTERFACES

include "mlir/IR/OpBase.td"

def TokenMixingOpInterface : OpInterface<"TokenMixingOpInterface"> {
  let cppNamespace = "::ingot::transformer";
  let description = [{
    Says how an op mixes tokens. `remove-padding` packs only what is row-wise or has a ragged form;
    `insert-kv-cache` must prove that a position depends on earlier positions only.
  }];
  let methods = [InterfaceMethod<"The way in which results of a token depend on other tokens",
                                 "::ingot::transformer::TokenMixing", "getTokenMixing">];
}

#endif // INGOT_TRANSFORMER_INTERFACES
