// RUN: echo 'module {}' | not ingot-opt --ingot-assign-devices=devices=2 2>&1 | FileCheck %s --check-prefix=TWO
// RUN: ingot-opt %s --ingot-assign-devices --split-input-file --verify-diagnostics

// TWO: error: expected 'devices' to be 1, got 2

// expected-error@below {{expected 'transformer.devices' to be 1 : i64, got 2 : i64}}
module attributes {transformer.devices = 2 : i64} {}

// -----

// expected-error@below {{expected 'transformer.devices' to be an integer of at least 1, got 0 : i64}}
module attributes {transformer.devices = 0 : i64} {}

// -----

// expected-error@below {{expected 'transformer.devices' to be an integer of at least 1, got "cpu"}}
module attributes {transformer.devices = "cpu"} {}
