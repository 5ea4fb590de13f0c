// RUN: ingot-opt %s --ingot-fuse-norm --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s

!x = tensor<?x64xf32>
!w = !transformer.weight<[64], f32>

// CHECK-NOT: transformer.compute

func.func @floats(%x: !x, %w: !w) -> (tensor<?x64xi8>, !x) {
  // expected-remark@below {{[Missed] FuseNorm | Category:fuse | Function=floats | Reason="the floats of the norm are used too"}}
  %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : !x, !w
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  return %v, %n : tensor<?x64xi8>, !x
}

func.func @bias(%x: !x, %w: !w, %b: !transformer.weight<[64], q8_0>) -> tensor<?x64xi8> {
  // expected-remark@below {{the norm's bias is not a float format}}
  %n = transformer.norm layer %x, %w bias %b {epsilon = 1.0e-5 : f32} : !x, !w bias !transformer.weight<[64], q8_0>
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  return %v : tensor<?x64xi8>
}
