#!/usr/bin/env python3
"""Ingot beside PyTorch on one NVIDIA GPU: ratios and floors, in one run.

usage: gpu_ratio.py [--ingot PATH] [--device cuda:N] [--json FILE] [--no-peers] MODEL:BATCH:FORMAT:PROMPT=ARTEFACT...

MODEL:BATCH:FORMAT is the peer's shape (torch_peers.py: smollm2-135m, llama3.2-1b, llama3.1-8b; bf16, int4); PROMPT the tokens
of the prompt that is measured, 0 for none. ARTEFACT is that shape compiled for the GPU, with --max-context 1024 or more
and --max-batch BATCH. For each, one after the other: `ingot bench`, a token of each sequence at a context of 512, then the
prompt; then the same under torch.compile with CUDA graphs.

The floor of a token is its bytes of weights and cache over the read stream that `ingot bench` measured in that run.
Example: gpu_ratio.py smollm2-135m:1:bf16:512=135m.ingot llama3.2-1b:32:bf16:0=1b.b32.ingot
"""

import argparse
import json
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
CONTEXT, GENERATED = 512, 100
SHAPES = {"smollm2-135m": (30, 3, 64), "llama3.2-1b": (16, 8, 64), "llama3.1-8b": (32, 8, 128)}  # layers, kv heads, head


def run(command):
    """The JSON objects that a command prints, one a line; what went wrong goes to standard error."""
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        print("%s: %s" % (" ".join(command), process.stderr.strip()[-500:]), file=sys.stderr)
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


def bench(arguments, artefact, *options):
    command = [arguments.ingot, "bench", artefact, "--device", arguments.device, "--json", "--rounds", "5", *options]
    found = run(command)
    return found[0] if found else {}


def cache_bytes(model, batch):
    layers, heads, size = SHAPES[model]
    return batch * layers * 2 * heads * size * 2 * (CONTEXT + GENERATED // 2)


def measure(arguments, case):
    shape, _, artefact = case.partition("=")
    model, batch, format, prompt = shape.split(":")
    rows = []
    options = ["--context", str(CONTEXT), "--gen-tokens", str(GENERATED), "--batch", batch]
    options += ["--prompt-tokens", prompt] if int(prompt) else ["--prompt-tokens", "1"]
    ours = bench(arguments, artefact, *options, "--kernels")
    peers = {}
    if not arguments.no_peers:
        work = ["decode:%s:%s:%s" % (model, batch, format)]
        work += ["prompt:%s:%s:%s" % (model, prompt, format)] if int(prompt) else []
        peers = {p["work"].split(":")[0]: p for p in run([sys.executable, os.path.join(FOLDER, "torch_peers.py"), *work])}
    stream = ours.get("stream_GBps", 0) * 1e9
    if "generate_tok_per_s" in ours:
        us = 1e6 * int(batch) / ours["generate_tok_per_s"]
        floor = 1e6 * (ours["weight_bytes_per_token"] + cache_bytes(model, int(batch))) / stream
        rows.append(("%s batch %s %s, a step" % (model, batch, format), us, floor, peers.get("decode"),
                     ours.get("device_us_per_step")))
    if int(prompt) and "prompt_tok_per_s" in ours:
        rows.append(("%s prompt of %s %s" % (model, prompt, format), 1e6 * int(prompt) / ours["prompt_tok_per_s"], None,
                     peers.get("prompt"), None))
    return rows, {"case": case, "ingot": ours, "peers": peers}


def show(value, pattern="%.1f"):
    return pattern % value if value else "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="MODEL:BATCH:FORMAT:PROMPT=ARTEFACT")
    parser.add_argument("--ingot", default=os.path.join(FOLDER, "..", "..", "build", "release", "bin", "ingot"))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--json", help="file for everything that was measured")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    rows, everything = [], []
    for case in arguments.cases:
        found, details = measure(arguments, case)
        rows += found
        everything.append(details)
        if arguments.json:
            with open(arguments.json, "w") as file:
                json.dump(everything, file, indent=1)
    heads = ("work", "us", "us on the GPU", "floor us", "of floor", "torch us", "times torch")
    print("%-40s %10s %14s %10s %9s %10s %12s" % heads)
    for name, us, floor, peer, device_us in rows:
        peer_us = (peer or {}).get("us")
        print("%-40s %10.1f %14s %10s %9s %10s %12s" % (
            name, us, show(device_us), show(floor), show(us / floor if floor else None, "%.2f"), show(peer_us),
            show(peer_us / us if peer_us else None, "%.2f")))


if __name__ == "__main__":
    main()
