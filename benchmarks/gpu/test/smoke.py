#!/usr/bin/env python3
"""The whole benchmark program with tiny shapes on the emulator: smoke.py PROGRAM. Checks what it wrote."""

import json
import math
import pathlib
import subprocess
import sys
import tempfile


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "smoke.json"
        ran = subprocess.run(
            [program, "--smoke", "--json", str(path), "--commit", "test"], capture_output=True, text=True
        )
        print(ran.stdout)
        print(ran.stderr, file=sys.stderr)
        assert ran.returncode == 0, f"exit status {ran.returncode}"
        written = json.loads(path.read_text())
        assert not list(pathlib.Path(folder).glob("*.next"))
    assert written["emulated"] and written["smoke"] and written["commit"] == "test"
    assert written["device"]["multiprocessors"] > 0
    units = {ceiling["unit"] for ceiling in written["ceilings"]}
    assert units == {"GB/s", "TFLOP/s", "us"}, units
    for ceiling in written["ceilings"]:
        assert ceiling["value"] > 0, ceiling
    names = {result["name"] for result in written["results"]}
    expected = {
        "decode attention", "decode attention, ragged", "prefill attention", "matmul qkv", "matmul output",
        "matmul gate_up, silu", "matmul down", "matmul head", "rms_norm", "add_rms_norm", "silu_multiply", "embed",
        "rope_append", "sample greedy", "sample top-p 0.9", "decode step", "mixed step", "decode step, top-p 0.9",
        "swap out", "swap in", "swap out, with steps", "swap in, with steps", "decode beside swap", "prefill step",
        "decode step, no graphs",
    }  # fmt: skip
    assert expected <= names, f"missing: {expected - names}"
    for result in written["results"]:
        seconds = result["seconds"]
        assert seconds["count"] >= 3 and math.isfinite(seconds["median"]) and seconds["median"] > 0, result
        assert seconds["lowest"] <= seconds["lower_quartile"] <= seconds["median"], result
        assert seconds["median"] <= seconds["upper_quartile"] <= seconds["highest"], result
        assert result["bytes"] > 0, result
    kinds = {result["variant"] for result in written["results"] if result["name"] == "decode step"}
    assert kinds == {"smoke kv fp16", "smoke kv int8", "smoke kv fp8"}, kinds
    assert {line["what"] for line in written["memory"]} >= {"weights", "KV pool, workspace, graphs"}
    for line in written["memory"]:
        # On the emulator nothing is taken but what is asked for.
        assert line["what"] == "opening the device" or 0 < line["taken_bytes"] <= line["planned_bytes"], line
    assert written["left_out"] == [], written["left_out"]


if __name__ == "__main__":
    main(sys.argv[1])
