#!/usr/bin/env python3
"""Tests of ../summary.py and of what ../peers.py can do without PyTorch."""

import contextlib
import importlib.util
import io
import json
import pathlib
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE.parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


summary = load("summary")
peers = load("peers")


def point(name, variant, batch, context, median, **more):
    return dict(name=name, variant=variant, batch=batch, context=context, seconds=dict(median=median), **more)


def printed(folder):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = summary.main(folder)
    return status, out.getvalue()


class SummaryTest(unittest.TestCase):
    def test_joins_weir_and_peers_by_point(self):
        with tempfile.TemporaryDirectory() as folder:
            steps = dict(
                ceilings=[dict(name="read-only bandwidth", value=4300.0, unit="GB/s")],
                results=[point("decode step", "llama-2-7b kv fp16", 64, 512, 8e-3, share=0.89)],
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
        self.assertEqual(status, 0)
        row = next(line for line in text.splitlines() if line.startswith("decode step"))
        # The peer's better time counts: 10 ms against 8.
        self.assertIn("1.25x", row)
        self.assertIn("89.0%", row)
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


if __name__ == "__main__":
    unittest.main()
