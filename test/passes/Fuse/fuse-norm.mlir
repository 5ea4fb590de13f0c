// RUN: ingot-opt %s --ingot-fuse-norm --remarks-filter=fuse --remark-policy=all --remark-format=emitRemark --verify-diagnostics | FileCheck %s
// RUN: ingot-opt %s --ingot-fuse-norm=target=cuda | FileCheck %s --check-prefix=CUDA

!x = tensor<?x64xf32>
!w = !transformer.weight<[64], f32>

// CHECK-LABEL: func.func @fuse
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: !transformer
func.func @fuse(%x: !x, %w: !w) -> (tensor<?x64xi8>, tensor<?x2xf32>) {
  // CHECK-NEXT: %[[Y:.*]]:2 = transformer.compute "RmsNormQuantize" (%[[A:.*]] = %[[X]] : tensor<?x64xf32>, %[[B:.*]] = %[[W]] : {{.*}}) -> (tensor<?x64xi8>, tensor<?x2xf32>) {
  // CHECK-NEXT: %[[N:.*]] = transformer.norm rms %[[A]], %[[B]]
  // CHECK-NEXT: %[[V:.*]], %[[S:.*]] = transformer.quantize %[[N]]
  // CHECK-NEXT: transformer.yield %[[V]], %[[S]]
  // CHECK: return %[[Y]]#0, %[[Y]]#1
  // expected-remark@below {{[Passed] FuseNorm | Category:fuse | Function=fuse | Remark="norm and quantize in one region"}}
  %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : !x, !w
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  return %v, %s : tensor<?x64xi8>, tensor<?x2xf32>
}

// A layer norm, with its bias.
// CHECK-LABEL: func.func @layer
func.func @layer(%x: !x, %w: !w, %b: !w) -> (tensor<?x64xi8>, tensor<?x2xf32>) {
  // CHECK: transformer.compute "LayerNormQuantize"
  // CHECK-NEXT: transformer.norm layer %{{.*}}, %{{.*}} bias %
  // CHECK-NEXT: transformer.quantize
  // expected-remark@below {{norm and quantize in one region}}
  %n = transformer.norm layer %x, %w bias %b {epsilon = 1.0e-5 : f32} : !x, !w bias !w
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  return %v, %s : tensor<?x64xi8>, tensor<?x2xf32>
}

// A size is no use of the norm's floats.
// CHECK-LABEL: func.func @size
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>,
func.func @size(%x: !x, %w: !w) -> (tensor<?x64xi8>, index) {
  // CHECK: transformer.compute "RmsNormQuantize"
  // CHECK: tensor.dim %[[X]]
  %c0 = arith.constant 0 : index
  // expected-remark@below {{norm and quantize in one region}}
  %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : !x, !w
  %v, %s = transformer.quantize %n : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  %d = tensor.dim %n, %c0 : !x
  return %v, %d : tensor<?x64xi8>, index
}

// A norm alone and a quantize alone are not for this pass.
// CHECK-LABEL: func.func @alone
// CHECK-NOT: transformer.compute
func.func @alone(%x: !x, %w: !w) -> (tensor<?x64xi8>, !x) {
  %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : !x, !w
  %v, %s = transformer.quantize %x : !x -> tensor<?x64xi8>, tensor<?x2xf32>
  return %v, %n : tensor<?x64xi8>, !x
}

// On GPUs a norm goes into the region of products that alone reads it; elsewhere it stays.
// CHECK-LABEL: func.func @products
// CUDA-LABEL: func.func @products
// CUDA-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: !transformer.weight<[64], f32>, %[[G:.*]]: !transformer.weight<[32, 64], bf16>, %[[U:.*]]: !transformer
func.func @products(%x: !x, %w: !w, %g: !transformer.weight<[32, 64], bf16>, %u: !transformer.weight<[32, 64], bf16>) -> tensor<?x32xf32> {
  // CHECK: transformer.norm
  // CHECK-NEXT: transformer.compute "LinearGatedActivation"
  // CUDA-NEXT: %[[Y:.*]] = transformer.compute "LinearGatedActivation" (%[[A:.*]] = %[[G]] : {{.*}}, %[[B:.*]] = %[[U]] : {{.*}}, %[[C:.*]] = %[[X]] : tensor<?x64xf32>, %[[D:.*]] = %[[W]] : {{.*}}) -> (tensor<?x32xf32>) {
  // CUDA-NEXT: %[[N:.*]] = transformer.norm rms %[[C]], %[[D]]
  // CUDA-NEXT: transformer.linear %[[N]], %[[A]]
  // CUDA-NEXT: transformer.linear %[[N]], %[[B]]
  // CUDA: return %[[Y]]
  %n = transformer.norm rms %x, %w {epsilon = 1.0e-5 : f32} : !x, !w
  %y = transformer.compute "LinearGatedActivation" (%i = %n : !x, %a = %g : !transformer.weight<[32, 64], bf16>, %b = %u : !transformer.weight<[32, 64], bf16>) -> (tensor<?x32xf32>) {
    %p = transformer.linear %i, %a : !x, !transformer.weight<[32, 64], bf16> -> tensor<?x32xf32>
    %q = transformer.linear %i, %b : !x, !transformer.weight<[32, 64], bf16> -> tensor<?x32xf32>
    %s = transformer.activation silu %p : tensor<?x32xf32>
    %m = arith.mulf %s, %q : tensor<?x32xf32>
    transformer.yield %m : tensor<?x32xf32>
  }
  return %y : tensor<?x32xf32>
}
