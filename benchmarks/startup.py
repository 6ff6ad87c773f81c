"""How long the command takes to answer, as processes: help, usage errors, errors about missing files, a first result.

    python benchmarks/startup.py [--rounds 5] [--only WORD] [--json FILE]

Each is divided by a Python process that imports what the case can't do without: typer and rich for help and usage errors;
torch for errors about missing files, folders and options, which need no torch and must be there long before it would be;
OpenCV, NumPy and OpenVINO for the first result of `run` and `predict` on the shipped model. Processes of a round run one
after the other, every other round in reverse order; the figures are medians over the rounds, after one that is not counted.

Limits (status 3 = one broke): 1.5, 0.5 and 2 times the imports.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.core.report import text_table
from seg_edge.core.shipped import CHECKPOINT, DEFAULT, shipped
from seg_edge.measure.instruments.sensors import QUIET_CORES, Neighbours, processes_text
from seg_edge.runtime.machine.system import machine, packages

COMMAND = (sys.executable, "-m", "seg_edge.cli")
BROKEN = 3
#: Processes that keep more than this many cores busy are named.
NAMED_CORES = 0.05


class Kind(NamedTuple):
    """What cases of one kind are divided by, and the most that they may take of it.

    Attributes:
        imports: Modules of the Python process that is the measure.
        limit: Largest ratio.
        status: Exit status that its cases must have.
    """

    imports: str
    limit: float
    status: int


KINDS = {
    "help": Kind("typer, rich", 1.5, 0),
    "usage": Kind("typer, rich", 1.5, 2),
    "missing": Kind("torch", 0.5, 1),
    "result": Kind("cv2, numpy, openvino", 2.0, 0),
}
#: The command's words by kind; FOLDER holds data/, a dataset of one image without labels' names, and image.png.
CASES: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "usage": (
        "nope", "run --nope", "export", "train --epochs many", "val --threads two --data data", "bench --runs few",
        "compare runs/a --data data", "predict --out o",
    ),
    "missing": (
        "export NOWHERE", "export NOWHERE --int8", "export CHECKPOINT --int8 --data NOWHERE", "train --data NOWHERE",
        "train --data data --teacher nothing.pt", "run nothing.onnx --source image.png --sink none",
        "run --source nothing.mp4 --sink none", "val nothing.pt --data data", "val CHECKPOINT --data NOWHERE",
        "val CHECKPOINT --data data --split tset", "val CHECKPOINT --data data --engine onnxruntme",
        "predict nothing.onnx --source image.png --out o", "predict --source nothing.png --out o", "bench nothing.onnx",
        "bench --data NOWHERE", "bench --frame big", "build nothing.onnx", "verify NOWHERE",
        "prune nothing.pt --data data --ratio 0.3", "prune CHECKPOINT --data NOWHERE --ratio 0.3", "data check NOWHERE",
        "compare nothing.pt CHECKPOINT --data data", "compare NAME other.pt --data NOWHERE",
        "domains CHECKPOINT --data NOWHERE",
    ),
    "result": ("run --source image.png --sink none", "predict --source image.png --out o"),
}  # fmt: skip


def prepare(folder: Path) -> None:
    """What the cases name."""
    street = np.full((352, 480, 3), 90, np.uint8)
    street[:150] = (235, 225, 215)
    cv2.imwrite(str(folder / "image.png"), street)
    for kind, image in (("images", street), ("labels", np.zeros((352, 480), np.uint8))):
        (folder / "data" / kind / "val").mkdir(parents=True)
        cv2.imwrite(str(folder / "data" / kind / "val" / "0.png"), image)
    (folder / "other.pt").write_bytes(b"another training")


def words_of(case: str) -> list[str]:
    """The words of a case; CHECKPOINT is the shipped model's file, NAME its name."""
    named = {"CHECKPOINT": str(shipped(DEFAULT, CHECKPOINT)), "NAME": DEFAULT}
    return [named.get(word, word) for word in case.split()]


def seconds_of(command: Sequence[str], folder: Path, status: int) -> float:
    """Runs a process to its end: its wall-clock seconds.

    Raises:
        SystemExit: it ended with another status than ``status``.
    """
    # With compiled modules, as after an installation, also where the shell forbids Python to write them.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    seconds = perf_counter() - began
    if done.returncode != status:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        answer = said[-1] if said else "no output"
        sys.exit(f"startup: {' '.join(command)}: expected status {status}, got {done.returncode}: {answer}")
    return seconds


def measure(
    cases: Sequence[tuple[str, str]], rounds: int, run: Callable[[Sequence[str], int], float], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row for each case.

    Args:
        cases: (kind, words).
        rounds: Rounds that count.
        run: (command, status) → seconds.
        say: Takes a line for each round.
    """
    imports = [*dict.fromkeys(KINDS[kind].imports for kind, _ in cases)]
    jobs: list[tuple[str, list[str], int]] = [(name, [sys.executable, "-c", f"import {name}"], 0) for name in imports]
    jobs += [(case, [*COMMAND, *words_of(case)], KINDS[kind].status) for kind, case in cases]
    times: dict[str, list[float]] = {name: [] for name, _command, _status in jobs}
    for number in range(rounds + 1):
        for name, command, status in jobs if number % 2 else jobs[::-1]:
            seconds = run(command, status)
            if number:  # the first one fills the file cache
                times[name].append(seconds)
        say(f"round {number} of {rounds}")
    rows = []
    for kind, case in cases:
        own, base = times[case], times[KINDS[kind].imports]
        ratio = median(own) / median(base)
        rows.append(
            {
                "case": f"seg-edge {case}", "kind": kind, "seconds": median(own), "rounds": own,
                "imports": KINDS[kind].imports, "imports_seconds": median(base), "ratio": ratio,
                "limit": KINDS[kind].limit, "passed": ratio <= KINDS[kind].limit,
            }
        )  # fmt: skip
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text."""
    cells = [
        [
            row["case"], f"{row['seconds']:.2f}", f"import {row['imports']}", f"{row['imports_seconds']:.2f}",
            f"{row['ratio']:.2f}", f"{row['limit']:g}", "" if row["passed"] else "BROKEN",
        ]
        for row in rows
    ]  # fmt: skip
    return text_table(["command", "s", "measure", "s", "ratio", "limit", ""], cells)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases with this text in them")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "startup.json")
    args = parser.parse_args(argv)
    cases = [(kind, case) for kind, group in CASES.items() for case in group if args.only in case]
    if args.rounds < 1 or not cases:
        parser.error("--rounds must be at least 1, --only a part of a case")
    neighbours = Neighbours()  # our own processes end and are not among them
    with tempfile.TemporaryDirectory(prefix="startup-") as scratch:
        folder = Path(scratch)
        prepare(folder)
        neighbours.start()
        rows = measure(cases, args.rounds, lambda command, status: seconds_of(command, folder, status), print)
        busy = neighbours.busiest(NAMED_CORES)
    warning = None
    if sum(process.cores for process in busy) > QUIET_CORES:
        warning = f"other processes were busy: {processes_text(busy)}: the ratios say little; stop them and measure again"
    print(table(rows))
    if warning:
        print(f"warning: {warning}")
    about = machine() | {"packages": packages()}
    write_json(
        args.json,
        {
            "command": "python benchmarks/startup.py", "machine": about, "rounds": args.rounds, "rows": rows,
            "processes": [asdict(process) for process in busy], "warning": warning,
        },
    )  # fmt: skip
    return 0 if all(row["passed"] for row in rows) else BROKEN


if __name__ == "__main__":
    sys.exit(main())
