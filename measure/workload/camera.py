"""Camera to sink: the whole pipeline with threads and queues, and a camera at a fixed rate."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from ...runtime.pipeline.pipeline import Pipeline
from ...runtime.segmenter import Segmenter
from ...runtime.sinks import open_sink, refuse_overwrite, written_by
from ...runtime.sources import Source, SourceFrame, open_source, source_path

Frame = npt.NDArray[np.uint8]

_SIMULATED = re.compile(r"camera:(\d+(?:\.\d+)?)")


class SimulatedCamera(Source):
    """Delivers frames at a fixed rate, each in new memory as from a driver; frames that are not read in time are lost.

    Args:
        frames: uint8 (H, W, 3) each, delivered in a cycle.
        fps: Frames per second.
    """

    live = True

    def __init__(self, frames: list[Frame], fps: float) -> None:
        super().__init__(f"camera:{fps:g}", fps=fps)
        self._frames, self._period_s = frames, 1 / fps

    def __iter__(self) -> Iterator[SourceFrame]:
        began, due, index = perf_counter(), 0.0, 0
        while True:
            sleep(max(due - perf_counter(), 0))
            # The next tick of the camera's clock: frames that were not read in time are lost, without a burst
            # afterwards.
            due = began + (int((perf_counter() - began) / self._period_s) + 1) * self._period_s
            image = self._frames[index % len(self._frames)].copy()
            yield SourceFrame(image, index, f"camera_{index:06d}", perf_counter())
            index += 1


def watch(segmenter: Segmenter, frames: list[Frame], source: str, sink: str, seconds: float) -> dict[str, Any]:
    """Runs a pipeline for ``seconds``.

    Args:
        segmenter: An open segmenter. That of a benchmark configuration computes one frame at a time on all of its
            threads, while ``seg-edge run`` computes several frames of a file in parallel.
        frames: Frames of the simulated camera.
        source: ``camera:30``, a simulated camera of 30 frames per second, or a source of ``seg-edge run --source``.
        sink: A sink of ``seg-edge run --sink``.
        seconds: Duration, above 0.

    Returns:
        source and sink, and from the content of ``run --json``: seconds, frames_in, frames_out, dropped, fps,
        latency_ms, frame_age_ms, stages_ms.

    Raises:
        InputError: a simulated camera whose frames per second are not above 0.
        SourceError, SinkError: the source or sink can't be opened or fails, or the sink is the source's own file.
    """
    _refuse_own_source(source, sink)
    with open_watched(source, frames) as opened, open_sink(sink, opened.fps, opened.live) as target:
        stats = Pipeline(opened, segmenter, [target], duration_s=seconds).run()
    keys = ("seconds", "frames_in", "frames_out", "dropped", "fps", "latency_ms", "frame_age_ms", "stages_ms")
    return {"source": source, "sink": sink} | {key: stats[key] for key in keys}


def try_watch(source: str, sink: str) -> None:
    """Opens and closes source and sink as in :func:`watch`, to report typing errors before minutes of measuring.

    A named pipe is not opened, because its reader would take the closing for the end of the run.

    Raises:
        InputError, SourceError, SinkError: see :func:`watch`.
    """
    _refuse_own_source(source, sink)
    fps: float | None = None
    live = False
    if simulated(source) or not _is_pipe(source_path(source)):
        with open_watched(source, []) as opened:
            fps, live = opened.fps, opened.live
    if not _is_pipe(sink.removeprefix("pipe:")):
        open_sink(sink, fps, live).close()


def simulated(source: str) -> bool:
    """Whether the text of a source means a :class:`SimulatedCamera`."""
    return source.startswith("camera:")


def _refuse_own_source(source: str, sink: str) -> None:
    refuse_overwrite([] if simulated(source) else [source], written_by(sink))


def _is_pipe(path: str | Path | None) -> bool:
    try:
        return path is not None and stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # a missing or invalid path: opening it raises the error
        return False


def open_watched(source: str, frames: list[Frame]) -> Source:
    """Opens the source of a text; see :func:`watch`."""
    if not simulated(source):
        return open_source(source)
    match = _SIMULATED.fullmatch(source)
    if not match or not float(match[1]) > 0:
        raise InputError(f"bench: expected camera:FPS such as camera:30, got {source!r}")
    return SimulatedCamera(frames, float(match[1]))
