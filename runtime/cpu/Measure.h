//===- Measure.h - How fast this CPU reads and multiplies -----------------------------------------===//
//
// The roofs that a report needs, measured on the pool that runs the kernels: reading memory that
// does not fit the caches, multiply-adds of float32 and of 8-bit integers from registers, and what
// a launch costs that has nothing to do. The best of several runs, since others may use the
// machine.
//
//===----------------------------------------------------------------------------------------------===//

#ifndef INGOT_RUNTIME_CPU_MEASURE_H
#define INGOT_RUNTIME_CPU_MEASURE_H

#include "runtime/cpu/Features.h"
#include "runtime/cpu/WorkerPool.h"

namespace ingot::runtime::cpu {

Result<DeviceSpeed> measureSpeed(WorkerPool &pool, const Features &features);

} // namespace ingot::runtime::cpu

#endif // INGOT_RUNTIME_CPU_MEASURE_H
