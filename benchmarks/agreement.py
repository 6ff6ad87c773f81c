"""Runs seg-edge bench --table twice and compares the ratios; writes benchmarks/results/agreement.json.

    python benchmarks/agreement.py ARTEFACT [--data FOLDER] [--runs 2] [--table FILE] [--bench WORDS]
        [--json FILE]

Each run is a process of its own, as a user starts it. The disagreement of a ratio is |a ÷ b - 1|, the smaller value below.
Limits, status 1 if one breaks: every ratio, end to end and engine alone, within 10 %, every run in less than ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from seg_edge.core.artefact import write_json
from seg_edge.measure.benchmark.outcome import load_warning

MAX_DISAGREEMENT, MAX_RUN_S = 0.10, 600.0
KEY = ("model", "precision", "engine", "threads", "imgsz", "batch")


def one_run(words: list[str], folder: Path, number: int) -> tuple[dict[str, Any], float]:
    """The report of one run, and the seconds that it took."""
    file = folder / f"{number}.json"
    began = perf_counter()
    command = [sys.executable, "-m", "seg_edge.cli.main", "bench", "--table", *words, "--json", str(file)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise SystemExit(f"agreement: seg-edge bench ended with status {done.returncode}")
    return json.loads(file.read_text(encoding="utf-8")), perf_counter() - began


def disagreement(a: float, b: float) -> float:
    return max(a, b) / min(a, b) - 1


def compared(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row's ratios in all runs, and the largest disagreement of any two of them."""
    found = []
    for rows in zip(*(report["rows"] for report in reports), strict=True):
        about = {key: rows[0][key] for key in KEY}
        if any({key: row[key] for key in KEY} != about for row in rows):
            raise SystemExit("agreement: the runs have different rows; what they were given has changed between them")
        if rows[0]["ratio"] is None or rows[0]["ratio"]["to"] == f"{about['model']} {about['precision']}":
            continue
        kinds = {}
        for kind in ("e2e", "engine"):
            values = [row["ratio"][kind] for row in rows]
            intervals = [row["ratio"][f"{kind}_interval"] for row in rows]
            kinds[kind] = {
                "ratios": values, "intervals": intervals, "disagreement": disagreement(min(values), max(values)),
            }  # fmt: skip
        found.append(about | {"runs": [row["runs"] for row in rows], **kinds})
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artefact", nargs="*", help="what seg-edge bench --table gets beside its own networks")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for a quiet machine before each run")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "agreement.json")
    parser.add_argument("--table", type=Path, metavar="FILE", help="keep the last run's report here")
    parser.add_argument("--bench", default="", metavar="WORDS", help="further words for seg-edge bench, as one text")
    args = parser.parse_args()
    if args.runs < 2:
        parser.error("--runs must be at least 2")
    words = [*args.artefact, "--wait", f"{args.wait:g}", *shlex.split(args.bench)]
    if args.data.is_dir():
        words += ["--data", str(args.data)]
    reports, seconds = [], []
    with tempfile.TemporaryDirectory(prefix="agreement-") as folder:
        for number in range(args.runs):
            report, spent_s = one_run(words, Path(folder), number)
            reports.append(report)
            seconds.append(spent_s)
    if args.table:
        write_json(args.table, reports[-1])
    rows = compared(reports)
    worst = {kind: max(row[kind]["disagreement"] for row in rows) for kind in ("e2e", "engine")}
    limits = [(f"disagreement of two runs, ratios {kind}", value, MAX_DISAGREEMENT) for kind, value in worst.items()]
    limits.append(("seconds of the longest run", max(seconds), MAX_RUN_S))
    gates = [
        {"name": name, "limit": limit, "value": value, "passed": value <= limit} for name, value, limit in limits
    ]  # fmt: skip
    warnings = [text for text in map(load_warning, reports) if text]
    write_json(
        args.json,
        {
            "command": "python benchmarks/agreement.py ARTEFACT", "machine": reports[0]["machine"],
            "load": [report["load"] for report in reports], "stopped": [report["method"]["stopped"] for report in reports],
            "to": next(row["ratio"]["to"] for row in reports[0]["rows"] if row["ratio"]), "seconds": seconds,
            "rows": rows, "worst": worst, "gates": gates, "warnings": warnings,
        },
    )  # fmt: skip
    for row in rows:
        shown = ", ".join(
            f"{kind} {' / '.join(f'{value:.3g}' for value in row[kind]['ratios'])} ({100 * row[kind]['disagreement']:.1f} %)"
            for kind in worst
        )
        print(f"{row['model']} {row['precision']}: {shown}")
    for one in gates:
        print(f"{'passed' if one['passed'] else 'FAILED'}: {one['name']}: {one['value']:.3f} (limit {one['limit']:g})")
    for text in warnings:
        print(f"warning: {text}")
    return 0 if all(one["passed"] for one in gates) else 1


if __name__ == "__main__":
    sys.exit(main())
