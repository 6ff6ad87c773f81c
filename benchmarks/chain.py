"""The whole chain with all its options on one dataset: seconds of every step; writes a JSON file.

    python benchmarks/chain.py runs/NAME/best.pt [--data CAMVID] [--teacher CKPT] [--prune 0.3] [--finetune 1] [--qat 1]
        [--out FOLDER] [--json FILE]

Runs `seg-edge export CKPT --data … --prune … --finetune … --teacher … --int8 --qat … --fp16 --dla-cache --head labels --ir
--triton … --engine rtx` in this process, as a user calls it, and notes when each line and each move of a progress bar
comes: `still_s` is the longest time in which the bar of a step only moved without an end, and `still_before` what ended it.
Without the package tensorrt_rtx the engine is left out, and the record says so.

Limit (status 1 = it broke): less than 20 minutes in all, training epochs (fine-tuning after pruning, QAT) apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from seg_edge.cli import export as command
from seg_edge.cli.main import main as seg_edge
from seg_edge.core.artefact import write_json
from seg_edge.measure.instruments.sensors import Neighbours
from seg_edge.runtime.engines.nvinfer import module_available
from seg_edge.runtime.machine.system import machine

MAX_SECONDS = 1200.0
#: Steps that train: outside of the limit.
TRAINING = ("fine-tune", "qat: epoch")
# Lines that tell about the step that is running; all others begin one.
_REMARKS = (" ", "warning", "simplify: ", "qat", "TensorRT", "triton")


class Clock:
    """When what was heard of: the steps, their seconds, and the longest time between two signs."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self._last = perf_counter()
        self.begin("start (imports, reading)")

    def begin(self, step: str) -> None:
        self.sign("", step)
        self.steps.append({"step": step, "seconds": 0.0, "still_s": 0.0, "still_before": ""})

    def sign(self, what: str, following: str = "") -> None:
        """Something was shown; the time since the last sign belongs to the running step."""
        now = perf_counter()
        spent, self._last = now - self._last, now
        if self.steps:
            step = self.steps[-1]
            step["seconds"] += spent
            if spent > step["still_s"]:
                step["still_s"], step["still_before"] = spent, what or following


class TimedBars(command.Bars):
    """The command's own bars, with a clock beside them."""

    clock: Clock

    def say(self, text: str) -> None:
        if text.startswith(_REMARKS):
            self.clock.sign(text.strip()[:60])
        else:
            self.clock.begin(text[:60])
        super().say(text)

    def track(self, items: Sequence[Any], what: str) -> Iterable[Any]:
        if training := what.startswith(TRAINING):
            self.clock.begin(what)
        for item in super().track(items, what):
            self.clock.sign(what)
            yield item
        self.clock.sign(what)
        if training:
            self.clock.begin(f"after {what}")

    def count(self, what: str) -> Callable[[int, int], None]:
        show = super().count(what)
        if self.clock.steps[-1]["step"].startswith(TRAINING):  # the training of a pruned network has bars of its own
            self.clock.begin(what)
        else:
            self.clock.sign(what)

        def noted(done: int, total: int) -> None:
            self.clock.sign(what)
            show(done, total)

        return noted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--teacher", type=Path, help="default: the checkpoint itself")
    parser.add_argument("--prune", type=float, default=0.3)
    parser.add_argument("--finetune", type=int, default=1)
    parser.add_argument("--qat", type=int, default=1, help="epochs; 0 leaves it out")
    parser.add_argument("--head", default="labels")
    parser.add_argument("--out", type=Path, help="folder for all that is written; default: one that is removed")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "chain.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        return run(args, args.out or Path(scratch))


def run(args: argparse.Namespace, out: Path) -> int:
    rtx = module_available("rtx")
    words: list[Any] = [
        "export", args.checkpoint, "--data", args.data, "--out", out / "artefact", "--prune", args.prune, "--int8", "--fp16",
        "--dla-cache", "--head", args.head, "--ir", "--triton", out / "triton",
    ]  # fmt: skip
    words += ["--finetune", args.finetune, "--teacher", args.teacher or args.checkpoint] if args.finetune else []
    words += ["--qat", args.qat] if args.qat else []
    words += ["--engine", "rtx"] if rtx.ok else []
    others = Neighbours()
    others.start()
    clock = TimedBars.clock = Clock()
    command.Bars = TimedBars  # type: ignore[misc]  # the command takes it from its own module
    status = seg_edge(list(map(str, words)))
    clock.sign("the end")
    busy = others.busiest(0.05, 3)

    judged = [step for step in clock.steps if not step["step"].startswith(TRAINING)]
    seconds = sum(step["seconds"] for step in judged)
    gates = [
        {"name": "exit status", "limit": 0, "value": status, "passed": status == 0},
        {"name": "seconds, training apart", "limit": MAX_SECONDS, "value": seconds, "passed": seconds < MAX_SECONDS},
    ]
    names = {str(args.checkpoint): "CKPT", str(args.data): "DATA", str(args.teacher): "TEACHER", str(out): "OUT"}
    shown = [next((new + str(w)[len(old) :] for old, new in names.items() if str(w).startswith(old)), str(w)) for w in words]
    write_json(
        args.json,
        {
            "command": "seg-edge " + " ".join(shown), "machine": machine(), "data": args.data.name,
            "rtx": rtx.version if rtx.ok else rtx.reason, "seconds": seconds,
            "seconds_with_training": sum(step["seconds"] for step in clock.steps),
            "steps": clock.steps, "gates": gates, "neighbours": [asdict(one) for one in busy],
        },
    )  # fmt: skip
    for step in clock.steps:
        print(f"{step['seconds']:8.1f} s  {step['step']}  (still for {step['still_s']:.1f} s before {step['still_before']})")
    for gate in gates:
        print(f"{'passed' if gate['passed'] else 'FAILED'}: {gate['name']}: {gate['value']:.4g} (limit {gate['limit']:g})")
    return 0 if all(gate["passed"] for gate in gates) else 1


if __name__ == "__main__":
    sys.exit(main())
