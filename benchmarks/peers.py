"""A video file to overlays, ours against what people write and use; writes benchmarks/results/peers.json.

    python benchmarks/peers.py --model ARTEFACT [--data FOLDER | --video FILE] [--ultralytics-python PYTHON] [--json FILE]

Sides, on the same 1280x720 video file, at the same network size and with as many threads each, taking turns:

- ours: what `seg-edge run` does with a file: a video source, Segmenter and Pipeline, with a sink that takes overlays and
  drops them; the artefact's INT8 file on --engine auto.
- ours, pruned: the same with --small, the package's own model: `unet-s` pruned to 55 % of its MACs (results/pruned.json has
  what that costs on CamVid's val split). It has no limit: what it computes is less than the plain loop's network.
- plain loop: cv2.VideoCapture, cv2.dnn.blobFromImage, ONNX Runtime on the artefact's fp32 network (cut behind the
  normalization, so that it takes floats), cv2.resize of the logits, argmax, palette, cv2.addWeighted. Of two layouts of
  the logits the faster one is taken.
- ultralytics: predict(stream=True) and plot() with yolo26n-sem, frames padded to the same size; beside it, without a
  limit, with the smaller padding that is its default. Its weights are in no package index: without
  --ultralytics-model FILE.pt it is built from its YAML with our number of classes, untrained. That computes the same, and
  its masks are no harder to paint.

A block lasts from the first overlay to the last one, so nobody pays for opening. A round gives each side one block; a ratio
is that of a round, the figure is the median over the rounds, its interval holds it with 95 % (order statistics). In the same
rounds our engine alone and frame in memory to overlay in memory are measured, as seg-edge bench does.

Limits, status 1 if one breaks: ours at least 8 times the plain loop's rate, 5 times ultralytics'; frame to overlay at most
1.3 times engine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from time import sleep
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from plain_loop import PlainLoop, rate

from seg_edge.core.artefact import onnx_name, write_json
from seg_edge.core.cpu import resolve_threads
from seg_edge.core.errors import SegEdgeError
from seg_edge.core.metrics import agreement
from seg_edge.core.shipped import DEFAULT
from seg_edge.core.spec import ModelSpec
from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.benchmark.configuration import Configuration
from seg_edge.measure.benchmark.turns import Share
from seg_edge.measure.instruments.sensors import QUIET_CORES, OtherLoad
from seg_edge.measure.workload.frames import dataset_frames, generated_frames
from seg_edge.runtime import Pipeline, Segmenter, open_sink, open_source
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.machine.system import machine, packages
from seg_edge.runtime.pipeline.stats import median_interval

Array = npt.NDArray[Any]
Block = Callable[[float], float]
SMALL = "ours, pruned"
OURS = ("ours", SMALL)

FRAME_HW = (720, 1280)
#: Frames of the generated video that show one image.
SHOT = 30
#: A plain loop's mask is that of another resize and of fp32; below this share of equal pixels one of both sides is wrong.
MIN_AGREEMENT = 0.95
MIN_OVER_LOOP, MIN_OVER_ULTRALYTICS, MAX_OVER_ENGINE = 8.0, 5.0, 1.3
#: Pause before a block: threads of the side before go on spinning, ONNX Runtime's for 40 ms, OpenMP's for 200 ms.
SETTLE_S = 0.3


class Ultralytics:
    """The process of ``ultralytics_side.py``."""

    def __init__(self, python: str, model: str, video: Path, spec: ModelSpec, threads: int) -> None:
        script = Path(__file__).with_name("ultralytics_side.py")
        height, width = spec.input_hw
        words = ["--video", str(video), "--imgsz", f"{height}x{width}", "--classes", str(len(spec.labels))]
        words += ["--threads", str(threads), "--model", model]
        self._process = subprocess.Popen(
            [python, str(script), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.about = self._answer()

    def block(self, rect: bool, seconds: float) -> float:
        assert self._process.stdin is not None
        print(int(rect), seconds, file=self._process.stdin, flush=True)
        done = self._answer()
        return rate(done["frames"], done["seconds"])

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.communicate()[1].strip().splitlines()
            raise SystemExit(
                f"peers: the ultralytics side ended: {said[-1] if said else 'it said nothing'}; pip install ultralytics "
                "into a virtual environment and pass its Python as --ultralytics-python; none leaves that side out"
            )
        return dict(json.loads(line))


def write_video(path: Path, frames: list[Array], count: int) -> None:
    """A camera that drives into each frame for a second, MPEG-4: OpenCV writes it without help.

    Frames that have nothing to do with each other would be no video: decoding them takes twice as long.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, FRAME_HW[::-1])
    if not writer.isOpened():
        raise SystemExit("peers: this OpenCV can't write an MPEG-4 video; pass one as --video FILE")
    height, width = FRAME_HW
    for i in range(count):
        at, step = divmod(i, SHOT)
        zoom = 1 + 0.1 * step / SHOT
        onto = np.array([[zoom, 0, (1 - zoom) * width / 2], [0, zoom, (1 - zoom) * height / 2]], np.float32)
        writer.write(np.asarray(cv2.warpAffine(frames[at % len(frames)], onto, (width, height)), np.uint8))
    writer.release()


def ours(segmenter: Segmenter, video: Path, seconds: float, profile: list[dict[str, Any]]) -> float:
    """One run of the pipeline; its stages go into ``profile``."""
    with open_source(str(video)) as source, open_sink("none", source.fps) as sink:
        stats = Pipeline(source, segmenter, [sink], duration_s=seconds).run()
    profile.append({stage: values["p50"] for stage, values in stats["stages_ms"].items()})
    return float(stats["fps"] or 0.0)


def every_frames(video: Path, step: int, count: int) -> list[Array]:
    """Every ``step``-th frame, at most ``count``."""
    with open_source(str(video)) as source:
        return [np.ascontiguousarray(frame.image_bgr) for frame in islice(source, 0, step * count, step)]


def summary(values: list[float]) -> dict[str, Any]:
    return {"median": median(values), "interval": median_interval(values), "rounds": values}


def gate(name: str, found: dict[str, Any] | None, limit: float, at_least: bool) -> dict[str, Any]:
    value = found and found["median"]
    passed = value is not None and (value >= limit if at_least else value <= limit)
    return {"name": name, "limit": limit, "value": value, "interval": found and found["interval"], "passed": passed}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="artefact folder with model.int8.onnx and model.fp32.onnx")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SEG_EDGE_CAMVID", "../shared/data/camvid")))
    parser.add_argument("--split", default="val")
    parser.add_argument("--video", type=Path, help="a 1280x720 video instead of one made of the dataset's images")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, help="of every side; default: every core")
    parser.add_argument("--small", type=Path, default=Path(DEFAULT), help="artefact of the pruned side")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--block", type=float, default=3.0, help="seconds of each side in a round")
    parser.add_argument("--ultralytics-python", default=sys.executable, help="one that has ultralytics; none leaves it out")
    parser.add_argument("--ultralytics-model", default="yolo26n-sem.yaml", help="its YAML, or a file of weights")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "peers.json")
    args = parser.parse_args()
    if args.rounds < 6 or args.block <= 0:
        parser.error("--rounds must be at least 6 (below there is no interval), --block above 0")
    return args


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    threads = resolve_threads(args.threads)
    cv2.setNumThreads(threads)
    video, made = args.video, "given"
    if video is None:
        have = args.data.is_dir()
        frames = dataset_frames(open_dataset(args.data, args.split), FRAME_HW, 14) if have else generated_frames(FRAME_HW)
        kind = f"images of {args.data.name}" if have else "generated street scenes"
        made = f"{len(frames)} {kind}, a slow zoom of {SHOT} frames into each, MPEG-4 by OpenCV"
        write_video(video := folder / "video.mp4", frames, SHOT * len(frames))
    frames = every_frames(video, SHOT, 8)
    if not frames or frames[0].shape[:2] != FRAME_HW:
        raise SystemExit(f"peers: {video}: expected a video of {FRAME_HW[1]}x{FRAME_HW[0]}")

    segmenter = Segmenter(args.model / onnx_name("int8"), engine=args.engine, threads=threads, throughput=True)
    small = Segmenter(args.small, engine=args.engine, threads=threads, throughput=True)
    loop = PlainLoop(args.model / onnx_name("fp32"), threads, folder)
    layout = loop.choose(frames[0])
    equal = [agreement(segmenter(frame), loop.process(frame)[0]) for frame in frames]
    configuration = Configuration(args.model / onnx_name("int8"), segmenter.engine.name, threads)
    configuration.open(frames)
    if configuration.failed is not None:
        raise SystemExit(f"peers: {configuration.failed}")
    profile: list[dict[str, Any]] = []
    sides: dict[str, Block] = {
        "ours": lambda seconds: ours(segmenter, video, seconds, profile),
        SMALL: lambda seconds: ours(small, video, seconds, []),
        "plain loop": lambda seconds: loop.block(video, seconds),
    }
    peer = None
    if args.ultralytics_python != "none":
        peer = Ultralytics(args.ultralytics_python, args.ultralytics_model, video, segmenter.spec, threads)
        sides["ultralytics"] = lambda seconds: peer.block(False, seconds)
        sides["ultralytics, its default padding"] = lambda seconds: peer.block(True, seconds)

    fps: dict[str, list[float]] = {side: [] for side in sides}
    load = OtherLoad()  # during our own blocks: while the second process works, it counts as another one
    for turn in range(args.rounds + 1):  # the first one warms up
        for side in [*sides] if turn % 2 else [*sides][::-1]:
            sleep(SETTLE_S)
            if side == "ours" and turn:
                load.start()
            value = sides[side](args.block if turn else min(args.block, 1.0))
            if turn:
                fps[side].append(value)
                load.stop()
        if turn:
            configuration.turn(Share(seconds=min(args.block / 3, 1.0)), engine_first=turn % 2 == 0)
        rates = ", ".join(f"{side} {values[-1]:.1f}" for side, values in fps.items() if values)
        print(f"round {turn} of {args.rounds}: {rates or 'warm-up'}", flush=True)
    over = {
        mine: {
            side: summary([a / b for a, b in zip(fps[mine], fps[side], strict=True)]) for side in sides if side not in OURS
        }
        for mine in OURS
    }
    engine_ms, whole_ms = configuration.figures.turns["engine_ms"], configuration.figures.turns["e2e_ms"]
    whole = summary([b / a for a, b in zip(engine_ms, whole_ms, strict=True)])
    if peer is not None:
        peer.close()
    configuration.close()
    segmenter.close()
    small.close()
    return {
        "video": {"made_of": made, "frame": list(FRAME_HW)},
        "ours": {
            "model": segmenter.spec.name,
            "precision": "int8",
            "engine": segmenter.engine.name,
            "why": segmenter.engine.why,
        },
        "plain_loop": {"precision": "fp32", "engine": "onnxruntime", "post_processing": layout},
        "ultralytics": peer and peer.about,
        "imgsz": list(segmenter.spec.input_hw),
        "threads": threads,
        "rounds": args.rounds,
        "block_s": args.block,
        "equal_pixels": {"mean": float(np.mean(equal)), "lowest": min(equal)},
        "fps": {side: summary(values) for side, values in fps.items()},
        "our_stages_ms": {stage: median(one[stage] for one in profile[1:]) for stage in profile[-1]},
        "ours_over": over["ours"],
        "pruned": {"model": args.small.name, "macs": small.spec.provenance.get("macs"), "over": over[SMALL]},
        "engine_ms": summary(engine_ms),
        "frame_to_overlay_ms": summary(whole_ms),
        "frame_to_overlay_over_engine": whole,
        "other_cores": load.cores,
    }


def main() -> int:
    args = options()
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        result = measure(args, Path(folder))
    over = result["ours_over"]
    gates = [
        gate("ours ÷ plain loop, FPS", over["plain loop"], MIN_OVER_LOOP, True),
        gate("ours ÷ ultralytics at the same size, FPS", over.get("ultralytics"), MIN_OVER_ULTRALYTICS, True),
        gate("frame to overlay ÷ engine alone", result["frame_to_overlay_over_engine"], MAX_OVER_ENGINE, False),
    ]
    lowest = result["equal_pixels"]["lowest"]
    what = "equal mask pixels, ours and the plain loop's, lowest"
    gates.append(
        {"name": what, "limit": MIN_AGREEMENT, "value": lowest, "interval": None, "passed": lowest >= MIN_AGREEMENT}
    )
    busy = result["other_cores"]
    warning = None
    if busy is None or busy > QUIET_CORES:
        warning = (
            "the load by others is not known" if busy is None else f"other processes kept {busy:.1f} cores busy: no result"
        )
    about = machine() | {"isa": kernels.isa(), "packages": packages(), "opencv_threads": cv2.getNumThreads()}
    write_json(
        args.json,
        {
            "command": "python benchmarks/peers.py --model ARTEFACT",
            "machine": about,
            **result,
            "gates": gates,
            "warning": warning,
        },
    )
    for side, found in result["fps"].items():
        print(f"{side}: {found['median']:.1f} FPS {found['interval']}")
    print(f"our stages, medians in ms: {result['our_stages_ms']}")
    for one in gates:
        said = "passed" if one["passed"] else "FAILED"
        print(f"{said}: {one['name']}: {one['value']} {one['interval']} (limit {one['limit']})")
    if warning:
        print(f"warning: {warning}")
    return 0 if all(one["passed"] for one in gates) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SegEdgeError as error:
        sys.exit(f"peers: {error}")
