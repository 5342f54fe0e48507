#!/usr/bin/env python3
"""PyTorch at the points that weir_gpu_benchmark measures, on the same device: peers.py [--json FILE] [--help].

- attention: scaled_dot_product_attention over keys and values in one piece (not paged, which favours PyTorch), by the
  fastest of its backends at each point
- multiplications: torch.matmul, which is cuBLAS
- steps: a decode of Llama-2-7B's shape with random weights, a static KV cache and one CUDA graph for each point, weights of
  query, key and value and of gate and up in one matrix each, norms, rotation and activation compiled by torch.compile
  where that works; and a prefill the same way

Times are medians between CUDA events. Where one call takes little, a CUDA graph of many calls is replayed, and calls
rotate among copies of their data that together exceed the L2 cache several times.
"""

import argparse
import json
import math
import statistics
import sys
import time

MODEL = dict(name="llama-2-7b", hidden=4096, intermediate=11008, layers=32, heads=32, head_size=128, vocabulary=32000)
SMOKE = dict(name="smoke", hidden=256, intermediate=256, layers=2, heads=2, head_size=128, vocabulary=320)


def arguments_of(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def numbers(text):
        values = [int(part) for part in text.split(",")]
        if min(values) < 1:
            raise ValueError(text)
        return values

    parser.add_argument("--json", help="write every point there")
    parser.add_argument("--measure", default="rate,attention,matmul,steps", help="parts, separated by commas")
    parser.add_argument("--batches", type=numbers, default=[1, 8, 32, 64, 128, 256])
    parser.add_argument("--contexts", type=numbers, default=[128, 512, 1024, 4096])
    parser.add_argument("--rows", type=numbers, default=[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048])
    parser.add_argument("--prompts", type=numbers, default=[512, 2048, 4096])
    parser.add_argument("--samples", type=int, default=15)
    parser.add_argument("--budget", type=float, default=1e9, help="seconds after which no point is begun")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--smoke", action="store_true", help="tiny shapes; the figures mean nothing")
    options = parser.parse_args(argv)
    unknown = set(options.measure.split(",")) - {"rate", "attention", "matmul", "steps"}
    if unknown:
        parser.error(f"--measure: {', '.join(sorted(unknown))} is not known")
    if options.smoke:
        options.batches, options.contexts, options.rows = [1, 3], [20, 130], [1, 16]
        options.prompts, options.samples = [70], 3
    return options


def spread_of(samples):
    """As spread_of in results.cc: quartiles are interpolated."""
    ordered = sorted(samples)

    def quantile(share):
        place = share * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

    return dict(
        count=len(ordered),
        median=statistics.median(ordered),
        lowest=ordered[0],
        lower_quartile=quantile(0.25),
        upper_quartile=quantile(0.75),
        highest=ordered[-1],
    )


class Report:
    def __init__(self, path, header):
        self.path = path
        self.written = dict(header, results=[], left_out=[])

    def add(self, peer, name, variant, batch, context, samples, note=""):
        point = dict(peer=peer, name=name, variant=variant)
        if batch:
            point["batch"] = batch
        if context:
            point["context"] = context
        point["seconds"] = spread_of(samples)
        if note:
            point["note"] = note
        self.written["results"].append(point)
        print(f"{peer} {name} {variant} {batch or ''} {context or ''}: {point['seconds']['median'] * 1e6:.1f} us {note}")
        self.write()

    def skip(self, what, why):
        self.written["left_out"].append(dict(what=what, why=why))
        print(f"left out: {what}: {why}")
        self.write()

    def write(self):
        if self.path:
            with open(self.path, "w") as file:
                json.dump(self.written, file, indent=1)


class Meter:
    """Times calls on the device."""

    def __init__(self, torch, options):
        self.torch = torch
        self.samples = options.samples
        self.l2 = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 0) or 64 << 20
        self.smoke = options.smoke

    def rotation(self, nbytes):
        """As many copies of so many bytes as exceed the L2 cache four times."""
        return 2 if self.smoke else max(1, math.ceil(4 * self.l2 / nbytes))

    def events(self, call):
        begin = self.torch.cuda.Event(enable_timing=True)
        end = self.torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3

    def recorded(self, calls, least_seconds=0.01):
        """Samples of the seconds of one of `calls`, functions that are recorded in turn in one graph."""
        torch = self.torch
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for call in calls[:3]:
                call()
            once = self.events(calls[0])
        torch.cuda.current_stream().wait_stream(stream)
        count = min(500, max(len(calls), math.ceil(least_seconds / max(once, 1e-6))))
        count = math.ceil(count / len(calls)) * len(calls)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for i in range(count):
                calls[i % len(calls)]()
        for _ in range(2):
            graph.replay()
        torch.cuda.synchronize()
        return [self.events(graph.replay) / count for _ in range(self.samples)]


def measure_rate(torch, meter, report):
    size = 64 if meter.smoke else 8192
    for dtype, name in ((torch.float16, "fp16"), (torch.bfloat16, "bf16")):
        a = torch.randn(size, size, device="cuda", dtype=dtype)
        b = torch.randn(size, size, device="cuda", dtype=dtype)
        out = torch.empty(size, size, device="cuda", dtype=dtype)
        samples = meter.recorded([lambda: torch.matmul(a, b, out=out)])
        rate = 2 * size**3 / statistics.median(samples) / 1e12
        report.add("PyTorch", "matrix rate", name, 0, 0, samples, f"{size} cubed: {rate:.1f} TFLOP/s")


def attention_backends(torch):
    from torch.nn.attention import SDPBackend

    names = ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION")
    return {name.split("_")[0].lower(): getattr(SDPBackend, name) for name in names if hasattr(SDPBackend, name)}


def measure_attention(torch, meter, report, model, options, expired):
    from torch.nn.attention import sdpa_kernel

    attend = torch.nn.functional.scaled_dot_product_attention
    heads, size = model["heads"], model["head_size"]

    def fastest(name, variant, batch, context, queries, causal):
        nbytes = 2 * batch * heads * context * size * 2
        if nbytes > 0.8 * torch.cuda.mem_get_info()[0]:
            report.skip(f"{name} {batch} x {context}", "does not fit in memory")
            return
        copies = meter.rotation(nbytes)
        kv = torch.randn(copies, 2, batch, heads, context, size, device="cuda", dtype=torch.float16)
        q = torch.randn(batch, heads, queries, size, device="cuda", dtype=torch.float16)
        best = None
        for backend_name, backend in attention_backends(torch).items():
            try:
                with sdpa_kernel(backend):
                    calls = [lambda i=i: attend(q, kv[i, 0], kv[i, 1], is_causal=causal) for i in range(copies)]
                    samples = meter.recorded(calls)
            except RuntimeError as error:
                report.skip(f"{name} {batch} x {context}, {backend_name}", str(error).splitlines()[0])
                continue
            if best is None or statistics.median(samples) < statistics.median(best[1]):
                best = (backend_name, samples)
        if best:
            report.add("SDPA", name, variant, 0 if causal else batch, context, best[1], f"{best[0]}, not paged")

    variant = f"{model['name']} fp16"
    for context in options.contexts:
        for batch in options.batches:
            if expired():
                report.skip(f"decode attention {batch} x {context}", "the time was over")
                continue
            fastest("decode attention", variant, batch, context, 1, False)
            torch.cuda.empty_cache()
    for tokens in options.prompts:
        if not expired():
            fastest("prefill attention", variant, 1, tokens, tokens, True)


def measure_matmul(torch, meter, report, model, options, expired):
    hidden, intermediate = model["hidden"], model["intermediate"]
    shapes = {
        "matmul qkv": (hidden, 3 * hidden),
        "matmul output": (hidden, hidden),
        "matmul gate_up, silu": (hidden, 2 * intermediate),
        "matmul down": (intermediate, hidden),
        "matmul head": (hidden, model["vocabulary"]),
    }
    for name, (inputs, outputs) in shapes.items():
        copies = meter.rotation(inputs * outputs * 2)
        weights = torch.randn(copies, outputs, inputs, device="cuda", dtype=torch.float16) * 0.02
        for rows in options.rows:
            if expired():
                report.skip(f"{name} {rows}", "the time was over")
                continue
            if name == "matmul head" and rows > 256:
                continue
            x = torch.randn(rows, inputs, device="cuda", dtype=torch.float16)
            out = torch.empty(rows, outputs, device="cuda", dtype=torch.float16)
            calls = [lambda i=i: torch.matmul(x, weights[i].T, out=out) for i in range(copies)]
            note = "without silu" if "silu" in name else ""
            report.add("cuBLAS", name, f"{model['name']} fp16", rows, 0, meter.recorded(calls), note)
        del weights
        torch.cuda.empty_cache()


class Llama:
    """Llama-2's shape with random weights, in fp16, for one batch and context at a time."""

    def __init__(self, torch, model, compiled):
        self.torch = torch
        self.model = model

        def weight(outputs, inputs):
            return (torch.randn(outputs, inputs, device="cuda", dtype=torch.float16) * 0.02).T

        hidden, intermediate = model["hidden"], model["intermediate"]
        self.layers = [
            dict(
                qkv=weight(3 * hidden, hidden),
                output=weight(hidden, hidden),
                gate_up=weight(2 * intermediate, hidden),
                down=weight(hidden, intermediate),
            )
            for _ in range(model["layers"])
        ]
        self.gain = torch.ones(hidden, device="cuda", dtype=torch.float16)
        self.head = weight(model["vocabulary"], hidden)
        self.embedding = torch.randn(model["vocabulary"], hidden, device="cuda", dtype=torch.float16)

        def add_norm(residual, delta):
            residual = residual + delta
            wide = residual.float()
            normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-5)
            return residual, normed.half() * self.gain

        def activate(gate_up):
            gate, up = gate_up.chunk(2, -1)
            return torch.nn.functional.silu(gate) * up

        def rotate(x, cosine, sine):
            low, high = x.float().chunk(2, -1)
            return torch.cat((low * cosine - high * sine, high * cosine + low * sine), -1).half()

        wrap = torch.compile if compiled else (lambda function: function)
        self.add_norm, self.activate, self.rotate = wrap(add_norm), wrap(activate), wrap(rotate)

    def step(self, tokens, caches, context):
        """tokens [batch][queries] at the end of `context` tokens -> the next token of each row of the batch."""
        torch = self.torch
        batch, queries = tokens.shape
        heads, size, hidden = self.model["heads"], self.model["head_size"], self.model["hidden"]
        positions = torch.arange(context - queries, context, device="cuda", dtype=torch.float32)
        frequencies = 10000.0 ** (-torch.arange(0, size, 2, device="cuda", dtype=torch.float32) / size)
        angles = positions[:, None] * frequencies
        cosine, sine = angles.cos(), angles.sin()
        residual = self.embedding[tokens]
        residual, x = self.add_norm(residual, torch.zeros_like(residual))
        for layer, (keys, values) in zip(self.layers, caches):
            qkv = torch.matmul(x, layer["qkv"]).view(batch, queries, 3, heads, size).permute(2, 0, 3, 1, 4)
            q, k = self.rotate(qkv[0], cosine, sine), self.rotate(qkv[1], cosine, sine)
            keys[:, :, context - queries : context] = k
            values[:, :, context - queries : context] = qkv[2]
            attended = torch.nn.functional.scaled_dot_product_attention(
                q, keys[:, :, :context], values[:, :, :context], is_causal=queries > 1
            )
            attended = attended.transpose(1, 2).reshape(batch, queries, hidden)
            residual, x = self.add_norm(residual, torch.matmul(attended, layer["output"]))
            activated = self.activate(torch.matmul(x, layer["gate_up"]))
            residual, x = self.add_norm(residual, torch.matmul(activated, layer["down"]))
        return torch.matmul(x[:, -1], self.head).float().argmax(-1)

    def caches(self, batch, context):
        shape = (2, batch, self.model["heads"], context, self.model["head_size"])
        return [self.torch.randn(*shape, device="cuda", dtype=self.torch.float16).unbind(0) for _ in self.layers]


def measure_steps(torch, meter, report, model, options, expired):
    llama = Llama(torch, model, not options.no_compile)
    if not options.no_compile:
        try:
            with torch.inference_mode():
                llama.step(torch.zeros(1, 1, device="cuda", dtype=torch.int64), llama.caches(1, 16), 16)
        except Exception as error:  # torch.compile fails in many ways
            report.skip("torch.compile", str(error).splitlines()[0] if str(error) else repr(error))
            # The weights of the first are freed before those of the second are made.
            del llama
            llama = Llama(torch, model, False)
    per_token = 2 * model["layers"] * model["heads"] * model["head_size"] * 2

    def point(name, batch, context, queries):
        what = f"{name} {batch} x {context}"
        if expired():
            report.skip(what, "the time was over")
            return
        if batch * context * per_token > 0.85 * torch.cuda.mem_get_info()[0]:
            report.skip(what, "does not fit in memory")
            return
        try:
            caches = llama.caches(batch, context)
            tokens = torch.randint(0, model["vocabulary"], (batch, queries), device="cuda")
            samples = meter.recorded([lambda: llama.step(tokens, caches, context)], 0)
        except RuntimeError as error:
            report.skip(what, str(error).splitlines()[0])
        else:
            report.add("PyTorch", name, f"{model['name']} kv fp16", batch, context, samples, "static KV, CUDA graph")
        caches = None
        torch.cuda.empty_cache()

    with torch.inference_mode():
        # In the order of what is asked about first.
        for context in sorted(options.contexts, key=lambda c: (c not in (512, 1024), c)):
            for batch in options.batches:
                point("decode step", batch, context, 1)
        for tokens in options.prompts:
            point("prefill step", 1, tokens, tokens)


def main(argv):
    options = arguments_of(argv)
    import torch

    if not torch.cuda.is_available():
        print("PyTorch sees no GPU", file=sys.stderr)
        return 1
    started = time.monotonic()

    def expired():
        return time.monotonic() - started > options.budget

    torch.manual_seed(1)
    header = dict(
        started=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        torch=torch.__version__,
        cuda=torch.version.cuda,
        device=torch.cuda.get_device_name(0),
        smoke=options.smoke,
    )
    report = Report(options.json, header)
    report.write()
    meter = Meter(torch, options)
    model = SMOKE if options.smoke else MODEL
    parts = {
        "rate": lambda: measure_rate(torch, meter, report),
        "attention": lambda: measure_attention(torch, meter, report, model, options, expired),
        "matmul": lambda: measure_matmul(torch, meter, report, model, options, expired),
        "steps": lambda: measure_steps(torch, meter, report, model, options, expired),
    }
    status = 0
    # Steps before the many points of operators, so that a short budget leaves out the latter.
    for part in ("rate", "steps", "attention", "matmul"):
        if part not in options.measure.split(","):
            continue
        try:
            parts[part]()
        except Exception as error:  # the other parts are still to be measured
            report.skip(part, f"{type(error).__name__}: {error}")
            status = 1
        torch.cuda.empty_cache()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
