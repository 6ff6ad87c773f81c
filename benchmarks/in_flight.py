"""Frames per second and frame age with one, two and three frames in flight, and a file's side by side. Writes JSON.

    python benchmarks/in_flight.py --model model/model.int8.onnx [--engine NAME] [--frames 200] [--turns 7] [--json FILE]

Each turn runs every number once: a file (as fast as it goes, 1280x720 from memory to overlay) and a live source (paced at
twice the rate that the network manages alone, so that frames have to be dropped); and once the file as `seg-edge run` takes
it, several frames computed side by side. The medians of the turns stand in the
report, and the ratio to one at a time is the median of the turns' own ratios.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame
from seg_edge.runtime.machine.system import machine

NUMBERS = (1, 2, 3)


class Memory(Source):
    """Frames from memory; live at a rate, or as a file."""

    def __init__(self, count: int, rate: float | None = None) -> None:
        super().__init__("memory", fps=rate, count=count)
        self.live = rate is not None
        self._frames = [np.random.default_rng(i).integers(0, 256, (720, 1280, 3), np.uint8) for i in range(4)]

    def __iter__(self) -> Any:
        began_s = time.perf_counter()
        for i in range(self.count or 0):
            if self.fps:
                time.sleep(max(began_s + i / self.fps - time.perf_counter(), 0))
            yield SourceFrame(self._frames[i % 4], i, f"frame_{i:06d}", time.perf_counter())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "in_flight.json")
    words = parser.parse_args()
    fps: dict[int, list[float]] = {number: [] for number in NUMBERS}
    age_ms: dict[int, list[float]] = {number: [] for number in NUMBERS}
    side_by_side: list[float] = []
    with (
        Segmenter(words.model, words.engine) as segmenter,
        Segmenter(words.model, words.engine, throughput=True) as several,
    ):
        segmenter.warmup()
        several.warmup()
        engine = f"{segmenter.engine.name} {segmenter.engine.version}, {segmenter.engine.device}"
        rate = 2 * Pipeline(Memory(words.frames), segmenter, in_flight=1).run()["fps"]
        for turn in range(words.turns):
            for number in NUMBERS if turn % 2 else NUMBERS[::-1]:
                fps[number].append(Pipeline(Memory(words.frames), segmenter, in_flight=number).run()["fps"])
                live = Pipeline(Memory(words.frames, rate), segmenter, in_flight=number).run()
                age_ms[number].append(live["frame_age_ms"]["p99"])
            stats = Pipeline(Memory(words.frames), several).run()
            side_by_side.append(stats["fps"])
            print(f"turn {turn + 1} of {words.turns}", file=sys.stderr)
    rows = [
        {
            "in_flight": number,
            "parallel": 1,
            "file_fps": float(np.median(fps[number])),
            "file_ratio_to_one": float(np.median(np.divide(fps[number], fps[1]))),
            "live_age_p99_ms": float(np.median(age_ms[number])),
            "live_age_ratio_to_one": float(np.median(np.divide(age_ms[number], age_ms[1]))),
        }
        for number in NUMBERS
    ]
    rows.append(
        {
            "in_flight": stats["in_flight"],
            "parallel": stats["parallel"],
            "file_fps": float(np.median(side_by_side)),
            "file_ratio_to_one": float(np.median(np.divide(side_by_side, fps[1]))),
            "live_age_p99_ms": None,
            "live_age_ratio_to_one": None,
        }
    )
    write_json(words.json, {"machine": machine(), "model": Path(words.model).name, "engine": engine, "rows": rows})
    for row in rows:
        print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
