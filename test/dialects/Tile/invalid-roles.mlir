// RUN: ingot-opt %s --split-input-file --verify-diagnostics

// Each constraint of roles and rings, by its label.

// roles (C1)
func.func @f() {
  // expected-error @+1 {{expected 'warps' to have 1 numbers, got 2}}
  "tile.roles"() ({ "tile.end_role"() : () -> () }) {warps = array<i64: 1, 2>} : () -> ()
  return
}

// -----

// roles (C1)
func.func @f() {
  // expected-error @+1 {{expected 'warps' to be positive, got 0}}
  tile.roles role 0 {
  }
  return
}

// -----

// roles (C2)
func.func @f(%v: !tile.view<[8], f32>, %i: index) {
  tile.roles role 2 {
    // expected-error @+1 {{expected a layout of at most 2 warps, those of its role, got 4}}
    %x = tile.load %v[%i] : !tile.view<[8], f32> -> tensor<8xf32, #tile.layout<lane = [[1]], warp = [[2], [4]]>>
  }
  return
}

// -----

// roles (C3)
func.func @f() {
  tile.roles role 2 {
    // expected-error @+1 {{expected roles not to nest}}
    tile.roles role 1 {
    }
  }
  return
}

// -----

// roles: at least one
func.func @f() {
  // expected-error @+2 {{expected 'role'}}
  tile.roles
  return
}

// -----

// ring (C1)
func.func @f() {
  // expected-error @+1 {{expected 'slots' to be positive, got 0}}
  %r = tile.ring slots 0 readers 1
  return
}

// -----

// ring (C1)
func.func @f() {
  // expected-error @+1 {{expected 'readers' to be positive, got 0}}
  %r = tile.ring slots 1 readers 0
  return
}
