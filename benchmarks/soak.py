"""Long runs of the live road: what cameras, signals and days do to it. Writes JSON; exit status 1: a limit is broken.

    python benchmarks/soak.py --model model/model.int8.onnx [--part NAME]... [--scale 1.0] [--json FILE]

Parts, and how often at --scale 1:

    stalls   20   the RTSP server is stopped (signal 19) for 60 s, then continued: frames again within 5 s
    kills    20   the RTSP server is killed and started again on the same port: frames again within 5 s
    frames   100,000   frames through one pipeline: memory grows less than 8 MiB, no descriptor, thread or process is left
    sigkill  200  `seg-edge run` and its ffmpeg are killed while they record: the file plays and lacks at most 1 s
    sigint   100  Ctrl-C at a random moment: the process ends within 2 s, the recording plays, in = out + dropped
    slow     1    source 30 frames per second, engine 5, 60 s: 99 % of the ages <= the inference and the one before
                  + 100 ms, not growing; what a busy machine adds to a sleep (99 %) is added to the 100 ms

`--scale 0.1` does a tenth of each (at least one). Needs gst-launch-1.0, ffmpeg, and for the first two Debian's
python3-gi and gir1.2-gst-rtsp-server-1.0. All at --scale 1 take 80 minutes: stalls 22, kills 5, frames 15, sigkill 20,
sigint 15, slow 1. Only `frames` and `slow` care whether the machine is quiet.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from soak_ages import Lateness, fresh

from seg_edge.core.artefact import write_json
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame, open_sink, open_source
from seg_edge.runtime.machine.system import machine

SERVER = Path(__file__).parents[1] / "tests" / "runtime" / "rtsp_server.py"
CAMERA = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1"


class RtspServer:
    """The test server on one port of the loopback, in a process that can be stopped, killed and started again."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/test"

    def start(self) -> None:
        words = ["/usr/bin/python3", str(SERVER), str(self.port), "320", "240"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the RTSP server does not start; apt-get install python3-gi gir1.2-gst-rtsp-server-1.0")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Act = Callable[[RtspServer], None]


def outages(model: str, times: int, cut: Act, restore: Act, away_s: float) -> Any:
    """Seconds from each return of the server to the next new frame at the sink; None where none came within 30 s."""
    server, latest, seen = RtspServer(), [0.0], threading.Condition()

    def note(result: Any) -> None:
        with seen:
            latest[0] = result.captured_s
            seen.notify_all()

    def frame_after(moment_s: float, limit_s: float) -> float | None:
        with seen:
            seen.wait_for(lambda: latest[0] > moment_s, limit_s)
            return latest[0] - moment_s if latest[0] > moment_s else None

    waits: list[float | None] = []
    with Segmenter(model) as segmenter, open_source(server.url) as source:
        pipeline = Pipeline(source, segmenter)
        runner = threading.Thread(target=pipeline.run, args=(note,))
        runner.start()
        for i in range(times):
            frame_after(time.perf_counter(), 30)
            cut(server)
            time.sleep(away_s)
            restore(server)
            back_s = time.perf_counter()
            waits.append(frame_after(back_s, 30))
            print(f"  outage {i + 1} of {times}: frames after {waits[-1]} s", file=sys.stderr)
        source.cancel()
        runner.join(5)
        stats = pipeline.stats()
    server.kill()
    within = sum(wait is not None and wait <= 5 for wait in waits)
    return {
        "outages": times, "away_s": away_s, "recovered_within_5_s": within, "seconds": waits, "passed": within == times,
        "reconnects": stats["reconnects"], "stalls": stats["sources"][0]["stalls"], "in_out": balance(stats),
    }  # fmt: skip


def stalls(model: str, scale: float) -> Any:
    return outages(
        model,
        often(20, scale),
        lambda server: server.process.send_signal(signal.SIGSTOP),
        lambda server: server.process.send_signal(signal.SIGCONT),
        60 if scale >= 1 else 6,
    )


def kills(model: str, scale: float) -> Any:
    return outages(model, often(20, scale), RtspServer.kill, RtspServer.start, 10 if scale >= 1 else 4)


class Endless(Source):
    """The same few frames over and over, optionally at a rate."""

    def __init__(self, count: int, rate: float | None = None) -> None:
        super().__init__("endless", rate or 30.0, count)
        self.live = rate is not None
        self._rate = rate
        generator = np.random.default_rng(1)
        self._frames = [generator.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(4)]

    def __iter__(self) -> Any:
        began_s = time.perf_counter()
        for i in range(self.count or 0):
            if self._rate:
                time.sleep(max(began_s + i / self._rate - time.perf_counter(), 0))
            yield SourceFrame(self._frames[i % 4], i, f"frame_{i:06d}", time.perf_counter())


def frames(model: str, scale: float) -> Any:
    """Memory after a warm-up (an eighth, at most 5,000 frames) against memory at the end."""
    count = often(100_000, scale)
    warm = min(count // 8, 5000)
    resident: list[int] = []
    with Segmenter(model) as segmenter:
        segmenter.warmup()
        before = handles()
        with tempfile.TemporaryDirectory() as folder, open_sink(f"{folder}/o.mp4", 30) as video, open_sink("none") as none:
            pipeline = Pipeline(Endless(count), segmenter, [video, none], hud=True, mask=True)

            def note(result: Any) -> None:
                if result.index >= warm and result.index % max(count // 200, 1) == 0:
                    resident.append(resident_bytes())

            stats = pipeline.run(note)
        gc.collect()
        after = handles()
    growth = (max(resident[-len(resident) // 4 :]) - resident[0]) if resident else 0
    return {
        "frames": stats["frames_out"], "seconds": stats["seconds"], "fps": stats["fps"], "growth_bytes": growth,
        "handles_before": before, "handles_after": after, "in_out": balance(stats),
        # Fewer is no leak: OpenVINO's telemetry may still have been at work at the beginning.
        "passed": growth < 8 << 20
        and all(after[key] <= before[key] for key in before)
        and balance(stats)
        and stats["frames_out"] == count,
    }  # fmt: skip


def recording(model: str, video: Path, report: Path | None = None) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "seg_edge.cli", "run", model, "--source", CAMERA, "--sink", str(video), "--threads", "1"]
    words += ["--json", str(report)] if report else []
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def size_of(file: Path) -> int:
    """0 while there is none: a sink tries whether it can write the file, which comes and goes."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def until_recording(process: subprocess.Popen[str], video: Path) -> None:
    limit_s = time.monotonic() + 60
    while not size_of(video):
        if process.poll() is not None or time.monotonic() > limit_s:
            raise SystemExit(f"no recording began: {process.stderr.read() if process.stderr else ''}")
        time.sleep(0.02)


def sigkill(model: str, scale: float) -> Any:
    """Every child process first: ffmpeg alone would finish the file. The process prints the number of each frame."""
    losses: list[float | None] = []
    times = often(200, scale)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(times):
            video = Path(folder) / f"{i}.mp4"
            words = [sys.executable, "-c", KILLED, model, CAMERA, str(video)]
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.uniform(1, 3))
            for child in descendants(process.pid):  # ffmpeg alone would finish the file
                os.kill(child, signal.SIGKILL)
            process.kill()
            written = [line for line in process.stdout.read().splitlines() if line.isdigit()]
            process.wait()
            count = played(video)
            losses.append((int(written[-1]) - count) / 30 if count and written else None)
            print(f"  kill {i + 1} of {times}: {count} frames play, {losses[-1]} s lost", file=sys.stderr)
            video.unlink(missing_ok=True)
    good = sum(loss is not None and loss <= 1 for loss in losses)
    return {"kills": times, "playable_and_at_most_1_s_lost": good, "lost_s": losses, "passed": good == times}


KILLED = """
import sys
from itertools import count
from seg_edge.runtime import Pipeline, Segmenter, open_sink, open_source
model, camera, video = sys.argv[1:]
number = count(1)
with Segmenter(model, threads=1) as segmenter, open_source(camera) as source, open_sink(video, source.fps, True) as sink:
    Pipeline(source, segmenter, [sink]).run(lambda _result: print(next(number), flush=True))
"""


def sigint(model: str, scale: float) -> Any:
    """Half of them while it records, half at a random moment of the start, but for the interpreter's own.

    Status -2: the signal's default action, which a shell reports as 130 too.
    """
    times = often(100, scale)
    took_s, wrong = [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(times):
            video, report = Path(folder) / f"{i}.mp4", Path(folder) / f"{i}.json"
            process = recording(model, video, report)
            if i % 2:
                until_recording(process, video)
                time.sleep(random.uniform(0, 2))
            else:
                time.sleep(random.uniform(1.5, 5))
            began_s = time.perf_counter()
            process.send_signal(signal.SIGINT)
            try:
                _, error = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                _, error = process.communicate()
            took_s.append(time.perf_counter() - began_s)
            if process.returncode not in (130, -signal.SIGINT) or "Traceback" in error:
                wrong.append({"run": i, "status": process.returncode, "stderr": error[-300:]})
            elif report.exists():
                stats = json.loads(report.read_text())
                count = played(video) if video.exists() else 0
                if not balance(stats) or abs(count - stats["frames_out"]) > 1:
                    wrong.append({"run": i, "frames_out": stats["frames_out"], "playable": count})
            print(f"  interrupt {i + 1} of {times}: {took_s[-1]:.2f} s", file=sys.stderr)
    slowest = max(took_s)
    return {
        "interrupts": times,
        "slowest_s": slowest,
        "seconds": took_s,
        "wrong": wrong,
        "passed": slowest <= 2 and not wrong,
    }


def slow(model: str, scale: float) -> Any:
    """A network that takes 200 ms, with the requests in flight that a live source gets by default.

    A frame may wait for the inference before its own, no longer: each age is held against the two. A busy machine makes
    inferences longer, which the limit follows, and wakes threads late, which is measured beside the run.
    """
    seconds = max(60 * scale, 6)
    with Segmenter(model, "onnxruntime") as segmenter:
        # ONNX Runtime's call waits, in the engine's own thread: there it is slowed, whoever asks.
        infer = segmenter.engine._infer

        def slowed(frames: Any) -> Any:
            began_s = time.perf_counter()
            output = infer(frames)
            time.sleep(max(began_s + 0.2 - time.perf_counter(), 0))
            return output

        segmenter.engine._infer = slowed  # type: ignore[method-assign]
        ages: list[float] = []
        inferences: list[float] = []

        def note(result: Any) -> None:
            ages.append(1e3 * (time.perf_counter() - result.captured_s))
            inferences.append(result.stages_ms["engine"])

        pipeline = Pipeline(Endless(round(30 * seconds), 30), segmenter)
        with Lateness() as lateness:
            stats = pipeline.run(note)
    return {
        "seconds": seconds, "in_flight": stats["in_flight"], "frame_age_ms": stats["frame_age_ms"],
        "dropped": stats["dropped"], "in_out": balance(stats), **(judged := fresh(ages, inferences, lateness.p99_ms)),
        "passed": judged["passed"] and balance(stats),
    }  # fmt: skip


PARTS = {"stalls": stalls, "kills": kills, "frames": frames, "sigkill": sigkill, "sigint": sigint, "slow": slow}


def often(times: int, scale: float) -> int:
    return max(round(times * scale), 1)


def balance(stats: dict[str, Any]) -> bool:
    return bool(stats["frames_in"] == stats["frames_out"] + sum(stats["dropped"].values()))


def played(video: Path) -> int:
    """Frames that decode."""
    capture = cv2.VideoCapture(str(video))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def handles() -> dict[str, int]:
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "processes": len(descendants(os.getpid())),
    }


def descendants(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            for child in map(int, file.read().split()):
                found += [child, *descendants(child)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "soak.json")
    words = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "model": Path(words.model).name, "scale": words.scale, "parts": {}}
    for name in words.part or PARTS:
        print(name, file=sys.stderr)
        report["parts"][name] = PARTS[name](words.model, words.scale)
        write_json(words.json, report)
        print(f"{name}: {'passed' if report['parts'][name]['passed'] else 'FAILED'}")
    return int(not all(part["passed"] for part in report["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
