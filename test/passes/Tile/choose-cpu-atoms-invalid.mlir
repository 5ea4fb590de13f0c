// RUN: ingot-opt %s --verify-diagnostics --ingot-choose-cpu-atoms=target=cpu:x86-64-v9

// A target that nobody knows.
// expected-error @below {{target 'cpu:x86-64-v9' names no known level of CPUs; known are x86-64-v3, x86-64-v4}}
module {
}
