"""One training step of a compact U-Net on the CPU, with and without train/memory.py's keep_freed_memory().

    python benchmarks/train_step.py [--model unet-s] [--batch 8] [--imgsz 352x480] [--steps 10] [--pairs 5] [--json FILE]

The setting holds for a whole process, so each side is measured in processes of its own, which take turns: a pair is one
process of each. Forward pass, loss, backward pass and AdamW, as seg-edge train does them, on generated images; the first
three steps of a process are not counted. Writes benchmarks/results/train_step.json: the median step of each process, the
median over processes, and the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

WARMUP, CLASSES = 3, 11
SIDES = ("default", "keep")


def measure(model: str, batch: int, size_hw: tuple[int, int], steps: int, precision: str, keep: bool) -> dict[str, Any]:
    """Times training steps in this process: milliseconds each, after the warm-up."""
    import torch

    from seg_edge.core.spec import IMAGENET_MEAN, IMAGENET_STD
    from seg_edge.runtime.sensors import OtherLoad
    from seg_edge.train.losses import SegmentationLoss
    from seg_edge.train.memory import keep_freed_memory
    from seg_edge.train.models.registry import build

    if keep and not keep_freed_memory():
        raise SystemExit("train_step: this C library takes no such settings (glibc only); nothing to compare")
    torch.manual_seed(0)
    net = build(model, CLASSES).to(memory_format=torch.channels_last).train()
    loss = SegmentationLoss(torch.ones(CLASSES), ignore_index=CLASSES)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    images = torch.randint(0, 256, (batch, 3, *size_hw), dtype=torch.uint8)
    masks = torch.randint(0, CLASSES, (batch, size_hw[0] // 16, size_hw[1] // 16), dtype=torch.uint8)
    masks = masks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    times_ms, load = [], OtherLoad()
    for step in range(WARMUP + steps):
        if step == WARMUP:
            load.start()
        started = perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            normalized = ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)
            value = loss(net(normalized), masks)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        times_ms.append(1e3 * (perf_counter() - started))
    load.stop()
    return {
        "times_ms": times_ms[WARMUP:],
        "other_cores": load.cores,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def child(side: str, options: list[str]) -> dict[str, Any]:
    """Runs one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"train_step: the process of side {side} failed with status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet-s")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--imgsz", default="352x480")
    parser.add_argument("--steps", type=int, default=10, help="counted steps of one process")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "train_step.json")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(args.batch, args.steps, args.pairs) < 1:
        parser.error("--batch, --steps and --pairs must be at least 1")

    from seg_edge.cli.common import parse_size
    from seg_edge.core.artifact import write_json
    from seg_edge.runtime.machine import machine, packages

    size_hw = parse_size(args.imgsz)
    assert size_hw is not None
    if args.side:
        print(json.dumps(measure(args.model, args.batch, size_hw, args.steps, args.precision, args.side == "keep")))
        return
    options = [
        "--model", args.model, "--batch", str(args.batch), "--imgsz", args.imgsz, "--steps", str(args.steps),
        "--precision", args.precision,
    ]  # fmt: skip
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    about: dict[str, Any] = {}
    others: list[float] = []
    for pair in range(args.pairs):
        # Each side is first in half of the pairs: a machine that gets hotter or busier must not favour one.
        for side in SIDES if pair % 2 == 0 else reversed(SIDES):
            about = child(side, options)
            medians[side].append(statistics.median(about["times_ms"]))
            others.append(about["other_cores"] or 0.0)
            print(
                f"pair {pair + 1}, {side}: {medians[side][-1]:.0f} ms a step, others used {others[-1]:.1f} cores", flush=True
            )
    ratios = [a / b for a, b in zip(medians["default"], medians["keep"], strict=True)]
    result = {
        "command": "python benchmarks/train_step.py",
        "machine": machine() | {"packages": packages()},
        "model": args.model, "batch": args.batch, "imgsz": list(size_hw), "precision": args.precision,
        "threads": about["threads"], "torch": about["torch"], "steps": args.steps, "pairs": args.pairs,
        "other_cores": others,
        "step_ms": {side: {"median": statistics.median(values), "processes": values} for side, values in medians.items()},
        "default_over_keep": {"median": statistics.median(ratios), "pairs": ratios},
    }  # fmt: skip
    write_json(args.json, result)
    print(f"keeping freed memory makes a step {statistics.median(ratios):.2f} times faster")


if __name__ == "__main__":
    main()
