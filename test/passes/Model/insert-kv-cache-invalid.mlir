// RUN: ingot-opt %s --split-input-file --ingot-insert-kv-cache | FileCheck %s
// RUN: not ingot-opt %s --ingot-insert-kv-cache="page-tokens=12" 2>&1 | FileCheck %s --check-prefix=PAGE
// RUN: not ingot-opt %s --ingot-insert-kv-cache="format=f64" 2>&1 | FileCheck %s --check-prefix=FORMAT

// PAGE: expected option 'page-tokens' to be a power of two from 8 to 1024, got 12
// FORMAT: expected option 'format' to be f16 or f32, got f64

// An attention that sees later positions is not cached.
// CHECK-LABEL: func.func @main
// CHECK-NOT:   kv_cache
func.func @main(%x: tensor<?x2x8xf32>, %batch: !transformer.ragged) -> tensor<?x2x8xf32> attributes {transformer.entry} {
  %y = transformer.attention %x, %x, %x batch %batch {scale = 0.5 : f32} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> batch !transformer.ragged -> tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
