// RUN: ingot-opt %s -canonicalize | FileCheck %s

// Packing what was just unpacked with the same lengths gives the packed tokens back.
// CHECK-LABEL: func.func @pack_of_unpack
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>
func.func @pack_of_unpack(%x: tensor<?x8xf32>, %l: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK-NEXT: return %[[X]]
  %d = transformer.unpack %x, %l : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x?x8xf32>
  %p = transformer.pack %d, %l : tensor<?x?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  return %p : tensor<?x8xf32>
}

// Other lengths choose other slots: nothing folds.
// CHECK-LABEL: func.func @other_lengths
func.func @other_lengths(%x: tensor<?x8xf32>, %l: tensor<?xi32>, %m: tensor<?xi32>) -> tensor<?x8xf32> {
  // CHECK: transformer.unpack
  // CHECK: transformer.pack
  %d = transformer.unpack %x, %l : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x?x8xf32>
  %p = transformer.pack %d, %m : tensor<?x?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  return %p : tensor<?x8xf32>
}

// Unpacking what was packed does not fold: slots beyond the lengths are unspecified, not those of the input.
// CHECK-LABEL: func.func @unpack_of_pack
func.func @unpack_of_pack(%x: tensor<?x?x8xf32>, %l: tensor<?xi32>) -> tensor<?x?x8xf32> {
  // CHECK: transformer.pack
  // CHECK: transformer.unpack
  %p = transformer.pack %x, %l : tensor<?x?x8xf32>, tensor<?xi32> -> tensor<?x8xf32>
  %d = transformer.unpack %p, %l : tensor<?x8xf32>, tensor<?xi32> -> tensor<?x?x8xf32>
  return %d : tensor<?x?x8xf32>
}
