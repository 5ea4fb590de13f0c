#!/usr/bin/env python3
"""Times one kernel of a PTX or cubin file on a GPU, cold: a schedule is judged before a model is built around it.

usage: time_kernel.py FILE KERNEL --grid X[,Y[,Z]] --threads N [--shared BYTES] --counts TOKENS,OUTPUTS,SEQUENCES
                      [--moved BYTES] [--operations N] [--check FILE.npy] BUFFER...

BUFFER is an argument of the kernel, in order: BYTES, or BYTES:KIND with KIND one of
  f16, bf16, f32   random numbers around zero (the default: f16)
  bytes            random bytes
  zero             zeros
  iota32           0, 1, 2, ... as int32
  FILE.npy         these bytes
  +w               appended to any of them: a weight, which is rotated over 400 MB, so that no cache holds it
The counts are the last parameter, as the compiler's kernels want it. Launches are captured into one graph, which is replayed; the median
is printed with bytes and operations a second. With --check the last buffer is compared, as float32, with the file's.

Needs Python with cupy and numpy. Example:
  time_kernel.py k.ptx linear --grid 448 --threads 256 --counts 1,1,1 --moved 234881024 234881024:bf16+w 8192:f16 114688:zero
"""

import argparse
import os
import sys

import cupy
import numpy

ROTATED = 400 << 20


def fill(text):
    """Copies of one buffer: several where it is a rotated weight."""
    rotated = text.endswith("+w")
    size, _, kind = text.removesuffix("+w").partition(":")
    if kind.endswith(".npy"):
        data = cupy.asarray(numpy.load(kind).view(numpy.uint8).reshape(-1))
        size = data.nbytes
    size = int(size)
    copies = max(2, min(64, ROTATED // max(size, 1) + 1)) if rotated else 1
    made = []
    for copy in range(copies):
        random = cupy.random.default_rng(copy)
        if kind.endswith(".npy"):
            made.append(data.copy())
        elif kind == "zero":
            made.append(cupy.zeros(size, cupy.uint8))
        elif kind == "bytes":
            made.append(random.integers(0, 256, size, dtype=cupy.uint8))
        elif kind == "iota32":
            made.append(cupy.arange(size // 4, dtype=cupy.int32).view(cupy.uint8))
        else:
            values = random.standard_normal(size // (4 if kind == "f32" else 2), dtype=cupy.float32) * 0.05
            if kind == "bf16":
                made.append((values.view(cupy.uint32) >> 16).astype(cupy.uint16).view(cupy.uint8))
            else:
                made.append(values.astype(cupy.float32 if kind == "f32" else cupy.float16).view(cupy.uint8))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("kernel")
    parser.add_argument("buffers", nargs="+", metavar="BUFFER")
    parser.add_argument("--grid", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--shared", type=int, default=0)
    parser.add_argument("--counts", default="1,1,1")
    parser.add_argument("--moved", type=float, default=0)
    parser.add_argument("--operations", type=float, default=0)
    parser.add_argument("--check")
    arguments = parser.parse_args()
    kernel = cupy.RawModule(path=os.path.abspath(arguments.file)).get_function(arguments.kernel)
    if arguments.shared > 48 << 10:
        kernel.max_dynamic_shared_size_bytes = arguments.shared
    grid = tuple(int(x) for x in arguments.grid.split(","))
    counts = cupy.asarray([int(x) for x in arguments.counts.split(",")], dtype=cupy.int64)
    buffers = [fill(text) for text in arguments.buffers]
    launches = max(len(copies) for copies in buffers)

    def launch(index):
        chosen = [numpy.uint64(copies[index % len(copies)].data.ptr) for copies in buffers]
        kernel(grid, (arguments.threads,), (*chosen, numpy.uint64(counts.data.ptr)), shared_mem=arguments.shared)

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        launch(0)
        stream.synchronize()
        if arguments.check:
            found = buffers[-1][0].view(cupy.float32).get().astype(float)
            expected = numpy.load(arguments.check).reshape(-1).astype(float)
            found = found[: expected.size]
            error = numpy.linalg.norm(found - expected) / numpy.linalg.norm(expected)
            print("relative error %.3e, largest %.3e" % (error, abs(found - expected).max()))
        stream.begin_capture()
        for index in range(launches):
            launch(index)
        graph = stream.end_capture()
        times = []
        for _ in range(30):
            begin, end = cupy.cuda.Event(), cupy.cuda.Event()
            begin.record(stream)
            graph.launch(stream)
            end.record(stream)
            end.synchronize()
            times.append(1e3 * cupy.cuda.get_elapsed_time(begin, end) / launches)
    us = sorted(times)[len(times) // 2]
    line = "%-40s %9.2f us" % (arguments.kernel, us)
    if arguments.moved:
        line += " %8.1f GB/s" % (arguments.moved / us / 1e3)
    if arguments.operations:
        line += " %8.1f TFLOP/s" % (arguments.operations / us / 1e6)
    print(line + "   registers %d, local %d bytes" % (kernel.num_regs, kernel.local_size_bytes))


if __name__ == "__main__":
    sys.exit(main())
