#!/usr/bin/env python3
"""What a user of PyTorch gets on this GPU: a Llama under torch.compile with CUDA graphs, and single layers.

usage: torch_peers.py WORK...      one JSON object a line; needs torch and an NVIDIA GPU
  roof                             read and copy of memory, bf16 product
  decode:MODEL:BATCH:FORMAT        a token of each sequence at a context of 512
  prompt:MODEL:TOKENS:FORMAT       a prompt from an empty cache
  linear:M:N:K:FORMAT              x [M, K] times a weight [N, K], weights rotated beyond the cache
  attention:B:H:KV:S:D             causal attention of prompts
MODEL: smollm2-135m, llama3.2-1b, llama3.1-8b. FORMAT: bf16, int4 (groups of 128), fp8 (linear only).

Weights are random, never zero: products of zeros need less power and run faster. Times are medians of device events,
after a warm-up, of CUDA graphs where launches would be felt.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

DEVICE, BF16 = "cuda", torch.bfloat16
SHAPES = {  # layers, width, heads, kv heads, feed-forward, vocabulary, tied
    "smollm2-135m": (30, 576, 9, 3, 1536, 49152, True),
    "llama3.2-1b": (16, 2048, 32, 8, 8192, 128256, True),
    "llama3.1-8b": (32, 4096, 32, 8, 14336, 128256, False),
}
CACHE_BYTES = 400e6  # weights of a linear layer are rotated over at least so many bytes


def median_ms(work, repeats=60, warmup=8):
    for _ in range(warmup):
        work()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def graph_ms(work, **options):
    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return median_ms(graph.replay, **options)


class Linear(nn.Module):
    def __init__(self, columns, rows, format):
        super().__init__()
        self.rows, self.format = rows, format
        if format == "int4":
            packed = torch.randint(0, 255, (rows, columns // 2), device=DEVICE, dtype=torch.uint8)
            self.register_buffer("weight", torch._convert_weight_to_int4pack(packed, 8))
            scales = torch.rand(columns // 128, rows, 2, device=DEVICE, dtype=BF16) * 4e-3
            self.register_buffer("scales", scales)
        else:
            self.register_buffer("weight", torch.randn(rows, columns, device=DEVICE, dtype=BF16) * 0.02)

    def forward(self, x):
        if self.format != "int4":
            return F.linear(x, self.weight)
        flat = torch._weight_int4pack_mm(x.reshape(-1, x.shape[-1]), self.weight, 128, self.scales)
        return flat.view(*x.shape[:-1], self.rows)


class Layer(nn.Module):
    def __init__(self, shape, batch, context, format):
        super().__init__()
        _, width, self.heads, self.kv_heads, inner, _, _ = shape
        self.head = width // self.heads
        self.qkv = Linear(width, (self.heads + 2 * self.kv_heads) * self.head, format)
        self.output = Linear(width, width, format)
        self.gate_up, self.down = Linear(width, 2 * inner, format), Linear(inner, width, format)
        for name in ("norm1", "norm2"):
            self.register_buffer(name, torch.rand(width, device=DEVICE, dtype=BF16) + 0.5)
        for name in ("keys", "values"):
            cache = torch.randn(batch, self.kv_heads, context, self.head, device=DEVICE, dtype=BF16)
            self.register_buffer(name, cache)

    def rotate(self, x, heads, cosine, sine):
        x = x.view(*x.shape[:2], heads, self.head)
        a, b = x.float().chunk(2, -1)
        turned = torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)
        return turned.to(BF16).transpose(1, 2)

    def forward(self, x, positions, cosine, sine, mask):
        batch, tokens, width = x.shape
        normed = F.rms_norm(x, (width,), self.norm1, 1e-5)
        sizes = [self.heads * self.head, self.kv_heads * self.head, self.kv_heads * self.head]
        q, k, v = self.qkv(normed).split(sizes, -1)
        q, k = self.rotate(q, self.heads, cosine, sine), self.rotate(k, self.kv_heads, cosine, sine)
        v = v.view(batch, tokens, self.kv_heads, self.head).transpose(1, 2)
        self.keys[:, :, positions], self.values[:, :, positions] = k, v
        if tokens == 1:
            y = F.scaled_dot_product_attention(q, self.keys, self.values, attn_mask=mask, enable_gqa=True)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.output(y.transpose(1, 2).reshape(batch, tokens, width))
        gate, up = self.gate_up(F.rms_norm(x, (width,), self.norm2, 1e-5)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, shape, batch, context, format):
        super().__init__()
        layers, width, heads, _, _, vocabulary, tied = shape
        self.register_buffer("embedding", torch.randn(vocabulary, width, device=DEVICE, dtype=BF16) * 0.02)
        self.layers = nn.ModuleList([Layer(shape, batch, context, format) for _ in range(layers)])
        self.head = None if tied else Linear(width, vocabulary, format)
        self.register_buffer("norm", torch.rand(width, device=DEVICE, dtype=BF16) + 0.5)
        size = width // heads
        angles = torch.arange(context, device=DEVICE).float()[:, None] / 500000 ** (
            torch.arange(0, size, 2, device=DEVICE).float() / size)
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())
        self.register_buffer("mask", torch.tril(torch.ones(context, context, device=DEVICE, dtype=torch.bool)))

    def forward(self, ids, positions):
        x = F.embedding(ids, self.embedding)
        cosine, sine = self.cosine[positions][:, None], self.sine[positions][:, None]
        mask = self.mask[positions][None, None]
        for layer in self.layers:
            x = layer(x, positions, cosine, sine, mask)
        x = F.rms_norm(x[:, -1:], (x.shape[-1],), self.norm, 1e-5)
        logits = F.linear(x, self.embedding) if self.head is None else self.head(x)
        return logits.argmax(-1)

    def weight_bytes(self):
        other = ("keys", "values", "mask", "cosine", "sine")
        total = sum(b.numel() * b.element_size() for n, b in self.named_buffers() if n.split(".")[-1] not in other)
        return total - (0 if self.head is None else self.embedding.numel() * 2)


def emit(work, **values):
    print(json.dumps({"work": work, **values}), flush=True)


def roof(work):
    memory = torch.randint(0, 255, (4 << 30,), device=DEVICE, dtype=torch.uint8)
    copy = torch.empty_like(memory)
    ms = median_ms(lambda: copy.copy_(memory), repeats=20)
    emit(work + ":copy", TBps=2 * memory.numel() / ms / 1e9)
    view = memory.view(torch.int32)
    ms = median_ms(lambda: view.sum(dtype=torch.int32), repeats=20)
    emit(work + ":read", TBps=memory.numel() / ms / 1e9)
    del memory, copy, view
    a, b = (torch.randn(8192, 8192, device=DEVICE, dtype=BF16) for _ in range(2))
    ms = median_ms(lambda: a @ b, repeats=20)
    emit(work + ":bf16", us=1e3 * ms, TFLOPs=2 * 8192**3 / ms / 1e9)


def compile_model(model, batch, context, format):
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    made = Llama(SHAPES[model], batch, context, format).eval()
    return made, torch.compile(made, mode="reduce-overhead", fullgraph=True)


def decode(work, model, batch, format):
    batch, context, first, steps = int(batch), 1024, 512, 100
    start = time.time()
    made, step = compile_model(model, batch, context, format)
    ids = torch.randint(0, 1000, (batch, 1), device=DEVICE)
    positions = torch.tensor([first], device=DEVICE)
    rounds = []
    for round in range(4):  # the first compiles and warms up
        positions.fill_(first)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(steps):
            ids = step(ids, positions).clone()
            positions += 1
        torch.cuda.synchronize()
        rounds.append((time.perf_counter() - begin) / steps)
    emit(work, us=1e6 * sorted(rounds[1:])[1], weight_bytes=made.weight_bytes(), seconds=time.time() - start)


def prompt(work, model, tokens, format):
    tokens, start = int(tokens), time.time()
    made, step = compile_model(model, 1, tokens, format)
    ids = torch.randint(0, 1000, (1, tokens), device=DEVICE)
    positions = torch.arange(tokens, device=DEVICE)
    ms = median_ms(lambda: step(ids, positions), repeats=20, warmup=4)
    emit(work, us=1e3 * ms, TFLOPs=made.weight_bytes() * tokens / ms / 1e9, seconds=time.time() - start)


def linear(work, m, n, k, format):
    m, n, k = int(m), int(n), int(k)
    size = {"bf16": 2, "fp8": 1, "int4": 0.53}[format] * n * k
    count = max(2, min(24, int(CACHE_BYTES / size) + 1))
    x = torch.randn(m, k, device=DEVICE, dtype=BF16)
    if format == "fp8":
        one = torch.ones((), device=DEVICE)
        x = x.clamp(-1, 1).to(torch.float8_e4m3fn)
        weights = [torch.randn(n, k, device=DEVICE).to(torch.float8_e4m3fn) for _ in range(count)]
        call = lambda w: torch._scaled_mm(x, w.t(), scale_a=one, scale_b=one, out_dtype=BF16)
    else:
        weights = [Linear(k, n, format) for _ in range(count)]
        call = lambda w: w(x)
    ms = graph_ms(lambda: [call(w) for w in weights], repeats=30) / count
    emit(work, us=1e3 * ms, TBps=size / ms / 1e9, TFLOPs=2 * m * n * k / ms / 1e9)


def attention(work, b, h, kv, s, d):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    b, h, kv, s, d = int(b), int(h), int(kv), int(s), int(d)
    q = torch.randn(b, h, s, d, device=DEVICE, dtype=BF16)
    k, v = (torch.randn(b, kv, s, d, device=DEVICE, dtype=BF16) for _ in range(2))
    best = {}
    for name, backend in (("cudnn", SDPBackend.CUDNN_ATTENTION), ("flash", SDPBackend.FLASH_ATTENTION)):
        try:
            with sdpa_kernel(backend):
                best[name] = median_ms(
                    lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=h != kv), repeats=30)
        except RuntimeError as error:
            print("%s: %s: %s" % (work, name, str(error)[:120]), file=sys.stderr)
    ms = min(best.values())
    emit(work, us=1e3 * ms, TFLOPs=2 * b * h * s * s * d / ms / 1e9, backends={n: 1e3 * t for n, t in best.items()})


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    for work in sys.argv[1:]:
        name, *values = work.split(":")
        try:
            with torch.no_grad():
                {"roof": roof, "decode": decode, "prompt": prompt, "linear": linear, "attention": attention}[name](
                    work, *values)
        except Exception as error:  # one peer that fails must not end the run
            emit(work, error=repr(error)[:300])
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
