// What may and may not become a loop, and what it costs.

// RUN: ingot-opt %s --split-input-file --ingot-build-plan="max-tokens=4 max-outputs=4" | FileCheck %s
// RUN: ingot-opt %s --split-input-file --ingot-build-plan="max-tokens=4 max-outputs=4" --remark-format=emitRemark \
// RUN:   --remarks-filter=plan 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// What a layer makes anew goes where its input was, which is no longer needed then: a loop without copies.
// REMARK: {{\[}}Passed] Loop | {{.*}}3 iterations of 2 launches are one loop
// CHECK-LABEL: plan.program @step
// CHECK-SAME:    arena 2048
// CHECK:         plan.loop 3 {
// CHECK-NEXT:      plan.launch @Add grid [tokens, 1, 1] (@Gather.out, @w0 step 256, out @[[A:.*]]) layer
// CHECK-NEXT:      plan.launch @Add grid [tokens, 1, 1] (@[[A]], @w0 step 256, out @Gather.out) layer
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w : !w source "w"
  transformer.weight @w0 : !w source "w0"
  transformer.weight @w1 : !w source "w1"
  transformer.weight @w2 : !w source "w2"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Add(%a: !x, %w: !n, %y: !x) grid [tokens] { tile.return }
  func.func private @layer(%x: !t, %w: !w) -> !t {
    %a = tile.launch @Add(%x, %w) : (!t, !w) -> !t
    %b = tile.launch @Add(%a, %w) : (!t, !w) -> !t
    return %b : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w0 = transformer.get_weight @w0 : !w
    %w1 = transformer.get_weight @w1 : !w
    %w2 = transformer.get_weight @w2 : !w
    %w = transformer.get_weight @w : !w
    %x0 = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %x1 = call @layer(%x0, %w0) : (!t, !w) -> !t
    %x2 = call @layer(%x1, %w1) : (!t, !w) -> !t
    %x3 = call @layer(%x2, %w2) : (!t, !w) -> !t
    return %x3 : !t
  }
}

// -----

// The input of a layer is still needed while its result is written: the calls stay unrolled.
// REMARK: {{\[}}Missed] Loop | {{.*}}'Mix.out' is written while 'Gather.out' is still needed{{.*}}2 calls of 'layer' stay unrolled
// CHECK-LABEL: plan.program @step
// CHECK-NOT:     plan.loop
// CHECK-COUNT-2: plan.launch @Mix
// CHECK-NOT:     plan.launch
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w : !w source "w"
  transformer.weight @w0 : !w source "w0"
  transformer.weight @w1 : !w source "w1"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Add(%a: !x, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Mix(%a: !x, %b: !x, %y: !x) grid [tokens] { tile.return }
  func.func private @layer(%x: !t, %w: !w) -> !t {
    %a = tile.launch @Add(%x, %w) : (!t, !w) -> !t
    %b = tile.launch @Mix(%a, %x) : (!t, !t) -> !t
    return %b : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w0 = transformer.get_weight @w0 : !w
    %w1 = transformer.get_weight @w1 : !w
    %w = transformer.get_weight @w : !w
    %x0 = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %x1 = call @layer(%x0, %w0) : (!t, !w) -> !t
    %x2 = call @layer(%x1, %w1) : (!t, !w) -> !t
    return %x2 : !t
  }
}

// -----

// A layer that shares its weight with another ends the loop; the layers after it are a loop again.
// REMARK: {{\[}}Passed] Loop | {{.*}}2 iterations of 2 launches are one loop
// REMARK: {{\[}}Missed] Loop | {{.*}}'w0' does not lie at the stride of the iterations before{{.*}}a loop of 5 iterations ends after 2
// REMARK: {{\[}}Passed] Loop | {{.*}}2 iterations of 2 launches are one loop
// CHECK-LABEL: plan.program @step
// CHECK:         plan.loop 2
// CHECK:         plan.loop 2
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w : !w source "w"
  transformer.weight @w0 : !w source "w0"
  transformer.weight @w1 : !w source "w1"
  transformer.weight @w2 : !w source "w2"
  transformer.weight @w3 : !w source "w3"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Add(%a: !x, %w: !n, %y: !x) grid [tokens] { tile.return }
  func.func private @layer(%x: !t, %w: !w) -> !t {
    %a = tile.launch @Add(%x, %w) : (!t, !w) -> !t
    %b = tile.launch @Add(%a, %w) : (!t, !w) -> !t
    return %b : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w0 = transformer.get_weight @w0 : !w
    %w1 = transformer.get_weight @w1 : !w
    %w2 = transformer.get_weight @w2 : !w
    %w3 = transformer.get_weight @w3 : !w
    %w = transformer.get_weight @w : !w
    %x0 = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %x1 = call @layer(%x0, %w0) : (!t, !w) -> !t
    %x2 = call @layer(%x1, %w1) : (!t, !w) -> !t
    %x3 = call @layer(%x2, %w0) : (!t, !w) -> !t
    %x4 = call @layer(%x3, %w2) : (!t, !w) -> !t
    %x5 = call @layer(%x4, %w3) : (!t, !w) -> !t
    return %x5 : !t
  }
}

// -----

// One call is no loop.
// REMARK: {{\[}}Missed] Loop | {{.*}}a loop of 3 iterations ends after 2
// REMARK-NOT: Loop |
// REMARK: PeakMemory
// CHECK-LABEL: plan.program @step
// CHECK-NOT:     plan.loop
// CHECK-COUNT-2: plan.launch @Add
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w : !w source "w"
  transformer.weight @w0 : !w source "w0"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Add(%a: !x, %w: !n, %y: !x) grid [tokens] { tile.return }
  func.func private @layer(%x: !t, %w: !w) -> !t {
    %a = tile.launch @Add(%x, %w) : (!t, !w) -> !t
    %b = tile.launch @Add(%a, %w) : (!t, !w) -> !t
    return %b : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w0 = transformer.get_weight @w0 : !w
    %w = transformer.get_weight @w : !w
    %x0 = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %x1 = call @layer(%x0, %w0) : (!t, !w) -> !t
    return %x1 : !t
  }
}

// -----

// A weight that every layer reads does not move.
// REMARK: {{\[}}Passed] Loop | {{.*}}2 iterations of 2 launches are one loop
// CHECK-LABEL: plan.program @step
// CHECK:         plan.loop 2 {
// CHECK-NEXT:      plan.launch @Add grid [tokens, 1, 1] (@Gather.out, @w, out
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w : !w source "w"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !n, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Add(%a: !x, %w: !n, %y: !x) grid [tokens] { tile.return }
  func.func private @layer(%x: !t, %w: !w) -> !t {
    %a = tile.launch @Add(%x, %w) : (!t, !w) -> !t
    %b = tile.launch @Add(%a, %w) : (!t, !w) -> !t
    return %b : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w = transformer.get_weight @w : !w
    %x0 = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %x1 = call @layer(%x0, %w) : (!t, !w) -> !t
    %x2 = call @layer(%x1, %w) : (!t, !w) -> !t
    return %x2 : !t
  }
}

// -----

// A weight that two kernels want in different orders is there twice, at a cost that is said.
// REMARK: {{\[}}Analysis] PackedTwice | Category:plan | {{.*}}'w.1' is in 'w' too{{.*}}bytes=4352
// CHECK-LABEL: plan.program @step
// CHECK:         plan.weight @w at 0 bytes 4352 [64, 64] "q8_0" packing "plain" sources ["w"]
// CHECK:         plan.weight @w.1 at 4352 bytes 4352 [64, 64] "q8_0" packing "rows8" sources ["w"]
!w = !transformer.weight<[64, 64], q8_0>
!p = !transformer.weight<[64, 64], q8_0, #tile.packed<q8_0, rows = 8>>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
module {
  transformer.weight @w : !w source "w"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %w: !tile.view<[64, 64], i8>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Head(%x: !x, %w: !tile.view<[64, 64], #tile.packed<q8_0, rows = 8>>, %y: !x) grid [tokens] { tile.return }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w = transformer.get_weight @w : !w
    %p = transformer.pack_weight %w : !w -> !p
    %x = tile.launch @Gather(%ids, %w) : (tensor<?xi32>, !w) -> !t
    %y = tile.launch @Head(%x, %p) : (!t, !p) -> !t
    return %y : !t
  }
}

// -----

// Layers of two kinds in turn are one loop of both.
// REMARK: {{\[}}Passed] Loop | {{.*}}2 iterations of 2 launches are one loop
// CHECK-LABEL: plan.program @step
// CHECK:         plan.loop 2 {
// CHECK-NEXT:      plan.launch @Local grid [tokens, 1, 1] (@w0 step 512, inout @Gather.out)
// CHECK-NEXT:      plan.launch @Global grid [tokens, 1, 1] (@w1 step 512, inout @Gather.out)
// CHECK-NEXT:    }
// CHECK-NEXT:    plan.launch @Local grid [tokens, 1, 1] (@w4, inout @Gather.out)
!w = !transformer.weight<[64], f32>
!t = tensor<?x64xf32>
!x = !tile.view<[tokens, 64], f32>
!n = !tile.view<[64], f32>
module {
  transformer.weight @w0 : !w source "w0"
  transformer.weight @w1 : !w source "w1"
  transformer.weight @w2 : !w source "w2"
  transformer.weight @w3 : !w source "w3"
  transformer.weight @w4 : !w source "w4"
  tile.kernel @Gather(%i: !tile.view<[tokens], i32>, %y: !x) grid [tokens] { tile.return }
  tile.kernel @Local(%w: !n, %x: !x) grid [tokens] { tile.return }
  tile.kernel @Global(%w: !n, %x: !x) grid [tokens] { tile.return }
  func.func private @local(%x: !t, %w: !w) -> !t {
    %y = tile.launch @Local(%w, %x) in_place [1] : (!w, !t) -> !t
    return %y : !t
  }
  func.func private @global(%x: !t, %w: !w) -> !t {
    %y = tile.launch @Global(%w, %x) in_place [1] : (!w, !t) -> !t
    return %y : !t
  }
  func.func @step(%ids: tensor<?xi32>) -> !t {
    %w0 = transformer.get_weight @w0 : !w
    %w1 = transformer.get_weight @w1 : !w
    %w2 = transformer.get_weight @w2 : !w
    %w3 = transformer.get_weight @w3 : !w
    %w4 = transformer.get_weight @w4 : !w
    %x = tile.launch @Gather(%ids) : (tensor<?xi32>) -> !t
    %x0 = call @local(%x, %w0) : (!t, !w) -> !t
    %x1 = call @global(%x0, %w1) : (!t, !w) -> !t
    %x2 = call @local(%x1, %w2) : (!t, !w) -> !t
    %x3 = call @global(%x2, %w3) : (!t, !w) -> !t
    %x4 = call @local(%x3, %w4) : (!t, !w) -> !t
    return %x4 : !t
  }
}
