"""Video readers in turns, file to overlay: frames per second and processor time per frame. Status 1 = a limit broke.

    python benchmarks/readers.py [--model MODEL] [--rounds 9] [--frames 300] [--video FILE …] [--json FILE]

Without --video, H.264 clips of 1280x720 and 1920x1080 are made with the ffmpeg program. Limits, of the medians, PyAV ÷
OpenCV: frames per second at least 1.0 at 1280x720 and 1.1 at 1920x1080; processor time per frame at most 1.0 in both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

from seg_edge.core.artefact import write_json
from seg_edge.core.shipped import DEFAULT
from seg_edge.runtime import Pipeline, Segmenter
from seg_edge.runtime.machine.system import machine
from seg_edge.runtime.sinks import NullSink
from seg_edge.runtime.sources import VideoOptions, open_source

READERS = ("opencv", "pyav")
SIZES = ((1280, 720), (1920, 1080))
LIMITS = {720: 1.0, 1080: 1.1}


def make(folder: Path, size_wh: tuple[int, int], frames: int) -> Path:
    """A clip with motion and noise, 8 Mbit/s, tagged BT.709."""
    width, height = size_wh
    path = folder / f"{height}.mp4"
    source = f"testsrc2=s={width}x{height}:r=25,noise=alls=12:allf=t"
    words = ["-f", "lavfi", "-i", source, "-frames:v", str(frames), "-c:v", "libx264", "-b:v", "8M", "-pix_fmt", "yuv420p"]
    tags = [word for name in ("colorspace", "color_primaries", "color_trc") for word in (f"-{name}", "bt709")]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words, *tags, "-color_range", "tv", str(path)], check=True)
    return path


def turn(segmenter: Segmenter, path: Path, reader: str) -> dict[str, float]:
    """One run: frames per second, and milliseconds of processor time per frame."""
    with open_source(path, video=VideoOptions(reader=reader)) as source:
        pipeline = Pipeline(source, segmenter, [NullSink("none")])
        begun = process_time()
        stats = pipeline.run()
        return {"fps": stats["fps"], "cpu_ms": 1e3 * (process_time() - begun) / stats["frames_out"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--video", type=Path, nargs="*", default=[])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Segmenter(options.model, throughput=True) as segmenter:
        segmenter.warmup()
        for path in options.video or [make(Path(folder), size, options.frames) for size in SIZES]:
            turns: dict[str, list[dict[str, float]]] = {reader: [] for reader in READERS}
            for number in range(options.rounds):
                for reader in READERS if number % 2 else READERS[::-1]:
                    turns[reader].append(turn(segmenter, path, reader))
            middle = {
                reader: {name: statistics.median(each[name] for each in found) for name in ("fps", "cpu_ms")}
                for reader, found in turns.items()
            }
            faster = middle["pyav"]["fps"] / middle["opencv"]["fps"]
            cheaper = middle["pyav"]["cpu_ms"] / middle["opencv"]["cpu_ms"]
            limit = LIMITS.get(int(path.stem), 1.0) if path.stem.isdigit() else 1.0
            passed = faster >= limit and cheaper <= 1
            rows.append(
                {"video": path.name, "median": middle, "fps": faster, "cpu": cheaper, "limit": limit, "passed": passed}
                | {"turns": turns}
            )
            for reader, found in middle.items():
                print(f"{path.name:16} {reader:7} {found['fps']:7.1f} FPS  {found['cpu_ms']:6.2f} ms of processor per frame")
            print(f"{path.name:16} PyAV ÷ OpenCV: {faster:.3f} × the frames (limit {limit}), {cheaper:.3f} × the processor")
        about = {"engine": segmenter.engine.name, "device": segmenter.engine.device, "model": str(options.model)}
    if options.json:
        write_json(options.json, {"machine": machine(), "load_before": load, **about, "rows": rows})
    return int(not all(row["passed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
