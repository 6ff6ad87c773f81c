"""What areas cost: frame to overlay without them, with the frame's, and with 8 zones, in turns. Writes JSON.

    python benchmarks/areas.py [--model MODEL] [--engine NAME] [--frame 720x1280] [--turns 40] [--json FILE]

Each turn takes every variant once over the same frames, in changing order; the ratio to no areas is the median of the turns'
own ratios, with its interval. Counts are compared with NumPy's on every frame. It exits with 3 if one differs, or if 8 zones
cost more than --limit (0.03).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.core.options import parse_size
from seg_edge.datasets.synth.options import SynthOptions
from seg_edge.runtime import Segmenter
from seg_edge.runtime.areas import Zone, Zones
from seg_edge.runtime.machine.system import machine
from seg_edge.runtime.pipeline.stats import median_interval


def eight_zones() -> Zones:
    """Slanted quadrilaterals that overlap their neighbours."""
    return Zones([
        Zone(f"zone {i}", ((np.array([[0.1 * i, 0.1], [0.1 * i + 0.3, 0.2], [0.1 * i + 0.2, 0.9], [0.05 * i, 0.8]]),),))
        for i in range(8)
    ])  # fmt: skip


def streets(count: int, size_hw: tuple[int, int], folder: Path) -> list[Any]:
    """Generated street scenes, enlarged to a frame's size."""
    from seg_edge.datasets import synthesize

    data = synthesize(folder, SynthOptions(train=count, val=1, size_hw=(360, 480), seed=1)).data
    files = sorted((Path(data) / "images" / "train").iterdir())[:count]
    images = [cv2.imread(str(file)) for file in files]
    return [cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_CUBIC) for image in images if image is not None]


def main() -> int:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet-s-camvid")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frame", type=parse_size, default=(720, 1280))
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--limit", type=float, default=0.03)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "areas.json")
    words = parser.parse_args()
    zones = eight_zones()
    with tempfile.TemporaryDirectory() as folder:
        frames = streets(words.frames, words.frame, Path(folder) / "streets")
    out = np.empty((*words.frame, 3), np.uint8)
    variants: dict[str, dict[str, Any]] = {"none": {}, "frame": {"areas": True}, "8 zones": {"zones": zones}}
    made = {name: Segmenter(words.model, words.engine, **options) for name, options in variants.items()}
    wrong = 0
    for frame in frames:
        result = made["8 zones"].process(frame)
        assert result.areas is not None
        assert result.mask is not None
        inside = [np.ones(words.frame, bool), *(zone.inside(words.frame) for zone in zones.zones)]
        classes = len(result.areas.classes)
        expected = [np.bincount(result.mask[pixels], minlength=classes)[:classes] for pixels in inside]
        wrong += int(not np.array_equal(result.areas.pixels, np.stack(expected)))
    for segmenter in made.values():
        segmenter.warmup()
    spent: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(words.turns):
        order = list(variants)
        for name in order[turn % 3 :] + order[: turn % 3]:
            began = time.perf_counter()
            for frame in frames:
                made[name].process(frame, mask=False, out=out)
            spent[name].append(1e3 * (time.perf_counter() - began) / len(frames))
    engine = made["none"].engine
    report: dict[str, Any] = {
        "machine": machine(), "model": str(words.model), "engine": engine.name, "threads": engine.threads,
        "frame": list(words.frame), "turns": words.turns, "frames_with_wrong_counts": wrong,
        "ms_per_frame": {name: float(np.median(values)) for name, values in spent.items()}, "cost": {},
    }  # fmt: skip
    for name in ("frame", "8 zones"):
        ratios = [with_areas / without - 1 for with_areas, without in zip(spent[name], spent["none"], strict=True)]
        report["cost"][name] = {"median": float(np.median(ratios)), "interval": median_interval(ratios)}
    for segmenter in made.values():
        segmenter.close()
    write_json(words.json, report)
    print({key: value for key, value in report.items() if key != "machine"})
    return 3 if wrong or report["cost"]["8 zones"]["median"] > words.limit else 0


if __name__ == "__main__":
    sys.exit(main())
