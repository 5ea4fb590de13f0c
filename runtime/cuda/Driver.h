//===- Driver.h - The CUDA driver, found at run time ------------------------------------------===//
//
// libcuda.so.1 comes with the driver of a machine that has a GPU. It is opened by name when a GPU
// is first asked for, so one program starts everywhere, and needs no toolkit: the few types and
// numbers of the driver's stable C interface that are used stand here, and INGOT_CUDA_FUNCTIONS
// lists its functions, each once, under the names that the library exports.
//
// All failures of the driver become sentences in one place, `describe`: what was being done, what
// happened in words, the driver's own name for it.
//
//===------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CUDA_DRIVER_H
#define INGOT_RUNTIME_CUDA_DRIVER_H

#include "runtime/core/Status.h"

#include <cstddef>
#include <cstdint>

namespace ingot::runtime::cuda {

//===------------------------------------------------------------------------------------------===//
// Types and numbers of the driver
//===------------------------------------------------------------------------------------------===//

using Code = int;         ///< 0 or an error
using DeviceNumber = int; ///< of the driver, not the index that users say
using Address = uint64_t; ///< in the memory of a GPU
using Context = struct OpaqueContext *;
using DriverModule = struct OpaqueModule *;
using Function = struct OpaqueFunction *;
using Stream = struct OpaqueStream *;
using DriverEvent = struct OpaqueEvent *;
using Graph = struct OpaqueGraph *;
using GraphRun = struct OpaqueGraphRun *; ///< a graph made ready to be launched
using Linker = struct OpaqueLinker *;

/// The codes that are told apart.
enum KnownCode : Code {
  codeSuccess = 0,
  codeOutOfMemory = 2,
  codeStub = 34,
  codeDeviceUnavailable = 46,
  codeNoDevice = 100,
  codeInvalidImage = 200,
  codeNoBinary = 209,
  codeUncorrectable = 214,
  codeInvalidPtx = 218,
  codeNoCompiler = 221,
  codePtxTooNew = 222,
  codeCompilationDisabled = 223,
  codeNotFound = 500,
  codeIllegalAddress = 700,
  codeContextDestroyed = 709,
  codeHardwareStack = 714,
  codeLaunchFailed = 719,
  codeMismatch = 803,
  codeUnknown = 999,
};

enum Attribute : int {
  attributeMultiprocessors = 16,
  attributeMajor = 75,
  attributeMinor = 76,
  attributeSharedBytesOfBlock = 97, ///< the most that a kernel may ask for
};
inline constexpr int functionDynamicSharedBytes = 8;
inline constexpr unsigned streamNonBlocking = 1;
inline constexpr unsigned recordExternal = 1; ///< in a capture: a node that records when it runs
inline constexpr int captureThreadLocal = 1;
inline constexpr int linkInputPtx = 1;
enum LinkOption : int {
  linkInfoLog = 3,
  linkInfoLogBytes = 4,
  linkErrorLog = 5,
  linkErrorLogBytes = 6,
};

struct LaunchAttribute {
  int id;
  int padding;
  union {
    int programmaticSerialization;
    char bytes[64];
  } value;
};
inline constexpr int attributeProgrammaticSerialization = 6;

struct LaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  Stream stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};
static_assert(sizeof(LaunchAttribute) == 72 && sizeof(LaunchConfig) == 56);

//===------------------------------------------------------------------------------------------===//
// Functions
//===------------------------------------------------------------------------------------------===//

// F(member, exported name, parameters)
#define INGOT_CUDA_FUNCTIONS(F)                                                                    \
  F(init, cuInit, (unsigned flags))                                                                \
  F(getDriverVersion, cuDriverGetVersion, (int *version))                                          \
  F(getErrorName, cuGetErrorName, (Code code, const char **name))                                  \
  F(getErrorText, cuGetErrorString, (Code code, const char **text))                                \
  F(getDeviceCount, cuDeviceGetCount, (int *count))                                                \
  F(getDevice, cuDeviceGet, (DeviceNumber * device, int index))                                    \
  F(getDeviceName, cuDeviceGetName, (char *name, int bytes, DeviceNumber device))                  \
  F(getAttribute, cuDeviceGetAttribute, (int *value, int attribute, DeviceNumber device))          \
  F(retainContext, cuDevicePrimaryCtxRetain, (Context * context, DeviceNumber device))             \
  F(releaseContext, cuDevicePrimaryCtxRelease_v2, (DeviceNumber device))                           \
  F(setContext, cuCtxSetCurrent, (Context context))                                                \
  F(getMemory, cuMemGetInfo_v2, (size_t *free, size_t *total))                                     \
  F(allocate, cuMemAlloc_v2, (Address * address, size_t bytes))                                    \
  F(free, cuMemFree_v2, (Address address))                                                         \
  F(allocateHost, cuMemHostAlloc, (void **address, size_t bytes, unsigned flags))                  \
  F(freeHost, cuMemFreeHost, (void *address))                                                      \
  F(copyAsync, cuMemcpyAsync, (Address to, Address from, size_t bytes, Stream stream))             \
  F(fillAsync, cuMemsetD8Async, (Address to, unsigned char value, size_t bytes, Stream stream))    \
  F(loadModule, cuModuleLoadData, (DriverModule * module, const void *image))                      \
  F(unloadModule, cuModuleUnload, (DriverModule module))                                           \
  F(getFunction, cuModuleGetFunction,                                                              \
    (Function * function, DriverModule module, const char *name))                                  \
  F(setFunctionAttribute, cuFuncSetAttribute, (Function function, int attribute, int value))       \
  F(createLinker, cuLinkCreate_v2, (unsigned count, int *options, void **values, Linker *linker))  \
  F(addLinkInput, cuLinkAddData_v2,                                                                \
    (Linker linker, int type, void *data, size_t bytes, const char *name, unsigned count,          \
     int *options, void **values))                                                                 \
  F(completeLink, cuLinkComplete, (Linker linker, void **cubin, size_t *bytes))                    \
  F(destroyLinker, cuLinkDestroy, (Linker linker))                                                 \
  F(createStream, cuStreamCreate, (Stream * stream, unsigned flags))                               \
  F(destroyStream, cuStreamDestroy_v2, (Stream stream))                                            \
  F(synchronizeStream, cuStreamSynchronize, (Stream stream))                                       \
  F(beginCapture, cuStreamBeginCapture_v2, (Stream stream, int mode))                              \
  F(endCapture, cuStreamEndCapture, (Stream stream, Graph * graph))                                \
  F(instantiateGraph, cuGraphInstantiateWithFlags,                                                 \
    (GraphRun * run, Graph graph, unsigned long long flags))                                       \
  F(launchGraph, cuGraphLaunch, (GraphRun run, Stream stream))                                     \
  F(destroyGraph, cuGraphDestroy, (Graph graph))                                                   \
  F(destroyGraphRun, cuGraphExecDestroy, (GraphRun run))                                           \
  F(launch, cuLaunchKernelEx,                                                                      \
    (const LaunchConfig *config, Function function, void **arguments, void **extra))               \
  F(createEvent, cuEventCreate, (DriverEvent * event, unsigned flags))                             \
  F(destroyEvent, cuEventDestroy_v2, (DriverEvent event))                                          \
  F(recordEvent, cuEventRecordWithFlags, (DriverEvent event, Stream stream, unsigned flags))       \
  F(synchronizeEvent, cuEventSynchronize, (DriverEvent event))                                     \
  F(getElapsedTime, cuEventElapsedTime, (float *milliseconds, DriverEvent from, DriverEvent to))

class Driver {
public:
  static constexpr const char *defaultLibrary = "libcuda.so.1";

  /// Opens the library and initialises the driver, once for each library of a process.
  static Result<const Driver *> load(const char *library = defaultLibrary);

#define INGOT_CUDA_MEMBER(member, symbol, parameters) Code(*member) parameters = nullptr;
  INGOT_CUDA_FUNCTIONS(INGOT_CUDA_MEMBER)
#undef INGOT_CUDA_MEMBER

  /// CUDA's version as the driver counts: 12040 is 12.4.
  int version = 0;

  /// Success for 0; else a sentence that begins with what was being done: "cannot load a kernel".
  Status check(Code code, const char *action) const {
    return code == codeSuccess ? Status::success() : describe(code, action);
  }
  Status describe(Code code, const char *action) const;

private:
  static Result<const Driver *> open(const char *library);
};

/// "12.4" for 12040.
std::string printVersion(int version);

} // namespace ingot::runtime::cuda

#endif // INGOT_RUNTIME_CUDA_DRIVER_H
