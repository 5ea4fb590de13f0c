// RUN: ingot-opt %s --ingot-assign-devices | FileCheck %s
// RUN: ingot-opt %s --ingot-assign-devices=devices=1 | ingot-opt --ingot-assign-devices | FileCheck %s

// The module says that it is for one device; its ops stay as they are.
// CHECK: module attributes {transformer.devices = 1 : i64, transformer.version = 1 : i64}
module attributes {transformer.version = 1 : i64} {
  // CHECK-NEXT: func.func @f(%{{.*}}: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: return
  func.func @f(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
    return %x : tensor<?x64xf32>
  }
}
