"""What makes a training step on a CPU faster: freed memory kept (``seg_edge.train.cpu.memory``), then kernels' gradients as
matrix products (``seg_edge.train.cpu.weight_gradient``), or in bf16 depthwise convolutions' gradients in fp32
(``seg_edge.train.cpu.depthwise``).

    python benchmarks/train_step.py [--precision fp32] [--size 352x480] [--batch 8] [--threads 1] [--rounds 3] [--json FILE]

One process for each side and network, the sides in turns. A step: forward, cross entropy, backward, AdamW.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch.nn import functional as F

from seg_edge.core.artefact import write_json
from seg_edge.runtime.machine.system import machine
from seg_edge.train.cpu.depthwise import use_fp32_gradients
from seg_edge.train.cpu.memory import keep_freed_memory
from seg_edge.train.cpu.weight_gradient import use_matrix_products
from seg_edge.train.models.catalog import build

#: Of each precision; each side has what those before it have.
SIDES = {"fp32": ("plain", "kept", "products"), "bf16": ("plain", "kept", "fp32_gradients")}
NETWORKS, STEPS, CLASSES = ("unet-s", "unet-lite0"), 6, 11


def side(network: str, which: str, size_hw: tuple[int, int], batch: int, threads: int, half: bool) -> dict[str, float]:
    """Median milliseconds per image, and the process's peak memory, MiB."""
    if which != "plain" and not keep_freed_memory():
        sys.exit("train_step: this C library is not glibc")
    torch.set_num_threads(threads)
    net = build(network, CLASSES, None).to(memory_format=torch.channels_last).train()
    if which == "products":
        use_matrix_products(net)
    if which == "fp32_gradients":
        use_fp32_gradients(net)
    images = torch.randn(batch, 3, *size_hw).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (batch, *size_hw))
    optimizer = torch.optim.AdamW(net.parameters())
    times = []
    for _ in range(2 + STEPS):  # two to warm up
        began = perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits = net(images)
        F.cross_entropy(F.interpolate(logits.float(), size=size_hw, mode="bilinear"), labels).backward()
        optimizer.step()
        times.append(1e3 * (perf_counter() - began) / batch)
    return {"ms_per_image": median(times[2:]), "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=SIDES, default="fp32")
    parser.add_argument("--size", default="352x480")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="default: results/train_step.json, results/train_step_bf16.json")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", nargs=2, metavar=("NETWORK", "SIDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        height, width = map(int, options.size.split("x"))
        half = options.precision == "bf16"
        print(json.dumps(side(*options.side, (height, width), options.batch, options.threads, half)))
        return
    sides = SIDES[options.precision]
    given = ["--precision", options.precision, "--size", options.size]
    given += ["--batch", str(options.batch), "--threads", str(options.threads)]
    rows: list[dict[str, object]] = []
    for network in NETWORKS:
        runs: dict[str, list[dict[str, float]]] = {which: [] for which in sides}
        for _ in range(options.rounds):
            for which in sides:
                words = [__file__, *given, "--side", network, which]
                done = subprocess.run(
                    [sys.executable, *words], check=True, stdout=subprocess.PIPE,
                    env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
                )  # fmt: skip
                runs[which].append(json.loads(done.stdout))
        found = {which: {key: median(run[key] for run in each) for key in each[0]} for which, each in runs.items()}
        shares = {which: each["ms_per_image"] / found["plain"]["ms_per_image"] for which, each in found.items()}
        rows.append({"model": network, **found, "of_plain": shares, "runs": runs})
        print(f"{network}: {found}, of plain {shares}", flush=True)
    command = f"python benchmarks/train_step.py {' '.join(given)} --rounds {options.rounds}"
    out = options.json
    if out is None:
        name = "train_step.json" if options.precision == "fp32" else "train_step_bf16.json"
        out = Path(__file__).parent / "results" / name
    write_json(out, {"command": command, "machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
