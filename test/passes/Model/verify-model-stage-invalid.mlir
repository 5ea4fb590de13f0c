// RUN: ingot-opt %s --split-input-file --ingot-verify-model-stage --verify-diagnostics

// A softmax that was not recognised is named, once for all that belongs to it.
func.func @unfused(%s: tensor<?x?xf32>, %positions: tensor<?x?xi32>, %lengths: tensor<?xi32>) -> (tensor<?x?xf32>, tensor<?x?x?xi1>) {
  // expected-error @below {{'linalg.softmax' op expected to be part of an attention (the remarks of ingot-fuse-attention say why not)}}
  %p = linalg.softmax dimension(1) ins(%s : tensor<?x?xf32>) outs(%s : tensor<?x?xf32>) -> tensor<?x?xf32>
  %m = transformer.attention_mask %positions, %lengths : tensor<?x?xi32>, tensor<?xi32> -> tensor<?x?x?xi1>
  return %p, %m : tensor<?x?xf32>, tensor<?x?x?xi1>
}

// -----

// Dense attention was not packed.
func.func @dense(%x: tensor<?x?x2x8xf32>, %p: tensor<?x?xi32>, %l: tensor<?xi32>) -> tensor<?x?x2x8xf32> {
  // expected-error @below {{expected attention over packed tokens (the remarks of ingot-remove-padding say why not)}}
  %y = transformer.attention %x, %x, %x positions %p lengths %l {scale = 0.5 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Causal attention without a cache computes every token again at each step.
func.func @uncached(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> {
  // expected-error @below {{expected attention to read a cache (the remarks of ingot-insert-kv-cache say why not)}}
  %y = transformer.attention %x, %x, %x batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// A batch that is unpacked inside was packed only in part.
func.func @partial(%x: tensor<?x8xf32>, %l: tensor<?xi32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{expected no change between dense and packed batches (the remarks of ingot-remove-padding say why)}}
  %y = transformer.unpack %x, %l : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A layer that nothing calls was left behind.
// expected-error @below {{expected private functions to be called}}
func.func private @layer(%x: tensor<?xf32>) -> tensor<?xf32> {
  return %x : tensor<?xf32>
}
