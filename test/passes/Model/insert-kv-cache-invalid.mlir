// RUN: ingot-opt %s --split-input-file --ingot-insert-kv-cache --remarks-filter-missed=model --remark-format=emitRemark --verify-diagnostics | FileCheck %s
// RUN: not ingot-opt %s --split-input-file --ingot-insert-kv-cache="page-tokens=12" 2>&1 | FileCheck %s --check-prefix=PAGE
// RUN: not ingot-opt %s --split-input-file --ingot-insert-kv-cache="format=f64" 2>&1 | FileCheck %s --check-prefix=FORMAT

// PAGE: expected option 'page-tokens' to be a power of two from 8 to 1024, got 12
// FORMAT: expected option 'format' to be one of f16 f32 q8_0 k8v4 q4_0, got f64

// An attention that sees later positions beside one that does not is not cached. Nothing changes in any of these programs.
// CHECK-NOT: kv_cache
func.func @mixed(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // expected-remark @below {{transformer.attention sees later positions}}
  %y = transformer.attention %x, %x, %x batch %batch {scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  %z = transformer.attention %y, %y, %y batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %z : tensor<?x2x8xf32>
}

// -----

// Nor is an encoder whose tokens see a part of their sequence only.
// CHECK-NOT: kv_cache
func.func @window(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // expected-remark @below {{transformer.attention sees later positions within a window}}
  %y = transformer.attention %x, %x, %x batch %batch {scale = 0.5 : f32, window = 4 : i64} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// Attention over a dense batch has no ragged one to find its pages by.
func.func @dense(%x: tensor<?x?x2x8xf32>, %p: tensor<?x?xi32>, %l: tensor<?xi32>) -> tensor<?x?x2x8xf32> attributes {transformer.entry} {
  // expected-remark @below {{transformer.attention is not over packed tokens}}
  %y = transformer.attention %x, %x, %x positions %p lengths %l {causal, scale = 0.5 : f32} : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> positions tensor<?x?xi32> lengths tensor<?xi32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// What relates positions in a way that is not known might look ahead.
func.func @unknown(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  // expected-remark @below {{linalg.exp may relate positions in a way that is not known}}
  %z = linalg.exp ins(%x : tensor<?x2x8xf32>) outs(%x : tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  %y = transformer.attention %z, %z, %z batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// A program without attention has nothing to keep.
// expected-remark @below {{func.func has no attention to cache for}}
func.func @rows(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {transformer.entry} {
  %y = arith.negf %x : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Two batches could be of different sequences.
// expected-remark @below {{func.func takes more than one batch}}
func.func @two(%x: tensor<?x2x8xf32>, %a: !transformer.ragged, %b: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = transformer.attention %x, %x, %x batch %a {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// The entry gets the name 'step', which is taken.
// expected-remark @below {{func.func cannot be renamed: there is another symbol 'step'}}
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = transformer.attention %x, %x, %x batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
func.func @step() {
  return
}

// -----

// Functions whose calls are not all known keep what they take: one that others may call,
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = call @layer(%x, %batch) : (tensor<?x2x8xf32>, !transformer.ragged) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
// expected-remark @below {{func.func is public, so others may call it}}
func.func @layer(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> {
  %y = transformer.attention %x, %x, %x batch %batch {causal, scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// one that calls itself,
func.func @main(%x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = call @a(%x) : (tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
// expected-remark @below {{func.func calls itself}}
func.func private @a(%x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> {
  %y = call @b(%x) : (tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
func.func private @b(%x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> {
  %y = call @a(%x) : (tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}

// -----

// one that has no body,
func.func @main(%x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = call @a(%x) : (tensor<?x2x8xf32>) -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
// expected-remark @below {{func.func has no body}}
func.func private @a(%x: tensor<?x2x8xf32>) -> tensor<?x2x8xf32>

// -----

// one that is called from elsewhere, or from a region.
func.func @main(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {transformer.entry} {
  %y = call @a(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func private @a(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
func.func @other(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-remark @below {{func.call uses a function that the entry calls}}
  %y = call @a(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @main(%x: tensor<?x8xf32>, %c: i1) -> tensor<?x8xf32> attributes {transformer.entry} {
  %y = scf.if %c -> tensor<?x8xf32> {
    // expected-remark @below {{func.call is inside of a region}}
    %z = func.call @a(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
    scf.yield %z : tensor<?x8xf32>
  } else {
    scf.yield %x : tensor<?x8xf32>
  }
  return %y : tensor<?x8xf32>
}
func.func private @a(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
