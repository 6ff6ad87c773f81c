"""Times the C kernels against OpenCV and NumPy on a 1280x720 frame; writes benchmarks/results/kernels.json.

Both sides have one thread, but for the side "2 threads".

    python benchmarks/kernels.py [--rounds 60] [--json FILE]

Sides take turns within a round, so that both see the same load; the figures are medians over the rounds. "street" logits are
one-hot maps of a CamVid label (SEG_EDGE_CAMVID, default ../shared/data/camvid; without it a generated label), averaged at
stride 4 and blurred as a network's are; "noise" logits are the worst case: hardly any cell has corners that agree.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_edge.core.artefact import write_json
from seg_edge.core.labels import CAMVID
from seg_edge.core.metrics import agreement
from seg_edge.datasets.dataset import read_mask
from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels

FRAME_HW, INPUT_HW, STRIDE, ALPHA = (720, 1280), (352, 480), 4, 0.5
CLASSES = len(CAMVID)
Array = npt.NDArray[Any]


def street_label() -> tuple[Array, str]:
    """A label image at INPUT_HW and where it comes from."""
    folder = Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")) / "labels" / "val"
    files = sorted(folder.glob("*.png"))
    if files:
        mask = read_mask(files[len(files) // 2])
        return cv2.resize(mask, INPUT_HW[::-1], interpolation=cv2.INTER_NEAREST), f"CamVid val {files[len(files) // 2].stem}"
    # Large areas of few classes with curved borders: the class of the nearest of 60 random points.
    rng = np.random.default_rng(0)
    points, classes = rng.random((60, 2)) * INPUT_HW, rng.integers(0, CLASSES, 60)
    grid = np.stack(np.mgrid[: INPUT_HW[0], : INPUT_HW[1]], -1)
    nearest = ((grid[:, :, None] - points) ** 2).sum(-1).argmin(-1)
    return classes[nearest].astype(np.uint8), "generated"


def street_logits(label: Array) -> Array:
    """float32 (CLASSES, h, w) at STRIDE."""
    one_hot = (label == np.arange(CLASSES)[:, None, None]).astype(np.float32)
    blurred = [cv2.GaussianBlur(plane, (0, 0), STRIDE) for plane in one_hot]
    small = [cv2.resize(plane, None, fx=1 / STRIDE, fy=1 / STRIDE, interpolation=cv2.INTER_AREA) for plane in blurred]
    noise = np.random.default_rng(1).normal(0, 0.2, (CLASSES, *small[0].shape))
    return np.ascontiguousarray(10 * np.stack(small) + noise, np.float32)


def usual_overlay(logits: Array, frame: Array, palette: Array) -> tuple[Array, Array]:
    """What post-processing usually is: logits to the frame's size, argmax, colours by indexing, addWeighted."""
    full = cv2.resize(np.ascontiguousarray(logits.transpose(1, 2, 0)), FRAME_HW[::-1], interpolation=cv2.INTER_LINEAR)
    mask = full.argmax(2).astype(np.uint8)
    return cv2.addWeighted(palette[mask], ALPHA, frame, 1 - ALPHA, 0), mask


def boundary_share(logits: Array) -> float:
    """Share of cells whose corners disagree on the highest class."""
    top = logits.argmax(0)
    first = top[:-1, :-1]
    return float(1 - np.mean((first == top[1:, :-1]) & (first == top[:-1, 1:]) & (first == top[1:, 1:])))


def medians_ms(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median time of each side, milliseconds; every round runs each side once."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 3):
        for name, function in sides.items():
            start = time.perf_counter()
            function()
            if i >= 3:  # the first rounds fetch pages and caches
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: round(float(np.median(values)), 4) for name, values in times.items()}


def cases() -> tuple[dict[str, dict[str, Callable[[], object]]], dict[str, Any]]:
    """Per operation its sides (instruction sets and the usual way), and facts about the inputs."""
    rng = np.random.default_rng(2)
    frame = cv2.GaussianBlur(rng.integers(0, 256, (*FRAME_HW, 3), dtype=np.uint8), (0, 0), 2)
    palette = CAMVID.palette_bgr
    label, source = street_label()
    inputs = {"street": street_logits(label)}
    inputs["noise"] = np.ascontiguousarray(rng.normal(size=inputs["street"].shape), np.float32)
    small, overlay = np.empty((*INPUT_HW, 3), np.uint8), np.empty_like(frame)
    mask_out = np.empty(FRAME_HW, np.uint8)

    table: dict[str, dict[str, Callable[[], object]]] = {}
    for rule, flag in (("area", cv2.INTER_AREA), ("bilinear", cv2.INTER_LINEAR)):
        table[f"resize {rule}"] = {
            isa: lambda rule=rule, isa=isa: _kernels.resize(frame, small, rule, isa, 1) for isa in kernels.available_isas()
        } | {"usual": lambda flag=flag: cv2.resize(frame, INPUT_HW[::-1], dst=small, interpolation=flag)}
    facts: dict[str, Any] = {"label": source}
    variants = {
        "": lambda logits, isa, threads: _kernels.upsample_overlay(
            logits, frame, palette, ALPHA, overlay, None, isa, threads
        ),
        " and mask": lambda logits, isa, threads: _kernels.upsample_overlay(
            logits, frame, palette, ALPHA, overlay, mask_out, isa, threads
        ),
        " mask only": lambda logits, isa, threads: _kernels.upsample_argmax(logits, mask_out, isa, threads),
        " opacity per class": lambda logits, isa, threads: _kernels.upsample_overlay(
            logits, frame, palette, opacities, overlay, None, isa, threads
        ),
        " contours": lambda logits, isa, threads: _kernels.upsample_overlay(
            logits, frame, palette, ALPHA, overlay, None, isa, threads, palette, 1.0
        ),
    }
    opacities = np.linspace(50, 200, CLASSES).astype(np.uint16)
    codes = np.clip(np.rint(inputs["street"] * 12), -128, 127).astype(np.int8)
    runs = [("street", inputs["street"], variant) for variant in variants] + [("noise", inputs["noise"], "")]
    runs += [("street fp16", inputs["street"].astype(np.float16), ""), ("street int8", codes, "")]
    for name, logits, variant in runs:
        sides: dict[str, Callable[[], object]] = {
            isa: lambda logits=logits, call=variants[variant], isa=isa: call(logits, isa, 1)
            for isa in kernels.available_isas()
        }
        sides["2 threads"] = lambda logits=logits, call=variants[variant]: call(logits, None, 2)
        if not variant:
            sides["usual"] = lambda logits=logits: usual_overlay(logits.astype(np.float32), frame, palette)
        table[f"upsample_overlay {name}{variant}"] = sides
    for name, logits in inputs.items():
        usual_mask = usual_overlay(logits, frame, palette)[1]
        facts[f"mask agreement {name}"] = agreement(kernels.upsample_argmax(logits, FRAME_HW, mask_out), usual_mask)
        facts[f"boundary cells {name}"] = round(boundary_share(logits), 4)
    mask = kernels.upsample_argmax(inputs["street"], FRAME_HW)
    table["blend street"] = {
        isa: lambda isa=isa: _kernels.blend(mask, frame, palette, ALPHA, overlay, isa, 1) for isa in kernels.available_isas()
    } | {"usual": lambda: cv2.addWeighted(palette[mask], ALPHA, frame, 1 - ALPHA, 0, dst=overlay)}
    return table, facts


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the C kernels against OpenCV and NumPy.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "kernels.json")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    table, facts = cases()
    rows = []
    for name, sides in table.items():
        times = medians_ms(sides, options.rounds)
        best = times[kernels.available_isas()[-1]]
        rows.append(
            {"operation": name, "p50_ms": times, "speedup": round(times["usual"] / best, 2) if "usual" in times else None}
        )
        print(
            f"{name:40}",
            *(f"{side} {value:8.3f} ms " for side, value in times.items()),
            f"x{rows[-1]['speedup']}" if "usual" in times else "",
        )
    machine = {"cpu": cpu_name(), "cores": os.cpu_count(), "opencv": cv2.__version__, "numpy": np.__version__, "threads": 1}
    setup = {"frame_hw": FRAME_HW, "input_hw": INPUT_HW, "logits_chw": [CLASSES, *(side // STRIDE for side in INPUT_HW)]}
    command = "python benchmarks/kernels.py"
    write_json(
        options.json,
        {"command": command, "machine": machine, "setup": setup | {"rounds": options.rounds}, "inputs": facts, "rows": rows},
    )
    for key, value in facts.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
