#!/usr/bin/env python3
"""Ingot beside llama.cpp on the same checkpoint and threads, in turn: median tokens/s of each, and their ratio.

usage: compare_llama.py run --ingot BIN --model FILE.ingot --gguf FILE.gguf [--threads 2] [--rounds 5]
                            [--prompt-tokens 512] [--gen-tokens 64] [--context 1] [--repeat 3] [--allow-noise]
       compare_llama.py requantize FILE.gguf OUT.gguf --type q4_0|q8_0|f16|q4_k_m
       compare_llama.py peer FILE.gguf [--threads 2] [--prompt-tokens 512] [--gen-tokens 64] [--context 1] [--repeat 3]

llama.cpp comes from PyPI (llama-cpp-python, built on install) and is driven through its C API alone: a prompt from an empty
cache, then tokens one at a time after a context of `--context` tokens, without sampling, as `ingot bench` does; the best of
`--repeat` times. `--gguf` is the file
that llama.cpp runs: the checkpoint, or a requantized one in llama.cpp's fastest type.

A neighbour on the machine slows the two programs differently. A round counts only where llama.cpp reached 85 % of its own
best and a read of 512 MiB before and after both programs 85 % of its own best; fewer than 3 such rounds end with status 2.
"""
import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import time

KEYS = ("prompt_tok_per_s", "generate_tok_per_s")
CHUNK = 512  # tokens that llama.cpp takes at once


def open_peer(path, threads, context):
    import llama_cpp
    llama_cpp.llama_backend_init()
    options = llama_cpp.llama_model_default_params()
    options.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(path.encode(), options)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {path}")
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_ubatch = context, CHUNK, CHUNK
    options.n_threads = options.n_threads_batch = threads
    return model, llama_cpp.llama_init_from_model(model, options)


def measure_peer(args):
    import llama_cpp
    import numpy
    count = max(args.prompt_tokens, args.context + args.gen_tokens)
    model, context = open_peer(args.file, args.threads, count)
    memory = llama_cpp.llama_get_memory(context)
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    tokens = numpy.random.default_rng(0).integers(0, size, count).tolist()

    def decode(part):
        ids = (llama_cpp.llama_token * len(part))(*part)  # the batch points to them
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(ids, len(part))):
            raise SystemExit("llama.cpp cannot decode")

    def time_steps(steps):
        start = time.perf_counter()
        for part in steps:
            decode(part)
        llama_cpp.llama_synchronize(context)
        return time.perf_counter() - start

    def read(count):
        llama_cpp.llama_memory_clear(memory, True)
        return time_steps(tokens[i:min(i + CHUNK, count)] for i in range(0, count, CHUNK))

    prompt, generation = [], []
    for _ in range(args.repeat):
        prompt.append(read(args.prompt_tokens))
        if args.context != args.prompt_tokens:
            read(args.context)
        generation.append(time_steps([token] for token in tokens[args.context:args.context + args.gen_tokens]))
    print(json.dumps({KEYS[0]: args.prompt_tokens / min(prompt), KEYS[1]: args.gen_tokens / min(generation),
                      "version": llama_cpp.__version__}))


def requantize(args):
    import llama_cpp
    types = {"q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, "q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
             "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16, "q4_k_m": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M}
    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype, options.allow_requantize = types[args.type], True
    if llama_cpp.llama_model_quantize(args.file.encode(), args.out.encode(), ctypes.byref(options)):
        raise SystemExit(f"llama.cpp cannot requantize {args.file}")


def last_json(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(args):
    import numpy
    block = numpy.ones(1 << 27, numpy.float32)

    def probe():
        """GB/s at which one thread reads the block, the best of three."""
        best = 0.0
        for _ in range(3):
            start = time.perf_counter()
            block.max()
            best = max(best, block.nbytes / (time.perf_counter() - start) / 1e9)
        return best

    size = ["--prompt-tokens", str(args.prompt_tokens), "--gen-tokens", str(args.gen_tokens),
            "--threads", str(args.threads), "--context", str(args.context)]
    ours, theirs, probes = [], [], []
    for _ in range(args.rounds):
        before = probe()
        ours.append(last_json([args.ingot, "bench", args.model, "--json", "--rounds", str(args.repeat), *size]))
        theirs.append(last_json([sys.executable, __file__, "peer", args.gguf, "--repeat", str(args.repeat), *size]))
        probes.append(min(before, probe()))
    best = {key: max(peer[key] for peer in theirs) for key in KEYS}
    quiet = [i for i in range(args.rounds) if probes[i] >= 0.85 * max(probes)
             and all(theirs[i][key] >= 0.85 * best[key] for key in KEYS)]
    used = range(args.rounds) if args.allow_noise else quiet
    row = {"rounds": args.rounds, "quiet_rounds": len(quiet), "read_GBps": [round(p, 1) for p in probes],
           "llama.cpp": theirs[0]["version"]}
    for key in KEYS if len(used) else ():
        mine, peer = (statistics.median(runs[i][key] for i in used) for runs in (ours, theirs))
        row[key] = {"ingot": round(mine, 1), "llama.cpp": round(peer, 1), "ratio": round(mine / peer, 3),
                    "ratios": sorted(round(ours[i][key] / theirs[i][key], 3) for i in used)}
    print(json.dumps(row, indent=1))
    sys.exit(0 if args.allow_noise or len(quiet) >= min(3, args.rounds) else 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run")
    run.set_defaults(do=compare)
    for name in ("--ingot", "--model", "--gguf"):
        run.add_argument(name, required=True)
    run.add_argument("--rounds", type=int, default=5)
    run.add_argument("--allow-noise", action="store_true")
    peer = commands.add_parser("peer")
    peer.set_defaults(do=measure_peer)
    peer.add_argument("file")
    for command in (run, peer):
        command.add_argument("--threads", type=int, default=2)
        command.add_argument("--prompt-tokens", type=int, default=512)
        command.add_argument("--gen-tokens", type=int, default=64)
        command.add_argument("--context", type=int, default=1)
        command.add_argument("--repeat", type=int, default=3)
    again = commands.add_parser("requantize")
    again.set_defaults(do=requantize)
    again.add_argument("file")
    again.add_argument("out")
    again.add_argument("--type", choices=("q4_0", "q8_0", "f16", "q4_k_m"), default="q4_0")
    args = parser.parse_args()
    args.do(args)


main()
