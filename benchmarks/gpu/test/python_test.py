#!/usr/bin/env python3
"""Tests of ../summary.py, ../llama_peer.py, ../make_gguf.py, and of what ../peers.py can do without PyTorch."""

import contextlib
import importlib.util
import io
import json
import os
import pathlib
import struct
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE.parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(HERE.parent))
summary = load("summary")
peers = load("peers")
llama_peer = load("llama_peer")
make_gguf = load("make_gguf")


def point(name, variant, batch, context, median, **more):
    return dict(name=name, variant=variant, batch=batch, context=context, seconds=dict(median=median), **more)


def printed(folder, short=False):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = summary.main(folder, short)
    return status, out.getvalue()


class SummaryTest(unittest.TestCase):
    def test_joins_weir_and_peers_by_point(self):
        with tempfile.TemporaryDirectory() as folder:
            steps = dict(
                ceilings=[dict(name="read-only bandwidth", value=4300.0, unit="GB/s")],
                results=[
                    point("decode step", "llama-2-7b kv fp16", 64, 512, 8e-3, share=0.89, goal=0.85),
                    point("decode step", "llama-2-7b kv fp16", 128, 512, 9e-3, share=0.5, goal=0.8),
                    point("matmul head", "llama-2-7b fp16", 64, 0, 1e-4, share=0.7),
                ],
                memory=[dict(what="weights", planned_bytes=2**30, taken_bytes=2**29)],
                left_out=[dict(what="decode step 256 x 1024", why="no room")],
            )
            peer = dict(
                results=[
                    point("decode step", "llama-2-7b kv fp16", 64, 512, 10e-3, peer="PyTorch"),
                    point("decode step", "llama-2-7b kv fp16", 64, 512, 12e-3, peer="PyTorch"),
                    point("decode step", "llama-2-7b kv fp16", 8, 512, 5e-3, peer="PyTorch"),
                ]
            )
            pathlib.Path(folder, "steps.json").write_text(json.dumps(steps))
            pathlib.Path(folder, "peers-x.json").write_text(json.dumps(peer))
            status, text = printed(folder)
            short = printed(folder, True)[1]
        self.assertEqual(status, 0)
        row = next(line for line in text.splitlines() if line.startswith("decode step"))
        # The peer's better time counts: 10 ms against 8.
        self.assertIn("1.25x", row)
        self.assertIn("89.0% met", row)
        self.assertIn("50.0% MISS 80%", text)
        self.assertIn("matmul head", text)
        self.assertNotIn("matmul head", short)
        self.assertIn("MISS 80%", short)
        self.assertNotIn("PyTorch: decode", short)
        self.assertIn("PyTorch: decode step llama-2-7b kv fp16 8 512: 5.000 ms", text)
        self.assertIn("read-only bandwidth         4300.00 GB/s", text)
        self.assertIn("planned     1024.0 MiB taken      512.0 MiB", text)
        self.assertIn("left out: decode step 256 x 1024: no room", text)

    def test_says_when_there_is_nothing_and_when_a_file_is_damaged(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(printed(folder), (1, ""))
            pathlib.Path(folder, "steps.json").write_text("{")
            status, text = printed(folder)
        self.assertEqual(status, 1)
        self.assertIn("steps.json", text)

    def test_marks_a_smoke_run(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "steps.json").write_text(json.dumps(dict(smoke=True)))
            self.assertIn("not to be recorded", printed(folder)[1])


class PeersTest(unittest.TestCase):
    def test_points_are_named_as_the_benchmark_names_them(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "peers.json")
            report = peers.Report(str(path), dict(torch="2"))
            with contextlib.redirect_stdout(io.StringIO()):
                report.add("SDPA", "decode attention", "llama-2-7b fp16", 8, 512, [3.0, 1.0, 2.0])
                report.skip("matmul", "no time")
            written = json.loads(path.read_text())
        self.assertEqual(summary.key_of(written["results"][0]), ("decode attention", "llama-2-7b fp16", 8, 512))
        self.assertEqual(written["results"][0]["seconds"]["median"], 2.0)
        self.assertEqual(written["left_out"][0]["why"], "no time")

    def test_quartiles_are_those_of_the_benchmark(self):
        spread = peers.spread_of([4, 1, 3, 2])
        self.assertEqual((spread["lower_quartile"], spread["median"], spread["upper_quartile"]), (1.75, 2.5, 3.25))

    def test_arguments(self):
        options = peers.arguments_of(["--batches", "1,2", "--measure", "steps"])
        self.assertEqual(options.batches, [1, 2])
        self.assertEqual(peers.arguments_of(["--smoke"]).samples, 3)
        for wrong in (["--measure", "all"], ["--batches", "0"], ["--nothing"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                peers.arguments_of(wrong)


STAND_IN = """#!/bin/sh
echo "$@" >> "$CALLS"
echo "loading"
echo '{"pp": 496, "tg": 1, "pl": 8, "t_pp": 0.5, "t_tg": 9.0}'
echo '{"pp": 496, "tg": 32, "pl": 8, "t_pp": 0.5, "t_tg": 0.16}'
"""


class LlamaPeerTest(unittest.TestCase):
    def test_measures_with_a_stand_in(self):
        with tempfile.TemporaryDirectory() as folder:
            program, calls = pathlib.Path(folder, "bench"), pathlib.Path(folder, "calls")
            program.write_text(STAND_IN)
            program.chmod(0o755)
            written = pathlib.Path(folder, "peers-llama.json")
            os.environ["CALLS"] = str(calls)
            with contextlib.redirect_stdout(io.StringIO()):
                llama_peer.main([str(program), "m.gguf", "--json", str(written), "--batches", "8", "--contexts", "512",
                                 "--prompts", "2048"])  # fmt: skip
            results = json.loads(written.read_text())["results"]
            first = calls.read_text().splitlines()[0]
        self.assertEqual(summary.key_of(results[0]), ("decode step", "llama-2-7b kv fp16", 8, 512))
        # The line with one step does not count.
        self.assertAlmostEqual(results[0]["seconds"]["median"], 0.005)
        self.assertEqual(results[1]["seconds"]["median"], 0.5)
        self.assertIn("-npp 496 -ntg 1,32 -npl 8", first)
        self.assertIn("--ctx-size 6144", first)

    def test_a_program_that_fails_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            written = pathlib.Path(folder, "peers-llama.json")
            with contextlib.redirect_stdout(io.StringIO()):
                llama_peer.main(["/bin/false", "m.gguf", "--json", str(written), "--batches", "8", "--prompts", "512"])
            content = json.loads(written.read_text())
        self.assertEqual(content["results"], [])
        self.assertEqual(len(content["left_out"]), 3)


class MakeGgufTest(unittest.TestCase):
    CONFIG = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                  vocab_size=100, max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0)  # fmt: skip

    def test_tensors_lie_where_the_header_says(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.gguf")
            make_gguf.write(self.CONFIG, path)
            content = path.read_bytes()
        self.assertEqual(struct.unpack("<4sIQQ", content[:24]), (b"GGUF", 3, 21, 14))
        sizes = [make_gguf.size_of(rows, columns) for _, rows, columns in make_gguf.tensors_of(self.CONFIG)]
        data = sum(make_gguf.aligned(size) for size in sizes)
        # The last tensor is the head; before it, the gains of the last norm.
        head = 100 * 64 * 2
        self.assertEqual(content[-head - 256 : -head], struct.pack("<64f", *[1.0] * 64))
        weights = struct.unpack("<6400e", content[-head:])
        deviation = (sum(weight * weight for weight in weights) / 6400) ** 0.5
        self.assertAlmostEqual(deviation, 0.02, delta=0.002)
        self.assertEqual((len(content) - data) % 32, 0)

    def test_tied_embeddings_are_refused(self):
        with self.assertRaises(ValueError):
            make_gguf.write(dict(self.CONFIG, tie_word_embeddings=True), "/dev/null")


if __name__ == "__main__":
    unittest.main()
