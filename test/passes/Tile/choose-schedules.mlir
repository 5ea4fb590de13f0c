// RUN: ingot-opt %s --split-input-file --ingot-choose-schedules | FileCheck %s
// RUN: ingot-opt %s --split-input-file --ingot-choose-schedules="schedule=row_groups=3,tile_tokens=8" | FileCheck %s --check-prefix=FORCED
// RUN: ingot-opt %s --split-input-file --ingot-choose-schedules --ingot-select-kernels --ingot-choose-cpu-atoms --ingot-lower-tile-to-cpu -o /dev/null

!w = !transformer.weight<[576, 1536], q4_1>

// A machine that starts blocks slowly and does all else fast gets large blocks.
module attributes {tile.tuning = {version = 1, machine = "slow starts", threads = 1, stream_gbps = 1000.0,
                                  nanoseconds = {"int8 block" = 1000000.0}, products = {}}} {
  // CHECK-LABEL: @large
  // FORCED-LABEL: @large
  func.func @large(%x: tensor<?x1536xi8>, %s: tensor<?x48xf32>, %a: !w) -> tensor<?x576xf32> {
    // CHECK: tile.schedule = {block_tokens = 256 : i64, {{.*}}row_groups = 24 : i64
    // FORCED: tile.schedule = {block_tokens = 64 : i64, panel_tokens = 8 : i64, row_groups = 3 : i64, single_groups = 1 : i64, tile_tokens = 8 : i64}
    %y = transformer.compute "Linear" (%i = %x : tensor<?x1536xi8>, %c = %s : tensor<?x48xf32>, %w = %a : !w) -> (tensor<?x576xf32>) {
      %r = transformer.linear %i scales %c, %w : tensor<?x1536xi8> scales tensor<?x48xf32>, !w -> tensor<?x576xf32>
      transformer.yield %r : tensor<?x576xf32>
    }
    return %y : tensor<?x576xf32>
  }
}

// -----

!w = !transformer.weight<[576, 1536], q4_1>

// One that makes sums at once and starts blocks for nothing gets an even number of small blocks for its many threads.
module attributes {tile.tuning = {version = 1, machine = "many", threads = 36, stream_gbps = 1000.0,
                                  nanoseconds = {"int8 block" = 0.0, "int8 sum" = 0.0}, products = {}}} {
  // CHECK-LABEL: @small
  func.func @small(%x: tensor<?x1536xi8>, %s: tensor<?x48xf32>, %a: !w) -> tensor<?x576xf32> {
    // CHECK: row_groups = 2 : i64
    %y = transformer.compute "Linear" (%i = %x : tensor<?x1536xi8>, %c = %s : tensor<?x48xf32>, %w = %a : !w) -> (tensor<?x576xf32>) {
      %r = transformer.linear %i scales %c, %w : tensor<?x1536xi8> scales tensor<?x48xf32>, !w -> tensor<?x576xf32>
      transformer.yield %r : tensor<?x576xf32>
    }
    return %y : tensor<?x576xf32>
  }
}

// -----

!w = !transformer.weight<[64, 64], q4_1>
!g = !transformer.weight<[64], f32>

// What was measured of a product is taken for it, and for no other: not for floats, nor for other shapes.
module attributes {tile.tuning = {version = 1, machine = "measured", threads = 2, stream_gbps = 30, nanoseconds = {},
    products = {"q4_1 float 1x64x64" = {schedule = "row_groups=5,block_tokens=16", microseconds = {"1" = 3.5, "64" = 80.0}},
                "q4_1 int8 1x64x64" = {schedule = "row_groups=7", microseconds = {}}}}} {
  // CHECK-LABEL: @measured
  func.func @measured(%x: tensor<?x64xf32>, %a: !w, %b: !transformer.weight<[128, 64], q4_1>, %n: !g)
      -> (tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x128xf32>, tensor<?x64xf32>) {
    // CHECK: tile.schedule = {block_tokens = 16 : i64, panel_tokens = 8 : i64, row_groups = 5 : i64
    %y = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %a : !w) -> (tensor<?x64xf32>) {
      %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
      transformer.yield %r : tensor<?x64xf32>
    }
    // A schedule that is there stays.
    // CHECK: tile.schedule = {row_groups = 9 : i64}
    %z = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %a : !w) -> (tensor<?x64xf32>) {
      %r = transformer.linear %i, %w : tensor<?x64xf32>, !w -> tensor<?x64xf32>
      transformer.yield %r : tensor<?x64xf32>
    } {tile.schedule = {row_groups = 9 : i64}}
    // CHECK: transformer.weight<[128, 64], q4_1>
    // CHECK-NOT: row_groups = {{5|7}} : i64
    // CHECK: tile.schedule
    %u = transformer.compute "Linear" (%i = %x : tensor<?x64xf32>, %w = %b : !transformer.weight<[128, 64], q4_1>) -> (tensor<?x128xf32>) {
      %r = transformer.linear %i, %w : tensor<?x64xf32>, !transformer.weight<[128, 64], q4_1> -> tensor<?x128xf32>
      transformer.yield %r : tensor<?x128xf32>
    }
    // A region without a product has no schedule.
    // CHECK: transformer.norm
    // CHECK-NOT: tile.schedule
    // CHECK: return
    %v = transformer.compute "RmsNorm" (%i = %x : tensor<?x64xf32>, %w = %n : !g) -> (tensor<?x64xf32>) {
      %r = transformer.norm rms %i, %w {epsilon = 1.0e-5 : f32} : tensor<?x64xf32>, !g
      transformer.yield %r : tensor<?x64xf32>
    }
    return %y, %z, %u, %v : tensor<?x64xf32>, tensor<?x64xf32>, tensor<?x128xf32>, tensor<?x64xf32>
  }
}

// -----

!w = !transformer.weight<[576, 1536], q4_1>

// Without a machine the default of the shape is taken: 12 blocks.
// CHECK-LABEL: @unknown
func.func @unknown(%x: tensor<?x1536xi8>, %s: tensor<?x48xf32>, %a: !w) -> tensor<?x576xf32> {
  // CHECK: tile.schedule = {block_tokens = 64 : i64, panel_tokens = 8 : i64, row_groups = 6 : i64, single_groups = 1 : i64, tile_tokens = 4 : i64}
  %y = transformer.compute "Linear" (%i = %x : tensor<?x1536xi8>, %c = %s : tensor<?x48xf32>, %w = %a : !w) -> (tensor<?x576xf32>) {
    %r = transformer.linear %i scales %c, %w : tensor<?x1536xi8> scales tensor<?x48xf32>, !w -> tensor<?x576xf32>
    transformer.yield %r : tensor<?x576xf32>
  }
  return %y : tensor<?x576xf32>
}
