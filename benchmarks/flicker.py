"""Flicker and mIoU of temporal smoothing, on generated videos with sensor noise whose true classes are known. Writes JSON.

    python benchmarks/flicker.py [--model MODEL] [--camvid FOLDER] [--frames 60] [--noise 4] [--json FILE]

Two videos each of a photograph of CamVid and of a street of `seg-edge data synth`: a fixed camera past which a car drives,
and a camera that pans. Reported for each method:

- flicker: share of the pixels whose class changes though the true one does not;
- flicker_still: the same where the picture, without its noise, has not changed within 48 pixels;
- miou: against the true classes;
- follows: share of right pixels among those whose true class has changed within the last three frames. Lag makes it small.

It exits with 3 if on a fixed camera adaptive smoothing leaves more than half of the flicker that a mean of weight 0.5 leaves
where the picture is still, or more than that mean elsewhere, or follows less, or has less mIoU by more than 0.001.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from scenes import CAMVID, VOID, Scene, car_of, scenes, with_car

from seg_edge.core.artefact import write_json
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.temporal import FlickerMeter, make_smoother
from seg_edge.runtime.machine.system import machine

SIZE = (720, 1280)
METHODS: tuple[float | str | None, ...] = (None, 0.5, 0.3, 0.15, "adaptive")
#: Pixels around a change in which the picture is not still: the network's input has a third of the resolution.
AROUND = 48


class Clip(NamedTuple):
    """A frame's logits, its true classes, and the same with what is not still as void."""

    logits: Any
    truth: Any
    still: Any


def video(kind: str, found: list[Scene], car: tuple[Any, Any], number: int, count: int) -> Iterator[Scene]:
    """Frames without noise, int16, and their true classes."""
    for step in range(count):
        if kind == "fixed":
            yield with_car(found[0], car, step / count, number)
        else:
            yield tuple(np.ascontiguousarray(np.roll(part, -4 * step, 1)) for part in found[0])  # type: ignore[misc]


def clip_of(segmenter: Segmenter, frames: Iterator[Scene], noise: float) -> list[Clip]:
    chance = np.random.default_rng(0)
    around = np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8)
    before, made = None, []
    for scene, truth in frames:
        drawn = np.round(chance.normal(0, noise, scene.shape)).astype(np.int16)
        logits = segmenter.logits(np.clip(scene + drawn, 0, 255).astype(np.uint8))
        still = truth.copy()
        if before is not None:
            still[cv2.dilate((scene != before).any(axis=2).astype(np.uint8), around) > 0] = VOID
        before = scene
        made.append(Clip(logits, truth, still))
    return made


def measure(frames: list[Clip], classes: int, method: float | str | None) -> dict[str, float | None]:
    """What the module says, of one method."""
    smoother = None if method is None else make_smoother(method)
    meter, still = FlickerMeter(classes), FlickerMeter(classes)
    confusion = np.zeros((classes, classes), np.int64)
    follows: list[float] = []
    before = None
    for step, (logits, truth, _) in enumerate(frames):
        mask = kernels.upsample_argmax(logits if smoother is None else smoother(logits), SIZE)
        meter.update(mask, truth)
        known = truth < classes
        pairs = classes * truth[known].astype(np.int64) + mask[known]
        confusion += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
        if before is not None:
            still.cut()
            still.update(before, frames[step].still)
            still.update(mask, frames[step].still)
        if step >= 3:
            new = known & (truth != frames[step - 3].truth)
            follows.append(float((mask == truth)[new].mean()))
        before = mask
    union = confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    there = confusion.sum(1) > 0
    return {
        "flicker": meter.flicker,
        "flicker_still": still.flicker,
        "miou": float(np.mean(np.diag(confusion)[there] / union[there])),
        "follows": float(np.mean(follows)),
    }


def good(row: dict[str, dict[str, float]]) -> bool:
    """Whether a fixed camera's figures keep to the limits."""
    mean, ours = row["0.5"], row["adaptive"]
    return (
        ours["flicker_still"] <= 0.5 * mean["flicker_still"]
        and ours["flicker"] <= mean["flicker"]
        and ours["follows"] >= mean["follows"]
        and ours["miou"] >= mean["miou"] - 0.001
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet-s-camvid")
    parser.add_argument("--camvid", type=Path, default=CAMVID, help="left out where it is missing")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--noise", type=float, default=4, help="standard deviation, grey levels")
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "flicker.json")
    words = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "model": words.model, "frames": words.frames, "noise": words.noise}
    with Segmenter(words.model) as segmenter:
        names = segmenter.labels.names
        number = names.index("car")
        for title, root in (("photograph", words.camvid), ("synth", None)):
            if root is not None and not root.is_dir():
                continue
            found, _source = scenes(root, names, SIZE)
            car = car_of(found[1:], number)
            report[title] = {}
            for kind in ("fixed", "pan"):
                frames = clip_of(segmenter, video(kind, found, car, number, words.frames), words.noise)
                report[title][kind] = {str(method): measure(frames, len(names), method) for method in METHODS}
                print(title, kind, json.dumps(report[title][kind], indent=1), flush=True)
    write_json(words.json, report)
    return 0 if all(good(report[title]["fixed"]) for title in ("photograph", "synth") if title in report) else 3


if __name__ == "__main__":
    sys.exit(main())
