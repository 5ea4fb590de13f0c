//===- Transformer.td - The transformer dialect -----------------------------------------*- tablegen -*-===//
//
// The model, on tensors, device-free: the ops that a paper would name, and weights as a type of their own.
// This file is the dialect's root; types and attributes are in TransformerTypes.td, ops by theme beside it.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_TRANSFORMER
#define INGOT_TRANSFORMER

include "dialects/Transformer/TransformerTypes.td"
include "dialects/Transformer/WeightOps.td"
include "dialects/Transformer/LayerOps.td"
include "dialects/Transformer/AttentionOps.td"
include "dialects/Transformer/BatchOps.td"
include "dialects/Transformer/ComputeOps.td"

#endif // INGOT_TRANSFORMER
