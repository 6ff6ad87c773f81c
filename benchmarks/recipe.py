"""Does a recipe still learn as it did? Its first epochs are trained again and held against the recorded curve.

    python benchmarks/recipe.py camvid [--data CAMVID] [--epochs 3]
    python benchmarks/recipe.py camvid --whole                     # into runs/camvid; hours; goes on where it was stopped
    python benchmarks/recipe.py camvid-lite0 --record runs/lite0   # trained by that recipe and nothing else

The whole schedule is asked for and stopped after so many epochs, so that each has the rate that it had. Another machine,
other versions or another number of threads round differently, and training carries that along; hence limits, not equality.
Where a recipe begins with or learns from runs/NAME/best.pt of another recipe, --whole trains that one first, and prunes it
where it is runs/NAME/pruned/best.pt.
Exit status 1: an epoch is further from the record than that, on the bad side or the good one.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from seg_edge.core.artefact import REPORT_JSON, write_json
from seg_edge.runtime.machine.system import machine
from seg_edge.train import load_recipe
from seg_edge.train.checkpoint import BEST
from seg_edge.train.recipe import recipes

RESULTS = Path(__file__).parent / "results"
#: What makes runs/NAME/pruned of runs/NAME, as the recipe that begins with it says.
PRUNED = ("--target-macs", "0.55", "--steps", "1", "--finetune", "0")
#: What a training is run with, and not what it learns from.
ELSEWHERE = ("data", "out", "workers", "precision", "device", "save_every")
#: Share of the recorded training loss, and points of mIoU, that an epoch may be away.
LOSS, POINTS = 0.05, 5.0


def asked(name: str) -> dict[str, Any]:
    """What a recipe asks of a training, as the training's report says it, without :data:`ELSEWHERE`."""
    return without(json.loads(json.dumps(load_recipe(name).recorded(Path(), Path()))))


def without(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in ELSEWHERE}


def finished(name: str, run: Path) -> dict[str, Any] | None:
    """The report of a training of this recipe; None where there is none, or one that is not finished.

    A training that goes by something else ends the program.
    """
    try:  # written at the end alone; one that --patience ended early has fewer epochs than were asked for
        report = dict(json.loads((run / REPORT_JSON).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    found, wanted = without(report.get("config", {})), asked(name)
    other = [f"{key} {found.get(key)!r}, not {value!r}" for key, value in wanted.items() if found.get(key) != value]
    if other:
        sys.exit(f"recipe {name}: {run} is of another training ({'; '.join(other)}); move it away, or pass another folder")
    return report


def record(name: str, run: Path) -> None:
    """Keeps a finished training's report as ``train`` of the record, beside what stands there of its export."""
    report = finished(name, run)
    if report is None:
        sys.exit(f"recipe {name}: no finished training in {run}; expected its {REPORT_JSON}")
    if report["epochs"] != report["config"]["epochs"]:
        sys.exit(
            f"recipe {name}: {run} has {report['epochs']} of {report['config']['epochs']} epochs; record a whole training"
        )
    report["data"] = report["config"]["data"] = "CAMVID"
    report["config"]["out"] = str(run)
    file = RESULTS / f"{name}.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    write_json(file, known | {"machine": machine(), "train": report})


def train_whole(name: str, data: Path) -> Path:
    """Trains a recipe to its end, after those that it needs; what is finished stays. Returns the run's folder."""
    values = yaml.safe_load(recipes()[name].read_text(encoding="utf-8"))
    for key in ("init", "teacher"):
        needed = Path(values.get(key, ""))
        if needed.parts[:1] == ("runs",) and needed.parts[1] in recipes():
            train_whole(needed.parts[1], data)
            if needed.parts[2] == "pruned" and not needed.exists():
                run("prune", str(Path(*needed.parts[:2]) / BEST), "--data", str(data), *PRUNED)
    out = Path("runs") / name
    if finished(name, out):
        return out
    resume = ["--resume"] if (out / "last.pt").exists() else []
    run("train", "--config", name, "--data", str(data), "--out", str(out), *resume)
    return out


def run(*words: str) -> None:
    """Runs a verb; where it fails, this ends with it."""
    print(f"seg-edge {' '.join(words)}", flush=True)
    try:
        code = subprocess.run([sys.executable, "-m", "seg_edge.cli", *words]).returncode
    except KeyboardInterrupt:  # the verb got it too, and has said so
        sys.exit(130)
    if code:
        sys.exit(f"seg-edge {' '.join(words)}: ended with status {code}")


def first_epochs(name: str, total: int, data: Path, epochs: int) -> list[dict[str, float]]:
    """Rows of ``metrics.csv``."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "run" / "metrics.csv"
        words = ["train", "--config", name, "--data", str(data), "--epochs", str(total), "--out", str(table.parent)]
        process = subprocess.Popen([sys.executable, "-m", "seg_edge.cli", *words], stderr=subprocess.PIPE, text=True)
        rows: list[dict[str, float]] = []
        while len(rows) < epochs and process.poll() is None:
            time.sleep(1)
            if table.exists():
                with open(table, encoding="utf-8") as file:
                    rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        process.terminate()  # not SIGINT, which shells let their background jobs ignore
        error = process.communicate()[1]
        if len(rows) < epochs:
            sys.exit(f"recipe {name}: the training ended early: {error[-300:]}")
    return rows[:epochs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of a recipe; results/NAME.json is its record")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="train to the end, into runs/NAME")
    parser.add_argument("--record", type=Path, metavar="RUN", help="folder of a finished training of this recipe")
    options = parser.parse_args()
    if options.record:
        record(options.name, options.record)
        return
    if options.name not in recipes():
        parser.error(f"no recipe {options.name!r}; expected one of {', '.join(recipes())}")
    if options.whole:
        print(train_whole(options.name, options.data))
        return
    known: list[dict[str, Any]]
    report = json.loads((RESULTS / f"{options.name}.json").read_text(encoding="utf-8"))["train"]
    known, wrong = report["history"], 0
    for now, then in zip(first_epochs(options.name, report["epochs"], options.data, options.epochs), known, strict=False):
        loss = now["train_loss"] / then["train_loss"] - 1
        points = 100 * (now["val_miou"] - then["val_miou"])
        passed = abs(loss) <= LOSS and abs(points) <= POINTS
        wrong += not passed
        print(
            f"{'ok' if passed else 'OTHER'}: epoch {now['epoch']:.0f}: loss {now['train_loss']:.4f} ({100 * loss:+.1f} %, "
            f"limit {100 * LOSS:g}), val mIoU {100 * now['val_miou']:.2f} % ({points:+.2f} points, limit {POINTS:g})"
        )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
