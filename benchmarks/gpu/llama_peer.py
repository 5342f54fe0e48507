#!/usr/bin/env python3
"""llama.cpp at the points of weir_gpu_benchmark's steps: llama_peer.py LLAMA_BATCHED_BENCH MODEL.gguf --json FILE.

Runs llama-batched-bench, a process for each point, and writes what summary.py joins. Decode steps: the mean of 32 steps
around the context, each sequence with keys and values of its own, after the same point with one step that does not count;
the median of three runs. Prompts: one sequence in one batch. All layers on the GPU, with flash attention, fp16 KV.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import peers

STEPS = 32
VARIANT = "llama-2-7b kv fp16"


def cells(sequences, tokens):
    """Cells of the KV cache: whole multiples of 256 for each sequence."""
    return sequences * ((tokens + 255) // 256 * 256)


def command_of(program, model, sequences, prompt, steps):
    return [
        str(program), "--model", str(model), "-ngl", "99", "--flash-attn", "on", "--no-kv-unified", "-pps",
        "--ctx-size", str(cells(sequences, prompt + max(steps))), "-b", "4096", "-ub", "2048",
        "-npp", str(prompt), "-ntg", ",".join(str(step) for step in steps), "-npl", str(sequences),
        "--output-format", "jsonl",
    ]  # fmt: skip


def lines_of(text):
    """The measurements among what the program prints."""
    found = []
    for line in text.splitlines():
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict) and "t_tg" in parsed:
            found.append(parsed)
    return found


def measure(program, model, sequences, prompt, steps):
    """Seconds of the whole prompt and of one decode step."""
    ran = subprocess.run(command_of(program, model, sequences, prompt, steps), capture_output=True, text=True)
    found = lines_of(ran.stdout)
    if ran.returncode != 0 or not found:
        raise RuntimeError((ran.stderr.strip().splitlines() or ["no output"])[-1])
    last = found[-1]
    return last["t_pp"], last["t_tg"] / last["tg"]


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--json", required=True)
    parser.add_argument("--batches", default="1,8,32,64,128,256")
    parser.add_argument("--contexts", default="512,1024")
    parser.add_argument("--prompts", default="512,2048")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget", type=float, default=1e9, help="seconds after which no point is begun")
    options = parser.parse_args(argv)
    report = peers.Report(options.json, dict(program=str(options.program), model=str(options.model)))
    began = time.monotonic()

    def point(name, sequences, context, prompt, steps, which):
        what = f"{name} {sequences} x {context}"
        if time.monotonic() - began > options.budget:
            report.skip(what, "the time was over")
            return
        try:
            samples = [
                measure(options.program, options.model, sequences, prompt, steps)[which] for _ in range(options.runs)
            ]
        except (RuntimeError, OSError, KeyError) as error:
            report.skip(what, str(error))
            return
        report.add("llama.cpp", name, VARIANT, sequences, context, samples)

    for context in (int(part) for part in options.contexts.split(",")):
        for sequences in (int(part) for part in options.batches.split(",")):
            point("decode step", sequences, context, context - STEPS // 2, [1, STEPS], 1)
    for tokens in (int(part) for part in options.prompts.split(",")):
        point("prefill step", 1, tokens, tokens, [1], 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
