"""Flicker and mIoU of temporal smoothing, on generated videos with sensor noise whose true classes are known. Writes JSON.

    python benchmarks/flicker.py [--model MODEL] [--frames 60] [--noise 4] [--json FILE]

Two videos of a street of `seg-edge data synth`: a fixed camera past which a car drives, and a camera that pans. Flicker is
the share of pixels whose class changes though the true one does not. It exits with 3 if adaptive smoothing leaves more than
half of the fixed camera's flicker, or loses mIoU there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.datasets import open_dataset, synthesize
from seg_edge.datasets.synth.options import SynthOptions
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.temporal import FlickerMeter, make_smoother
from seg_edge.runtime.instances import components
from seg_edge.runtime.machine.system import machine

SIZE = (720, 1280)
VOID = 255
METHODS: tuple[float | str | None, ...] = (None, 0.5, 0.3, 0.15, "adaptive")
Pair = tuple[Any, Any]


def streets(folder: Path, names: tuple[str, ...]) -> list[Pair]:
    """Images, int16, and labels in a model's numbers, of frame size."""
    data = synthesize(folder, SynthOptions(train=12, val=1, size_hw=(360, 480), seed=5)).data
    labels = open_dataset(data, "train").labels
    numbers = np.full(256, VOID, np.uint8)
    for number, name in enumerate(labels.names):
        if name in names:
            numbers[number] = names.index(name)
    made = []
    for file in sorted((Path(data) / "images" / "train").iterdir()):
        image = cv2.imread(str(file))
        mask = cv2.imread(str(Path(data) / "labels" / "train" / f"{file.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert mask is not None
        large = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.int16)
        made.append((large, cv2.resize(numbers[mask], SIZE[::-1], interpolation=cv2.INTER_NEAREST)))
    return made


def car_of(pairs: list[Pair], number: int) -> tuple[Any, Any]:
    """The largest car below a tenth of the frame: its pixels, and which of them are the car's."""
    best: tuple[int, Any, Any] | None = None
    for image, mask in pairs:
        found = components(mask, number)
        for index in range(len(found)):
            area = int(found.area[index])
            if area < 0.1 * mask.size and (best is None or area > best[0]):
                left, top, right, bottom = found.boxes[index]
                best = area, image[top:bottom, left:right], found.mask(index)[top:bottom, left:right]
    if best is None:
        raise SystemExit("flicker.py: there is no car in the generated streets")
    return best[1], best[2]


def video(kind: str, pairs: list[Pair], car: tuple[Any, Any], number: int, count: int, noise: float) -> Iterator[Pair]:
    """Frames, uint8, and their true classes."""
    chance = np.random.default_rng(0)
    image, mask = pairs[0]
    for step in range(count):
        scene, truth = image.copy(), mask.copy()
        if kind == "fixed":
            pixels, inside = car
            x, y = round(step / count * (SIZE[1] - pixels.shape[1])), min(390, SIZE[0] - pixels.shape[0])
            scene[y : y + pixels.shape[0], x : x + pixels.shape[1]][inside] = pixels[inside]
            truth[y : y + pixels.shape[0], x : x + pixels.shape[1]][inside] = number
        else:
            scene, truth = np.roll(scene, -4 * step, 1), np.roll(truth, -4 * step, 1)
        drawn = np.round(chance.normal(0, noise, scene.shape)).astype(np.int16)
        yield np.clip(scene + drawn, 0, 255).astype(np.uint8), np.ascontiguousarray(truth)


def measure(frames: list[Pair], classes: int, method: float | str | None) -> dict[str, float | None]:
    """Flicker and mIoU of a method, over logits and true classes."""
    smoother = None if method is None else make_smoother(method)
    meter, confusion = FlickerMeter(classes), np.zeros((classes, classes), np.int64)
    for logits, truth in frames:
        mask = kernels.upsample_argmax(logits if smoother is None else smoother(logits), SIZE)
        meter.update(mask, truth)
        known = truth < classes
        pairs = classes * truth[known].astype(np.int64) + mask[known]
        confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    there = confusion.sum(1) > 0
    return {"flicker": meter.flicker, "miou": float(np.mean(np.diag(confusion)[there] / union[there]))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet-s-camvid")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--noise", type=float, default=4, help="standard deviation, grey levels")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "flicker.json")
    words = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "model": words.model, "frames": words.frames, "noise": words.noise}
    with Segmenter(words.model) as segmenter, tempfile.TemporaryDirectory() as folder:
        names = segmenter.labels.names
        pairs, number = streets(Path(folder) / "streets", names), names.index("car")
        car = car_of(pairs[1:], number)
        for kind in ("fixed", "pan"):
            clip = video(kind, pairs, car, number, words.frames, words.noise)
            frames = [(segmenter.logits(frame), truth) for frame, truth in clip]
            report[kind] = {str(method): measure(frames, len(names), method) for method in METHODS}
            print(kind, report[kind], flush=True)
    write_json(words.json, report)
    plain, ours = report["fixed"]["None"], report["fixed"]["adaptive"]
    return 0 if ours["flicker"] <= 0.5 * plain["flicker"] and ours["miou"] >= plain["miou"] - 0.001 else 3


if __name__ == "__main__":
    sys.exit(main())
