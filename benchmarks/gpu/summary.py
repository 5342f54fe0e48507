#!/usr/bin/env python3
"""Joins what the stages of ./run have written into one table: summary.py [--short] FOLDER.

Reads ceilings.json, operators.json, steps.json (weir_gpu_benchmark), and peers*.json (peers.py, or anything else that
writes the same: PEERS.md), as far as they are there. Prints the ceilings, then every point that a goal is set for or that
a peer was measured at, with the share of its floor and the ratio to each peer (how many times as fast as the peer Weir
is), then what was taken of the device's memory. --short leaves out the points without a goal and those of peers alone.
"""

import json
import pathlib
import sys

SHOWN = ("decode attention", "prefill attention", "matmul", "decode step", "prefill step", "mixed step", "swap")


def read(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"{path}: {error}")
        return None


def key_of(result):
    """What identifies a point for Weir and for its peers."""
    return (result["name"], result.get("variant", ""), result.get("batch", 0), result.get("context", 0))


def duration(seconds):
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:.3f} ms"


def verdict(result):
    """Whether the point reaches its goal, a share of its floor that results.cc sets."""
    if "goal" not in result:
        return ""
    return "met" if result["share"] >= result["goal"] else f"MISS {100 * result['goal']:.0f}%"


def table(runs, peers, short):
    """Lines for the points of all runs; `peers` maps a point to {peer: seconds}."""
    names = sorted({name for of_point in peers.values() for name in of_point})
    lines = []
    for run in runs:
        for result in run.get("results", []):
            if not result["name"].startswith(SHOWN) or (short and "goal" not in result):
                continue
            of_point = peers.get(key_of(result), {})
            seconds = result["seconds"]["median"]
            ratios = "".join(
                f" {of_point[name] / seconds:>9.2f}x" if name in of_point and seconds > 0 else f" {'':>10}"
                for name in names
            )
            share = result.get("share", 0)
            lines.append(
                f"{result['name']:<24} {result.get('variant', ''):<20} {result.get('batch', 0) or '':>5}"
                f" {result.get('context', 0) or '':>6} {duration(seconds):>12}"
                f" {f'{100 * share:.1f}%' if share else '':>7} {verdict(result):<8}{ratios}"
            )
    if lines:
        heading = (
            f"{'point':<24} {'variant':<20} {'batch':>5} {'contxt':>6} {'median':>12} {'floor':>7} {'goal':<8}"
            + "".join(f" {name[:10]:>10}" for name in names)
        )
        lines.insert(0, heading)
    return lines


def main(folder, short=False):
    folder = pathlib.Path(folder)
    runs = [run for name in ("ceilings", "operators", "steps") if (run := read(folder / f"{name}.json"))]
    peers = {}
    for path in sorted(folder.glob("peers*.json")):
        written = read(path)
        for result in written.get("results", []) if written else []:
            # The same point may have several samples: the peer's best median counts.
            of_point = peers.setdefault(key_of(result), {})
            seconds = result["seconds"]["median"]
            of_point[result["peer"]] = min(seconds, of_point.get(result["peer"], seconds))
    if any(run.get("emulated") or run.get("smoke") for run in runs):
        print("smoke run: the figures mean nothing and are not to be recorded")
    for run in runs[-1:]:
        for ceiling in run.get("ceilings", []):
            print(f"{ceiling['name']:<24} {ceiling['value']:>10.2f} {ceiling['unit']}")
    for line in table(runs, peers, short):
        print(line)
    unmatched = set() if short else set(peers) - {key_of(result) for run in runs for result in run.get("results", [])}
    for point in sorted(unmatched, key=str):
        for name, seconds in sorted(peers[point].items()):
            print(f"{name}: {' '.join(str(part) for part in point if part)}: {duration(seconds)}")
    for run in runs:
        for line in run.get("memory", []):
            print(
                f"memory: {line['what']:<36} planned {line['planned_bytes'] / 2**20:>10.1f} MiB"
                f" taken {line['taken_bytes'] / 2**20:>10.1f} MiB"
            )
        for left_out in run.get("left_out", []):
            print(f"left out: {left_out['what']}: {left_out['why']}")
    return 0 if runs or peers else 1


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if argument != "--short"]
    if len(folders) != 1:
        sys.exit(__doc__)
    sys.exit(main(folders[0], "--short" in sys.argv))
