"""What each choice of the CamVid recipe is worth: one change at a time, each a training of its own. Hours on one core.

    python benchmarks/ablations.py [--data CAMVID] [--only NAME]... [--teacher CKPT] [--epochs 20] [--json FILE]

The base is ``--config camvid`` at half the height and width and with fewer epochs: a row takes minutes, and what is worth
a point there need not be worth one at full size. One seed: differences below a point are noise. val mIoU is that of the last
epoch's averaged weights, not of the best epoch. Rows that the JSON has already are kept; another base needs another JSON.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from seg_edge.core.artefact import sha256, write_json
from seg_edge.runtime.machine.system import machine

RESULTS = Path(__file__).parent / "results"
RECIPE = Path(__file__).parents[1] / "train" / "recipes" / "camvid.yaml"
#: Name → options that differ from the base; "" stands for the teacher's file.
CHANGES: dict[str, tuple[object, ...]] = {
    "base": (),
    "cross entropy alone": ("--loss", "ce"),
    "ce + 0.5 dice": ("--loss", "ce+0.5*dice"),
    "ohem + lovasz": ("--loss", "ohem+lovasz"),
    "ce + lovasz + 0.5 boundary": ("--loss", "ce+lovasz+0.5*boundary"),
    "rare classes weigh more": ("--class-weights", 1),
    "ce + 0.5 dice, rare classes weigh more": ("--loss", "ce+0.5*dice", "--class-weights", 1),
    "no zoom": ("--scale", 1),
    "no jitter": ("--jitter", 0),
    "no mirroring": ("--flip", 0),
    "no classmix": ("--classmix", 0),
    "classmix 0.5": ("--classmix", 0.5),
    "cutmix 0.25 for classmix": ("--classmix", 0, "--cutmix", 0.25),
    "rotation by 10 degrees": ("--rotate", 10),
    "branches": ("--branches",),
    "aux 0.4": ("--aux", 0.4),
    "batch 8": ("--batch", 8),
    "batch 2": ("--batch", 2),
    "twice the rate": ("--lr", 0.004),
    "half the rate": ("--lr", 0.001),
    "sgd": ("--optimizer", "sgd", "--lr", 0.05),
    "teacher": ("--teacher", ""),
    "twice the epochs": ("--epochs", 2.0),
}


def words_of(name: str, options: argparse.Namespace) -> list[str]:
    """The command that trains a row."""
    changes = dict(zip(CHANGES[name][::2], (*CHANGES[name][1::2], None), strict=False))
    epochs = round(options.epochs * float(str(changes.pop("--epochs", 1))))
    words: list[object] = ["--config", "camvid", "--data", options.data, "--imgsz", options.imgsz, "--epochs", epochs]
    for option, value in changes.items():
        words += [option] if value is None else [option, options.teacher if option == "--teacher" else value]
    words += ["--seed", options.seed, "--workers", 1, "--precision", options.precision]
    return [str(word) for word in words]


def train(name: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        words = words_of(name, options)
        # A process of its own: each begins with the same memory and threads.
        command = [sys.executable, "-m", "seg_edge.cli", "train", *words, "--out", f"{folder}/run"]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {' '.join(words)} failed: {done.stderr[-300:]}")
        with open(f"{folder}/run/metrics.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        report = json.loads(Path(f"{folder}/run/report.json").read_text(encoding="utf-8"))
    return {
        "change": name, "options": " ".join(map(str, CHANGES[name])), "epochs": len(rows),
        "teacher": sha256(options.teacher) if name == "teacher" else None,
        "miou": float(rows[-1]["val_miou"]), "best_miou": report["best"]["miou"],
        "seconds_per_epoch": median(float(row["seconds"]) for row in rows),
        "curve": [float(row["val_miou"]) for row in rows],
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lines of Markdown, as benchmarks/README.md has them."""
    base = next((row["miou"] for row in rows if row["change"] == "base"), None)
    lines = ["| change | val mIoU, % | points | s per epoch |", "|---|---|---|---|"]
    for row in rows:
        gain = "–" if base is None or row["change"] == "base" else f"{100 * (row['miou'] - base):+.1f}"
        lines.append(f"| {row['change']} | {100 * row['miou']:.1f} | {gain} | {row['seconds_per_epoch']:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--only", action="append", choices=CHANGES)
    parser.add_argument("--teacher", type=Path, help="for the row `teacher`, which is left out without it")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--imgsz", default="192x256")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="bf16", help="of all rows; fp32 is faster on a CPU without bf16")
    parser.add_argument("--json", type=Path, default=RESULTS / "ablations.json")
    options = parser.parse_args()
    if options.teacher is None and "teacher" in (options.only or ()):
        parser.error("--only teacher needs --teacher CKPT")
    base = {"recipe": RECIPE.read_text(encoding="utf-8"), "data": options.data.name, "imgsz": options.imgsz,
            "epochs": options.epochs, "seed": options.seed, "precision": options.precision}  # fmt: skip
    known = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {"base": base, "rows": []}
    if known["base"] != base:
        parser.error(f"--json {options.json}: has another base ({known['base']}); pass another file")
    rows: list[dict[str, Any]] = known["rows"]
    for name in options.only or CHANGES:
        if name in {row["change"] for row in rows} or (name == "teacher" and not options.teacher):
            continue
        rows.append(train(name, options))
        order = list(CHANGES)
        rows.sort(key=lambda row: order.index(row["change"]))
        same = {"epochs": options.epochs, "imgsz": options.imgsz, "seed": options.seed, "precision": options.precision}
        command = " ".join(["python benchmarks/ablations.py", *(f"--{key} {value}" for key, value in same.items())])
        write_json(options.json, {"command": command, "machine": machine(), "base": base, "rows": rows})
        print(f"{name}: {100 * rows[[row['change'] for row in rows].index(name)]['miou']:.2f} %", flush=True)
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
