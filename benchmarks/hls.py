"""A live HLS stream through the pipeline: share of its frames at the sinks, and their age. Status 1 = a limit broke.

    python benchmarks/hls.py [--model MODEL] [--seconds 40] [--segment 2] [--fps 25] [--json FILE]

The ffmpeg program encodes frames that bear their number, as they are made, and a server of this process publishes its
segments. Limits: at least 0.9 of the frames that were made between the first and the last result, or that the network can do
in that time, whatever is less; the age of a frame beyond a segment's length, which passes before it is published, at most
one segment and half a second (95th percentile).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from seg_edge.core.artefact import write_json
from seg_edge.core.shipped import DEFAULT
from seg_edge.runtime import Pipeline, Segmenter
from seg_edge.runtime.machine.system import machine
from seg_edge.runtime.sources import open_source

SIZE_HW = (180, 320)
BITS = 16
#: Seconds that a playlist may take to be seen and read.
SLACK_S = 0.5


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass


def numbered(number: int) -> np.ndarray:
    """A frame of bars: its number's bits, white or black."""
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8)
    return np.ascontiguousarray(
        np.broadcast_to(np.repeat(bits * 200 + 20, SIZE_HW[1] // BITS)[None, :, None], (*SIZE_HW, 3))
    )


def number_of(image: np.ndarray) -> int:
    means = image.mean((0, 2)).reshape(BITS, -1).mean(1)
    return int(sum(1 << bit for bit in range(BITS) if means[bit] > 120))


class Camera(threading.Thread):
    """Writes frames to ffmpeg in real time; ``made`` has each frame's time."""

    def __init__(self, folder: Path, fps: float, segment_s: float) -> None:
        super().__init__(daemon=True)
        self.made: list[float] = []
        self.stop = threading.Event()
        self._fps = fps
        raw = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{SIZE_HW[1]}x{SIZE_HW[0]}", "-r", str(fps), "-i", "-"]
        code = [
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-g",
            str(round(fps * segment_s)),
            "-pix_fmt",
            "yuv420p",
        ]
        hls = ["-f", "hls", "-hls_time", str(segment_s), "-hls_list_size", "4", "-hls_flags", "delete_segments"]
        words = ["ffmpeg", "-v", "error", *raw, *code, *hls, str(folder / "live.m3u8")]
        self._ffmpeg = subprocess.Popen(words, stdin=subprocess.PIPE)

    def run(self) -> None:
        assert self._ffmpeg.stdin is not None
        begun = time.perf_counter()
        while not self.stop.is_set():
            time.sleep(max(begun + len(self.made) / self._fps - time.perf_counter(), 0))
            self.made.append(time.perf_counter())
            self._ffmpeg.stdin.write(numbered(len(self.made) - 1).tobytes())
            self._ffmpeg.stdin.flush()

    def close(self) -> None:
        self.stop.set()
        self.join()
        self._ffmpeg.kill()
        self._ffmpeg.communicate()


def watch(url: str, camera: Camera, segmenter: Segmenter, seconds: float) -> dict[str, Any]:
    """Runs the pipeline on the stream; numbers of the frames that came out, their ages, the run's statistics."""
    seen: list[tuple[int, float]] = []
    with open_source(url) as source:
        pipeline = Pipeline(source, segmenter, mask=True, duration_s=seconds)
        stats = pipeline.run(lambda result: seen.append((number_of(result.frame_bgr), time.perf_counter())))
    ages = [now - camera.made[number] for number, now in seen if number < len(camera.made)]
    return {"numbers": [number for number, _ in seen], "ages_s": ages, "stats": stats}


def report(run: dict[str, Any], fps: float, segment_s: float, capacity_fps: float) -> dict[str, Any]:
    numbers = run["numbers"]
    wanted = (numbers[-1] - numbers[0] + 1) * min(1.0, capacity_fps / fps)
    # A segment's first frame was made a segment before it was published, its last one just before.
    first_of = [age - segment_s for age in run["ages_s"]]
    share, age_s = len(set(numbers)) / wanted, float(np.percentile(first_of, 95))
    return {
        "frames": len(numbers), "share": share, "ascending": all(a < b for a, b in zip(numbers, numbers[1:], strict=False)),
        "age_s": {"p50": float(np.percentile(run["ages_s"], 50)), "p95": float(np.percentile(run["ages_s"], 95))},
        "behind_s": age_s, "passed": share >= 0.9 and age_s <= segment_s + SLACK_S,
    }  # fmt: skip


def capacity(segmenter: Segmenter) -> float:
    """Frames per second that the network can do."""
    frame, begun, count = numbered(0), time.perf_counter(), 0
    while time.perf_counter() - begun < 2:
        segmenter(frame)
        count += 1
    return count / (time.perf_counter() - begun)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--segment", type=float, default=2)
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, Segmenter(options.model) as segmenter:
        segmenter.warmup()
        able = capacity(segmenter)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=name))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        camera = Camera(Path(name), options.fps, options.segment)
        camera.start()
        try:
            while not (Path(name) / "live.m3u8").exists():
                time.sleep(0.1)
            run = watch(f"http://127.0.0.1:{server.server_address[1]}/live.m3u8", camera, segmenter, options.seconds)
        finally:
            camera.close()
            server.shutdown()
            server.server_close()
    row = report(run, options.fps, options.segment, able)
    print(
        f"{row['frames']} frames, {row['share']:.3f} of what was possible (limit 0.9), network {able:.0f} FPS; age p50 "
        f"{row['age_s']['p50']:.2f} s, p95 {row['age_s']['p95']:.2f} s since they were made, {row['behind_s']:.2f} s beyond "
        f"a segment (limit {options.segment + SLACK_S:g} s)"
    )
    if options.json:
        about = {"machine": machine(), "load_before": load, "segment_s": options.segment, "fps": options.fps}
        write_json(options.json, {**about, "capacity_fps": able, **row, "dropped": run["stats"]["dropped"]})
    return int(not row["passed"])


if __name__ == "__main__":
    sys.exit(main())
