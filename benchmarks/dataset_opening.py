"""Opening a dataset of many pairs, beside ``os.scandir`` and one ``stat`` of each file: CPU time, in alternation.

    python benchmarks/dataset_opening.py --pairs 50000 --rounds 7 --json opening.json

Files are empty but for the first ones: opening looks at names alone, and at a few label files where classes are named.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from seg_edge.datasets.opening import open_dataset


def write(root: Path, pairs: int) -> None:
    """``images/train`` and ``labels/train`` with three named classes."""
    label, image = (cv2.imencode(".png", np.zeros((8, 8, depth), np.uint8))[1].tobytes() for depth in (1, 3))
    for folder, content in (("images", image), ("labels", label)):
        (root / folder / "train").mkdir(parents=True)
        for number in range(pairs):
            (root / folder / "train" / f"frame_{number:06d}.png").write_bytes(content if number < 16 else b"")
    (root / "classes.json").write_text('{"names": ["sky", "road", "car"]}', encoding="utf-8")


def listing(root: Path) -> int:
    """``os.scandir`` of both folders, and one ``stat`` of each file."""
    count = 0
    for folder in ("images", "labels"):
        with os.scandir(root / folder / "train") as entries:
            for entry in entries:
                entry.stat()
                count += 1
    return count


def cpu_s(call: Callable[[], object]) -> float:
    """CPU time of one call, seconds."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, words.pairs)
        rows = [
            (cpu_s(lambda: listing(root)), cpu_s(lambda: open_dataset(root, "train")))
            for _ in range(words.rounds + 1)
        ][1:]  # fmt: skip
    lists, opens = ([row[k] for row in rows] for k in (0, 1))
    ratios = sorted(opened / listed for listed, opened in rows)
    report = {
        "pairs": words.pairs, "rounds": words.rounds, "scandir_and_stat_cpu_s": statistics.median(lists),
        "open_cpu_s": statistics.median(opens), "ratio": statistics.median(ratios), "ratio_low": ratios[0],
        "ratio_high": ratios[-1],
    }  # fmt: skip
    print(json.dumps(report, indent=1))
    if words.json:
        words.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
