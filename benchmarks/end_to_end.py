"""The whole way against its parts on 1280x720 frames; writes benchmarks/results/end_to_end.json, status 1 = a limit broke.

    python benchmarks/end_to_end.py --model ARTEFACT [--data FOLDER] [--duration 20] [--rounds 25] [--json FILE]

1. End to end ÷ engine alone, OpenVINO and ONNX Runtime, 1 and 2 threads, every precision of the artefact, measured by
   seg-edge bench. Limit: at most 1.6 for fp32 on OpenVINO with 2 threads.
2. Our post-processing (logits to mask and overlay) ÷ what it usually is: cv2.resize of the logits, argmax, palette,
   cv2.addWeighted. Of two layouts of the usual one the faster counts; OpenCV may use all cores, our kernel uses two, and
   beside it one. All take turns, frame by frame, so that none finds its frame in a cache. Limits: 40 times faster and at
   most 0.6 ms on two threads, and 99.9 % of the mask's pixels the same.

Frames are those of the dataset's val split (SEG_EDGE_CAMVID, default ../shared/data/camvid), stretched to 1280x720.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from seg_edge.core.artefact import write_json
from seg_edge.core.errors import SegEdgeError
from seg_edge.core.metrics import agreement
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.benchmark.finding import find_models
from seg_edge.measure.benchmark.outcome import load_warning
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.measure.workload.frames import dataset_frames
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame import kernels

Array = npt.NDArray[Any]

FRAME_HW = (720, 1280)
ENGINES, THREADS = ("openvino", "onnxruntime"), (1, 2)
ALPHA = 0.5
MAX_RATIO, MIN_SPEEDUP, MAX_POST_MS, MIN_AGREEMENT = 1.6, 40.0, 0.6, 0.999


def usual_interleaved(logits: Array, frame: Array, palette: Array) -> tuple[Array, Array]:
    """Logits as one image of C channels: one resize, argmax over the last axis."""
    full = cv2.resize(np.ascontiguousarray(logits.transpose(1, 2, 0)), FRAME_HW[::-1], interpolation=cv2.INTER_LINEAR)
    return paint(full.argmax(2).astype(np.uint8), frame, palette)


def usual_planes(logits: Array, frame: Array, palette: Array) -> tuple[Array, Array]:
    """Logits as C images: one resize each, argmax over the first axis."""
    full = np.stack([cv2.resize(plane, FRAME_HW[::-1], interpolation=cv2.INTER_LINEAR) for plane in logits])
    return paint(full.argmax(0).astype(np.uint8), frame, palette)


def paint(mask: Array, frame: Array, palette: Array) -> tuple[Array, Array]:
    return mask, cv2.addWeighted(frame, 1 - ALPHA, palette[mask], ALPHA, 0)


def timed(work: Callable[[], tuple[Array, Array]]) -> tuple[float, tuple[Array, Array]]:
    """Milliseconds, and what was made."""
    started = perf_counter()
    made = work()
    return 1e3 * (perf_counter() - started), made


def post_processing(model: Path, frames: list[Array], rounds: int) -> dict[str, Any]:
    """Ours against the usual way, on the network's own logits of the frames."""
    with Segmenter(model, engine="auto") as segmenter:
        every = [segmenter.logits(frame) for frame in frames]
        palette = segmenter.labels.palette_bgr
        name = segmenter.spec.precision
    overlay, mask = np.empty((*FRAME_HW, 3), np.uint8), np.empty(FRAME_HW, np.uint8)

    def ours(logits: Array, frame: Array, palette: Array, threads: int = 2) -> tuple[Array, Array]:
        kernels.upsample_overlay(logits, frame, palette, ALPHA, out=overlay, mask_out=mask, threads=threads)
        return mask, overlay

    sides = {
        "ours": ours, "ours_1_thread": partial(ours, threads=1),
        "usual_interleaved": usual_interleaved, "usual_planes": usual_planes,
    }  # fmt: skip
    times: dict[str, list[float]] = {side: [] for side in sides}
    equal, differences = [], []
    for turn in range(rounds + 1):  # the first round warms up
        for logits, frame in zip(every, frames, strict=True):
            made = {}
            for side in sides if turn % 2 else reversed(sides):
                spent_ms, made[side] = timed(lambda work=sides[side], a=logits, b=frame: work(a, b, palette))
                if turn:
                    times[side].append(spent_ms)
            if not turn:
                equal.append(agreement(made["ours"][0], made["usual_interleaved"][0]))
                same = made["ours"][0] == made["usual_interleaved"][0]
                apart = np.abs(made["ours"][1].astype(int) - made["usual_interleaved"][1].astype(int))
                differences.append(int(apart[same].max()))
    medians = {side: float(np.median(values)) for side, values in times.items()}
    usual = min(medians["usual_interleaved"], medians["usual_planes"])
    return {
        "precision": name,
        "frames": len(frames),
        "runs": len(times["ours"]),
        "median_ms": medians,
        "usual_over_ours": usual / medians["ours"],
        "equal_pixels": {"mean": float(np.mean(equal)), "lowest": min(equal)},
        "overlay_max_difference": max(differences),
    }


def gate(name: str, value: float | None, limit: float, passed: bool) -> dict[str, Any]:
    return {"name": name, "limit": limit, "value": value, "passed": passed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="artefact folder or ONNX file")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--split", default="val")
    parser.add_argument("--duration", type=float, default=20.0, help="seconds per configuration")
    parser.add_argument("--rounds", type=int, default=25, help="rounds over the frames in the second part")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "end_to_end.json")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be at least 1")

    frames = dataset_frames(open_dataset(args.data, args.split), FRAME_HW)
    report = bench(
        [args.model],
        BenchOptions(
            engines=ENGINES,
            threads=THREADS,
            frame_hw=FRAME_HW,
            duration_s=args.duration,
            data=args.data,
            split=args.split,
        ),
    )
    rows = [
        row | {"file": Path(row["file"]).name, "e2e_over_engine": ratio(row)}
        for row in report["rows"]
    ]  # fmt: skip
    post = [post_processing(file, frames, args.rounds) for file in find_models([args.model])]

    judged = next((r for r in rows if (r["precision"], r["engine"], r["threads"]) == ("fp32", "openvino", 2)), None)
    value = judged and judged["e2e_over_engine"]
    speedup = min(part["usual_over_ours"] for part in post)
    slowest = max(part["median_ms"]["ours"] for part in post)
    equal = min(part["equal_pixels"]["lowest"] for part in post)
    gates = [
        gate("e2e ÷ engine, fp32, openvino, 2 threads", value, MAX_RATIO, value is not None and value <= MAX_RATIO),
        gate("usual post-processing ÷ ours", speedup, MIN_SPEEDUP, speedup >= MIN_SPEEDUP),
        gate("our post-processing, ms", slowest, MAX_POST_MS, slowest <= MAX_POST_MS),
        gate("equal mask pixels, lowest of all frames", equal, MIN_AGREEMENT, equal >= MIN_AGREEMENT),
    ]
    warning = load_warning(report)
    command = "python benchmarks/end_to_end.py --model ARTEFACT"
    write_json(
        args.json,
        {
            "command": command, "machine": report["machine"] | {"opencv_threads": cv2.getNumThreads()}, "rows": rows,
            "post_processing": post, "gates": gates, "warning": warning,
        },
    )  # fmt: skip
    for row in rows:
        times = f"engine {row['engine_ms']['p50']} ms, end to end {row['e2e_ms']['p50']} ms"
        print(f"{row['precision']} {row['engine']}, {row['threads']} threads: {times}")
    for part in post:
        print(f"{part['precision']}: post-processing, medians in ms: {part['median_ms']}")
    for one in gates:
        print(f"{'passed' if one['passed'] else 'FAILED'}: {one['name']}: {one['value']} (limit {one['limit']})")
    if warning:
        print(f"warning: {warning}")
    return 0 if all(one["passed"] for one in gates) else 1


def ratio(row: dict[str, Any]) -> float | None:
    engine, whole = row["engine_ms"]["p50"], row["e2e_ms"]["p50"]
    return whole / engine if engine and whole else None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SegEdgeError as error:
        sys.exit(f"end_to_end: {error}")
