"""Collects what a training, its export and its benchmark wrote into one file under ``results/``.

python benchmarks/record.py NAME --train demo/train --model demo/model --bench demo/bench.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from seg_edge.core.artefact import REPORT_JSON, write_json
from seg_edge.runtime.machine.system import machine

RESULTS = Path(__file__).parent / "results"


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="results/NAME.json is written")
    parser.add_argument("--train", type=Path, required=True, help="output folder of seg-edge train")
    parser.add_argument("--model", type=Path, required=True, help="artefact folder of seg-edge export")
    parser.add_argument("--val", type=Path, help="what seg-edge val --json wrote")
    parser.add_argument("--bench", type=Path, help="what seg-edge bench --json wrote")
    parser.add_argument("--seconds", type=float, help="what benchmarks/demo.sh said that the whole road took")
    words = parser.parse_args()
    record = {"machine": machine(), "train": read(words.train / REPORT_JSON), "export": read(words.model / REPORT_JSON)}
    if words.seconds is not None:
        record["seconds"] = words.seconds
    for key in ("val", "bench"):
        if path := getattr(words, key):
            record[key] = read(path)
    write_json(RESULTS / f"{words.name}.json", record)
    print(f"benchmarks/results/{words.name}.json")


if __name__ == "__main__":
    main()
