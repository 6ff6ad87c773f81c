"""unet-person beside MediaPipe's selfie segmentation: a 1280x720 frame in memory to its overlay; turns alternate.

    npm pack @mediapipe/selfie_segmentation && tar xzf mediapipe-selfie_segmentation-*.tgz
    python benchmarks/person_peer.py --tflite package/selfie_segmentation.tflite [--images FOLDER] [--json FILE]

The peer is its TFLite file in LiteRT (pip install ai-edge-litert) in a plain loop: resize, RGB, 0 to 1, invoke, the mask
resized to the frame, colours blended where it is at least a half. Ours is ``Segmenter.overlay``. Both get two threads and
the same frames: photographs of a folder, else generated streets. Exits with 3 below the limit of 2.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from seg_edge import Segmenter
from seg_edge.core.artefact import write_json
from seg_edge.datasets.synth import StreetScene
from seg_edge.runtime.machine.system import machine

RESULTS = Path(__file__).parent / "results" / "person_peer.json"
LIMIT, THREADS, SIZE_WH = 2.0, 2, (1280, 720)
COLOUR_BGR = (60, 20, 220)


class Peer:
    """The TFLite file and what surrounds it."""

    def __init__(self, path: Path) -> None:
        self._net = import_module("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=THREADS)
        self._net.allocate_tensors()
        source, target = self._net.get_input_details()[0], self._net.get_output_details()[0]
        self._source, self._target = source["index"], target["index"]
        self.input_hw = tuple(int(side) for side in source["shape"][1:3])

    def overlay(self, frame: np.ndarray) -> np.ndarray:
        small = cv2.cvtColor(cv2.resize(frame, self.input_hw[::-1]), cv2.COLOR_BGR2RGB)
        self._net.set_tensor(self._source, small[None].astype(np.float32) / 255)
        self._net.invoke()
        mask = cv2.resize(self._net.get_tensor(self._target)[0, :, :, 0], SIZE_WH) >= 0.5
        coloured = frame.copy()
        coloured[mask] = COLOUR_BGR
        return cv2.addWeighted(coloured, 0.5, frame, 0.5, 0)


def frames(folder: Path | None, count: int = 24) -> list[np.ndarray]:
    if folder is None:
        return [StreetScene(seed, (720, 1280)).frame(0)[0] for seed in range(count)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    if not paths:
        sys.exit(f"person_peer: no image in {folder}")
    return [cv2.resize(cv2.imread(str(path)), SIZE_WH) for path in paths]


def rate(run: Any, shown: list[np.ndarray], seconds: float) -> float:
    """Frames per second of one turn."""
    done, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        run(shown[done % len(shown)])
        done += 1
    return done / (perf_counter() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tflite", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    shown, peer = frames(words.images), Peer(words.tflite)
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    with Segmenter("unet-person", threads=THREADS) as segmenter:
        sides = {"ours": segmenter.overlay, "peer": peer.overlay}
        for run in sides.values():
            rate(run, shown, 1.0)
        for turn in range(words.rounds):
            for name in sorted(sides, reverse=turn % 2 == 1):
                rates[name].append(rate(sides[name], shown, words.seconds))
        engine, ours_hw = segmenter.engine.name, segmenter.spec.input_hw
    ratios = sorted(a / b for a, b in zip(rates["ours"], rates["peer"], strict=True))
    found = {
        "machine": machine(),
        "frames": "photographs" if words.images else "generated streets",
        "threads": THREADS,
        "ours": {
            "model": "unet-person",
            "engine": engine,
            "input_hw": list(ours_hw),
            "fps": round(median(rates["ours"]), 1),
        },
        "peer": {
            "model": words.tflite.name,
            "engine": f"ai-edge-litert {version('ai-edge-litert')}",
            "input_hw": list(peer.input_hw),
            "fps": round(median(rates["peer"]), 1),
        },
        "ratio": {"median": round(median(ratios), 2), "least": round(ratios[0], 2), "greatest": round(ratios[-1], 2)},
        "limit": LIMIT,
    }
    write_json(words.json, found)
    print(f"ours {found['ours']['fps']} FPS, peer {found['peer']['fps']} FPS: {found['ratio']}")  # type: ignore[index]
    return 0 if found["ratio"]["median"] >= LIMIT else 3  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
