// RUN: ingot-opt %s --ingot-verify-cpu-target --split-input-file --verify-diagnostics

// An instruction of another level.
llvm.func @vnni(%s: vector<8xi32>, %a: vector<32xi8>) -> vector<8xi32> {
  // expected-error @+1 {{expected an intrinsic that cpu:x86-64-v3 has, got 'llvm.x86.avx512.vpdpbusd.256', which needs avxvnni|avx512vnni,avx512vl}}
  %p = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.256"(%s, %a, %a) : (vector<8xi32>, vector<32xi8>, vector<32xi8>) -> vector<8xi32>
  llvm.return %p : vector<8xi32>
}

// -----

// An intrinsic that no table knows.
llvm.func @unknown(%a: f32) -> f32 {
  // expected-error @+1 {{expected an intrinsic that the table of CPU intrinsics knows, got 'llvm.sin.f32'}}
  %p = llvm.call_intrinsic "llvm.sin.f32"(%a) : (f32) -> f32
  llvm.return %p : f32
}

// -----

// A library function.
// expected-error @+1 {{expected every function to have a body: kernels have no library}}
llvm.func @memcpy(!llvm.ptr, !llvm.ptr, i64) -> !llvm.ptr

// -----

// A kernel that was not lowered.
// expected-error @+1 {{expected kernels to be lowered before the target stage}}
tile.kernel @K() grid [] {
  tile.return
}
