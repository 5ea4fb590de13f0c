#!/usr/bin/env python3
"""Times the blocks of one compiled kernel on one thread: the best time of each block, summed.

usage: time_blocks.py --ingot BIN --checkpoint FILE --kernel NAME [--tokens 1,4,64] [--passes 40] [compile options]

The kernel is compiled as in an artefact (`ingot compile --stop-after target`), linked with clang-22 and run on random bytes.
The best of many passes of a short block is steady on a machine that others use too. With up to 8 tokens each pass reads
other weights, so that they come from memory, as in a step; with one the median of its passes is the rate of a stream. The
time of a call for no tokens is taken off.
"""
import argparse
import ctypes
import math
import pathlib
import random
import re
import statistics
import subprocess
import tempfile
import time

BITS = {"q4_0": 4.5, "q4_1": 5, "q5_0": 5.5, "q5_1": 6, "q8_0": 8.5, "q4_k": 4.625, "q5_k": 5.625, "q6_k": 6.5625,
        "q2_k": 3.125, "q3_k": 3.5625,
        "f16": 16, "bf16": 16, "f32": 32}  # of a packed weight
COLD_BYTES = 200 << 20  # beyond the last cache
COLD_TOKENS = 8


def compile_stage(args, rest, stage, out):
    subprocess.run([args.ingot, "compile", args.checkpoint, "--stop-after", stage, "-o", out, *rest], check=True,
                   stdout=subprocess.DEVNULL)


def read_signature(text, kernel):
    """Views as (bytes for so many tokens, is a weight), grid, multiply-adds of a token, of `tile.kernel @kernel`."""
    line = next(line for line in text.splitlines() if f"tile.kernel @{kernel}(" in line)
    views, work = [], 0
    for sizes, element in re.findall(r"!tile\.view<\[([^\]]*)\], (#tile\.packed<[^>]*>|\w+)", line):
        shape = [int(size) if size.strip().isdigit() else None for size in sizes.split(",")]
        fixed = math.prod(size for size in shape if size)
        packing = re.match(r"#tile\.packed<(\w+)", element)
        bits = BITS[packing.group(1)] if packing else int(re.search(r"\d+", element).group())
        work += fixed if packing else 0
        views.append((fixed * bits / 8, None in shape, bool(packing)))
    grid = re.search(r"grid \[([^\]]*)\]", line).group(1).split(",")
    return views, grid, work


def extent(text, tokens):
    match = re.fullmatch(r"\s*(?:tokens|outputs)(?: ceildiv (\d+))?\s*", text)
    return -(-tokens // int(match.group(1) or 1)) if match else int(text)


BLOCK = bytes(byte & 0x3B for byte in random.Random(0).randbytes(1 << 16))


def random_bytes(count):
    """Numbers of ordinary size, whatever they are read as."""
    block, count = BLOCK, int(count) + 64
    return ctypes.create_string_buffer((block * (count // len(block) + 1))[:count], count)


def time_call(function, arguments, counts, x, y):
    start = time.perf_counter_ns()
    function(arguments, counts, x, y, 0)
    return time.perf_counter_ns() - start


def time_kernel(function, views, grid, work, tokens, passes):
    weight = sum(size for size, _, packed in views if packed)
    copies = max(2, int(COLD_BYTES / weight)) if tokens <= COLD_TOKENS else 1
    sets = []
    shared = {i: random_bytes(size * (tokens if counted else 1))
              for i, (size, counted, packed) in enumerate(views) if not packed}
    for _ in range(copies):
        own = [shared.get(i) or random_bytes(size) for i, (size, _, _) in enumerate(views)]
        sets.append((own, (ctypes.c_void_p * len(own))(*[ctypes.addressof(view) for view in own])))
    counts = (ctypes.c_int64 * 3)(tokens, tokens, 1)
    blocks = [(x, y) for y in range(extent(grid[1], tokens)) for x in range(extent(grid[0], tokens))]
    call = min(time_call(function, sets[0][1], (ctypes.c_int64 * 3)(), 0, 0) for _ in range(1000))
    best, totals = {}, []
    for number in range(max(passes, copies)):
        total = 0
        for x, y in blocks:
            took = time_call(function, sets[number % copies][1], counts, x, y) - call
            total += took
            best[x, y] = min(best.get((x, y), took), took)
        totals.append(total)
    ns, median = sum(best.values()), statistics.median(totals)
    print(f"{tokens:5} tokens  best {ns / 1e3:9.1f} us  {work * tokens / ns:6.1f} G multiply-adds/s   "
          f"median {median / 1e3:9.1f} us  {weight / median:6.2f} GB/s of weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--ingot", "--checkpoint", "--kernel"):
        parser.add_argument(name, required=True)
    parser.add_argument("--tokens", default="1,4,64")
    parser.add_argument("--passes", type=int, default=40)
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        tile, assembly, library = (str(pathlib.Path(folder) / name) for name in ("tile.mlir", "kernels.s", "kernels.so"))
        compile_stage(args, rest, "tile", tile)
        compile_stage(args, rest, "target", assembly)
        subprocess.run(["clang-22", "-shared", "-nostdlib", assembly, "-o", library], check=True)
        signature = read_signature(pathlib.Path(tile).read_text(), args.kernel)
        function = ctypes.CDLL(library)[args.kernel]
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p] + 3 * [ctypes.c_int64]
        function.restype = None
        for tokens in map(int, args.tokens.split(",")):
            time_kernel(function, *signature, tokens, args.passes)


main()
