//===- FakeCuda.h - A driver without a GPU, to be told what to do -------------------------------===//
//
// The test library libcuda.so.1 (FakeCuda.cpp) exports the functions of the driver that the runtime
// uses and does their work on the host, late: what is handed to a stream is done when somebody
// waits for it, so that a buffer that is used again too early shows. It knows its memory, contexts
// and functions, and refuses what a driver would refuse. "PTX" is read for its entries; their
// bodies are the kernels of TestKernels.c.
//
// A test finds `FakeCuda` under the symbol `fakeCuda`. For programs, the environment variable
// FAKE_CUDA sets the same at start: "cuInit=100,cuMemAlloc_v2=2@3,devices=0": function=code[@calls
// that succeed before], or setting=number.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_TEST_RUNTIME_FAKECUDA_H
#define INGOT_TEST_RUNTIME_FAKECUDA_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ingot::test {

struct FakeCuda {
  struct Failure {
    int code = 0;
    int after = 0;         ///< calls that succeed before
    bool isSticky = false; ///< every later call of any function fails too
  };

  // Settings
  int devices = 1, version = 13000, capability = 90;
  uint64_t memory = uint64_t(256) << 20;
  std::map<std::string, Failure> failures; ///< by the function's exported name

  // What happened
  std::map<std::string, int> calls;
  std::vector<std::string> work; ///< "copy 64", "launch visit 7x1x1", "launch project 11x1x1 early"
  uint64_t used = 0;             ///< bytes of GPU memory
  int livePinned = 0, liveModules = 0, liveStreams = 0, liveEvents = 0, liveGraphs = 0,
      liveRuns = 0, retained = 0;
  std::string lastError; ///< what the fake driver did not like
  int stickyCode = 0;    ///< of a failure that all calls repeat

  /// Back to the settings above and no records.
  void reset() { *this = {}; }
  bool isClean() const {
    return used == 0 && !livePinned && !liveModules && !liveStreams && !liveEvents && !liveGraphs &&
           !liveRuns && !retained;
  }
};

} // namespace ingot::test

#endif // INGOT_TEST_RUNTIME_FAKECUDA_H
