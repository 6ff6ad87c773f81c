"""Siamese against plain training on domains that neither has seen. About half an hour on one core.

    python benchmarks/domains.py [--seeds 3] [--epochs 60] [--more 10] [--json FILE]

Trained on generated streets by day, tested by day, at dusk, at night, in fog, in rain and with another camera, on other
streets. All sides of a seed begin with the same plain training (``seg-edge train`` with its usual colour jitter) and go on
from its weights with as many steps, and in each step as many forward and backward passes of images:

- plain: goes on as it began, twice the epochs in batches twice as large;
- two appearances: each image also in a second appearance, both labelled, nothing pulls them together (augmentation alone);
- siamese: the same with the consistency terms.

The table training domain × test domain has a plain and a Siamese network for each further training domain of --table. Exit
status 1 where the limit is broken.
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
DOMAINS = ("day", "dusk", "night", "fog", "rain", "camera2")
#: Points of mean mIoU on unseen domains by which the Siamese training must win against the plain one.
LIMIT = 3.0
SIDES: dict[str, tuple[object, ...]] = {
    "plain": (),
    "two appearances": ("--siamese", "--pull-features", 0, "--pull-predictions", 0),
    "siamese": ("--siamese",),
}


def run(*words: object) -> None:
    texts = [str(word) for word in words]
    if seg_edge(texts):
        sys.exit(f"seg-edge {' '.join(texts)} failed")


def trained(work: Path, domain: str, side: str, seed: int, options: argparse.Namespace) -> Path:
    """The checkpoint of one training."""
    words = ["--data", work / domain, "--model", "unet-n", "--imgsz", options.imgsz, "--scale", "1,1.5"]
    words += ["--workers", 0, "--seed", seed]
    first = work / "trained" / f"{domain}-first-{seed}"
    if not (first / "report.json").exists():
        run("train", *words, "--out", first, "--batch", 8, "--epochs", options.epochs, "--lr", 0.005)
    folder = work / "trained" / f"{domain}-{side.replace(' ', '-')}-{seed}"
    times = 1 if SIDES[side] else 2
    if not (folder / "report.json").exists():
        words += ["--batch", 4 * times, "--epochs", options.more * times, "--lr", 0.003, *SIDES[side]]
        run("train", *words, "--out", folder, "--init", first / "last.pt")
    return folder / "last.pt"


def evaluated(work: Path, checkpoint: Path) -> dict[str, Any]:
    """mIoU on every domain."""
    table = checkpoint.parent / "table.json"
    if not table.exists():
        data = [word for domain in DOMAINS for word in ("--data", work / domain)]
        run("domains", checkpoint, *data, "--split", "test", "--threads", 1, "--json", table)
    (row,) = json.loads(table.read_text(encoding="utf-8"))["rows"]
    return {"trained_on": row["trained_on"], "miou": row["miou"], "unseen_miou": row["unseen_miou"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60, help="that all sides begin with")
    parser.add_argument("--more", type=int, default=10, help="epochs of two appearances after them; plain has twice as many")
    parser.add_argument("--pictures", type=int, default=240, help="for training; the test splits have 36 each")
    parser.add_argument("--size", default="96x128", help="of the pictures")
    parser.add_argument("--imgsz", default="64x96", help="of the network's input")
    parser.add_argument("--table", default="night,fog", help="further training domains, seed 0; empty for none")
    parser.add_argument("--work", type=Path, help="folder for data and trainings; what is there already is used again")
    parser.add_argument("--json", type=Path, default=RESULTS / "domains.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    further = [name for name in options.table.split(",") if name]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        for domain in DOMAINS:
            if not (work / domain).exists():
                train, val = (options.pictures, 24) if domain in ("day", *further) else (0, 0)
                words = ("--train", train, "--val", val, "--test", 36, "--size", options.size, "--seed", 5, "--workers", 1)
                run("data", "synth", "--out", work / domain, *words, "--domain", domain)
        seeds = range(options.first_seed, options.first_seed + options.seeds)
        # What the limit needs comes first.
        plan = [("day", side, seed) for seed in seeds for side in ("plain", "siamese")]
        plan += [("day", "two appearances", seed) for seed in seeds]
        plan += [(domain, side, 0) for domain in further for side in ("plain", "siamese")]
        for domain, side, seed in plan:
            found = evaluated(work, trained(work, domain, side, seed, options))
            rows.append({"side": side, "seed": seed, **found})
            print(f"{domain} {side} {seed}: {100 * found['unseen_miou']:.2f} % on unseen domains", flush=True)
            gate = write(options, rows)
    print(f"{options.json}: siamese − plain {gate['value']:.1f} points on unseen domains")
    sys.exit(0 if gate["passed"] else 1)


def write(options: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Writes what is known so far; returns the limit's row."""
    values = {
        side: [100 * row["unseen_miou"] for row in rows if (row["side"], row["trained_on"]) == (side, "day")]
        for side in SIDES
    }
    means = {side: sum(found) / len(found) for side, found in values.items() if found}
    gain = means["siamese"] - means["plain"] if {"siamese", "plain"} <= set(means) else None
    gate = {"name": "siamese − plain, points of mean mIoU on unseen domains, trained by day, mean of the seeds",
            "limit": LIMIT, "value": gain, "passed": gain is not None and gain >= LIMIT}  # fmt: skip
    result = {
        "command": f"python benchmarks/domains.py --seeds {options.seeds} --epochs {options.epochs} --more {options.more} "
        f"--pictures {options.pictures} --size {options.size} --imgsz {options.imgsz} --table {options.table or repr('')}",
        "machine": machine(), "unseen_miou_percent": means, "rows": rows, "gates": [gate],
    }  # fmt: skip
    write_json(options.json, result)
    return gate


if __name__ == "__main__":
    main()
