// RUN: ingot-opt %s --split-input-file --ingot-verify-shapes --verify-diagnostics

// Two unknown sizes of one argument are not equal: adding a tensor to its transpose is an error.
// expected-note @below {{dimension 0 of argument 0 is from here}}
// expected-note @below {{dimension 1 of argument 0 is from here}}
func.func @transposed(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = tensor.dim %x, %c0 : tensor<?x?xf32>
  %b = tensor.dim %x, %c1 : tensor<?x?xf32>
  %e = tensor.empty(%b, %a) : tensor<?x?xf32>
  %t = linalg.transpose ins(%x : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) permutation = [1, 0]
  // expected-error @below {{expected sizes that are equal, got dimension 1 of argument 0 and dimension 0 of argument 0}}
  %y = arith.addf %x, %t : tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Two numbers meet through unknown sizes, across a call.
// expected-note @below {{8 is from here}}
func.func @main(%x: tensor<8xf32>) {
  %y = tensor.cast %x : tensor<8xf32> to tensor<?xf32>
  call @layer(%y) : (tensor<?xf32>) -> ()
  return
}
func.func private @layer(%x: tensor<?xf32>) {
  // expected-error @below {{'tensor.cast' op expected sizes that are equal, got 8 and 4}}
  // expected-note @below {{4 is from here}}
  %y = tensor.cast %x : tensor<?xf32> to tensor<4xf32>
  return
}

// -----

// A size that an op computes from data belongs to nothing.
func.func @data(%x: tensor<4xindex>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.extract %x[%c0] : tensor<4xindex>
  // expected-error @below {{expected dimension 0 of result 0 to follow from an entry's arguments, got a size that nothing relates to them}}
  %y = tensor.empty(%n) : tensor<?xf32>
  return %y : tensor<?xf32>
}
