#!/usr/bin/env python3
"""An encoder by Ingot beside CTranslate2 and PyTorch on the same batch and threads: tokens a second of each, and ratios.

usage: compare_encoder.py FOLDER --ingot BIN [--threads 2] [--rounds 5] [--lines 64] [--longest 64] [--share 0.6]

A batch has `--lines` texts, of which `--share` of the slots up to the longest are tokens. Ingot takes it packed, in float32 and
with `--weight-format q8_0` (8-bit weights and activations), and once more with every text as long as the longest: what padding
would cost it. CTranslate2 (PyPI ctranslate2, converted here) removes padding too; PyTorch (PyPI torch, transformers) gets the padded
batch with its mask. The best round of each counts; all take turns, so that a neighbour on the machine slows all. Real tokens are
counted, never padding.
"""
import argparse
import pathlib
import random
import re
import subprocess
import tempfile
import time


def draw_lengths(args):
    """Lengths whose sum is the share of the slots; one is the longest."""
    generator = random.Random(0)
    total = round(args.share * args.lines * args.longest)
    lengths = [args.longest] + [max(4, round(generator.uniform(2 * args.share - 1, 1) * args.longest)) for _ in range(args.lines - 1)]
    while sum(lengths) != total:
        i = generator.randrange(1, args.lines)
        lengths[i] = min(args.longest, max(4, lengths[i] + (1 if sum(lengths) < total else -1)))
    return lengths


def write_lines(path, lengths):
    """Words of one token each; two more frame a line."""
    words = "the a of to and in is for on that with as are this be by from at an have".split()
    generator = random.Random(1)
    path.write_text("".join(" ".join(generator.choice(words) for _ in range(n - 2)) + "\n" for n in lengths))


def run_ingot(args, model, lines, repeats):
    """Seconds of one batch in the model, and its tokens."""
    command = [args.ingot, "embed", str(model), "-f", str(lines), "-o", str(lines) + ".npy", "--timing", "--threads", str(args.threads)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"(\d+) tokens in (\d+) steps, ([\d.]+) s", said)
    return float(found[3]) / repeats, int(found[1]) // repeats


def make_peers(args, ids):
    import ctranslate2
    import torch
    import transformers
    torch.set_num_threads(args.threads)
    model = transformers.AutoModel.from_pretrained(args.folder).eval()
    longest = max(map(len, ids))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])

    def run_torch():
        with torch.no_grad():
            model(input_ids=padded, attention_mask=mask)

    peers = {"torch float32": run_torch}
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/model"
        ctranslate2.converters.TransformersConverter(args.folder).convert(path)
        for kind in ("float32", "int8"):
            encoder = ctranslate2.Encoder(path, compute_type=kind, inter_threads=1, intra_threads=args.threads)
            peers["CTranslate2 " + kind] = lambda encoder=encoder: encoder.forward_batch(ids)
    return peers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--ingot", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lines", type=int, default=64)
    parser.add_argument("--longest", type=int, default=64)
    parser.add_argument("--share", type=float, default=0.6)
    args = parser.parse_args()
    lengths = draw_lengths(args)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model, int8, packed, padded = folder / "m.ingot", folder / "int8.ingot", folder / "packed", folder / "padded"
        for output, options in ((model, ["--activations", "float", "--kv-format", "f32"]), (int8, ["--weight-format", "q8_0"])):
            subprocess.run([args.ingot, "compile", args.folder, "-o", str(output), *options, "--max-step-tokens", str(args.lines * args.longest),
                            "--max-batch", str(args.lines)], check=True)
        repeats = 4  # the first batch warms up, and weighs little in the mean
        write_lines(packed, lengths * repeats)
        write_lines(padded, [args.longest] * args.lines * repeats)
        import transformers
        tokenizer = transformers.AutoTokenizer.from_pretrained(args.folder)
        ids = [tokenizer(line).input_ids for line in packed.read_text().splitlines()[:args.lines]]
        assert [len(row) for row in ids] == lengths, "a word is not one token"
        peers = make_peers(args, ids)
        seconds = {}
        for _ in range(args.rounds):
            for name, file, lines in (("Ingot, packed", model, packed), ("Ingot, padded", model, padded), ("Ingot int8, packed", int8, packed)):
                seconds.setdefault(name, []).append(run_ingot(args, file, lines, repeats)[0])
            for name, run in peers.items():
                begin = time.perf_counter()
                run()
                seconds.setdefault(name, []).append(time.perf_counter() - begin)
    best = {name: min(times) for name, times in seconds.items()}
    tokens, slots = sum(lengths), args.lines * args.longest
    for name, time_ in best.items():
        print(f"{name:22} {1000 * time_:8.1f} ms {tokens / time_:8.0f} tokens/s {time_ / best['Ingot, packed']:6.2f} times packed")
    print(f"slots / tokens {slots / tokens:.2f}; padded / packed {best['Ingot, padded'] / best['Ingot, packed']:.2f}")


if __name__ == "__main__":
    main()
