// Limits of a step are positive, and small enough that nothing overflows.

// RUN: not ingot-opt %s --ingot-build-plan=max-tokens=0 2>&1 | FileCheck %s --check-prefix=TOKENS
// RUN: not ingot-opt %s --ingot-build-plan=max-context=16777217 2>&1 | FileCheck %s --check-prefix=CONTEXT
// RUN: ingot-opt %s --ingot-build-plan="max-tokens=3 max-outputs=9 max-sequences=9" | FileCheck %s

// TOKENS: error: expected option 'max-tokens' to be from 1 to 16777216, got 0
// CONTEXT: error: expected option 'max-context' to be from 1 to 16777216, got 16777217
// CHECK: bounds<tokens = 3, outputs = 3, sequences = 3
module {
  tile.kernel @K(%i: !tile.view<[tokens], i32>, %y: !tile.view<[outputs, 64], f32>) grid [tokens] { tile.return }
  func.func @step(%x: tensor<?xi32>) -> tensor<?x64xf32> {
    %y = tile.launch @K(%x) : (tensor<?xi32>) -> tensor<?x64xf32>
    return %y : tensor<?x64xf32>
  }
}
