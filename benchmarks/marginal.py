"""Single-class datasets as one training set: the marginal loss against the naive merge. A few minutes on one core.

    python benchmarks/marginal.py [--seeds 2] [--epochs 8] [--json FILE]

Generated streets are taken apart into five single-class sets (no picture in two of them). Both trainings see the same
pictures in the same order, begin with the same weights, and differ in one option: what an unlabelled pixel is. They are
scored on whole labels of other streets, through the runtime's own pre- and post-processing. Exit status 1 where the limit is
broken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from seg_edge.cli.main import main as seg_edge
from seg_edge.core.artefact import write_json
from seg_edge.runtime.machine.system import machine

RESULTS = Path(__file__).parent / "results"
CLASSES = "sky,building,road,tree,car"
#: Points of mIoU by which the marginal loss must win.
LIMIT = 5.0
SIDES = {"naive": "background", "marginal": "marginal"}


def run(*words: object) -> None:
    texts = [str(word) for word in words]
    if seg_edge(texts):
        sys.exit(f"seg-edge {' '.join(texts)} failed")


def score(single: Path, folder: Path, side: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Trains one side and evaluates its last, averaged weights."""
    words = ["--model", "unet-n", "--epochs", options.epochs, "--batch", 4, "--lr", 0.005, "--scale", "1,1.5", "--jitter", 0]
    words += ["--imgsz", options.imgsz, "--seed", seed, "--unlabelled", SIDES[side], "--workers", 0]
    if not (folder / "report.json").exists():
        run("train", "--data", single, "--out", folder, *words)
    run("val", folder / "last.pt", "--data", single, "--split", "test", "--threads", 1, "--json", folder / "test.json")
    found = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    return {"miou": found["miou"], "iou": {row["name"]: row["iou"] for row in found["per_class"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=180, help="for training; val and test have 48 each")
    parser.add_argument("--size", default="96x128", help="of the pictures")
    parser.add_argument("--imgsz", default="64x96", help="of the network's input")
    parser.add_argument("--work", type=Path, help="folder for data and trainings; what is there already is used again")
    parser.add_argument("--json", type=Path, default=RESULTS / "marginal.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        counts = ("--train", options.pictures, "--val", 48, "--test", 48)
        if not (work / "streets").exists():
            run("data", "synth", "--out", work / "streets", *counts, "--size", options.size, "--seed", 11, "--workers", 1)
        if not (work / "single").exists():
            run("data", "split-classes", work / "streets", "--out", work / "single", "--classes", CLASSES)
        rows: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            found = {side: score(work / "single", work / f"{side}{seed}", side, seed, options) for side in SIDES}
            rows.append({"seed": seed, **found})
            print({side: round(100 * value["miou"], 2) for side, value in found.items()}, flush=True)
            gain = write(options, rows)
    print(f"{options.json}: marginal wins by {gain:.1f} points")
    sys.exit(0 if gain >= LIMIT else 1)


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> float:
    """What is known so far; returns the mean gain."""
    gains = [100 * (row["marginal"]["miou"] - row["naive"]["miou"]) for row in rows]
    gain = sum(gains) / len(gains)
    result = {
        "command": f"python benchmarks/marginal.py --seeds {len(rows)} --epochs {options.epochs} "
        f"--pictures {options.pictures} --size {options.size} --imgsz {options.imgsz}",
        "machine": machine(), "classes": CLASSES.split(","), "test_images": 48, "rows": rows, "gain_points": gains,
        "gates": [{"name": "marginal − naive, points of mIoU, mean of the seeds", "limit": LIMIT, "value": gain,
                   "passed": gain >= LIMIT}],
    }  # fmt: skip
    write_json(options.json, result)
    return gain


if __name__ == "__main__":
    main()
