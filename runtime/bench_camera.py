"""Camera to sink: the whole pipeline with its threads and queues, fed by a camera that doesn't wait."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from time import perf_counter, sleep
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from ..core.errors import InputError, SinkError
from .pipeline import Pipeline
from .segmenter import Segmenter
from .sinks import open_sink
from .sources import Source, SourceFrame, names_files, open_source

Frame = npt.NDArray[np.uint8]

_SIMULATED = re.compile(r"camera:(\d+(?:\.\d+)?)")


class SimulatedCamera(Source):
    """Delivers frames at a fixed rate, each in memory of its own as a driver does, whether or not anybody takes them.

    Args:
        frames: uint8 (H, W, 3) each; cycled through.
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
            # The next tick of its clock from now on: what it saw while nobody asked is gone, and never comes as a burst.
            due = began + (int((perf_counter() - began) / self._period_s) + 1) * self._period_s
            image = self._frames[index % len(self._frames)].copy()
            yield SourceFrame(image, index, f"camera_{index:06d}", perf_counter())
            index += 1


def watch(segmenter: Segmenter, frames: list[Frame], source: str, sink: str, seconds: float) -> dict[str, Any]:
    """Runs a pipeline for ``seconds``.

    Args:
        segmenter: An open one; :class:`seg_edge.runtime.bench_lane.Lane` passes its own, which computes one frame at a time
            on all of its threads. ``seg-edge run`` opens one for files that computes several side by side.
        frames: What a simulated camera shows.
        source: ``camera:30``, a simulated camera of 30 frames per second, or what ``seg-edge run --source`` takes.
        sink: What ``seg-edge run --sink`` takes.
        seconds: How long, above 0.

    Returns:
        source, sink and, out of what ``run --json`` writes, seconds, frames_in, frames_out, dropped, fps, latency_ms,
        frame_age_ms, stages_ms.

    Raises:
        InputError: a simulated camera without frames per second above 0.
        SourceError, SinkError: as they say; the sink is the source's own file.
    """
    refuse_own_source(source, sink)
    with open_watched(source, frames) as opened, open_sink(sink, opened.fps, opened.live) as target:
        stats = Pipeline(opened, segmenter, [target], duration_s=seconds).run()
    keys = ("seconds", "frames_in", "frames_out", "dropped", "fps", "latency_ms", "frame_age_ms", "stages_ms")
    return {"source": source, "sink": sink} | {key: stats[key] for key in keys}


def try_watch(source: str, sink: str) -> None:
    """Opens both as :func:`watch` will, and closes them: what is mistyped is said before minutes of measuring, not after.

    A named pipe is left alone: whoever is at its other end would take the closing for the end of the run.

    Raises:
        InputError, SourceError, SinkError: as of :func:`watch`.
    """
    refuse_own_source(source, sink)
    fps: float | None = None
    live = False
    if not _is_pipe(path_of(source)):
        with open_watched(source, []) as opened:
            fps, live = opened.fps, opened.live
    if not _is_pipe(sink.removeprefix("pipe:")):
        open_sink(sink, fps, live).close()


def refuse_own_source(source: str, sink: str) -> None:
    """A recording under the name of the video that is read replaces it with the first frame.

    Raises:
        SinkError: both are one file, under whatever names (links, ``file://``).
    """
    if sink in ("none", "window"):
        return
    read, written = _status(path_of(source)), _status(sink.removeprefix("pipe:"))
    if read and written and stat.S_ISREG(read.st_mode) and os.path.samestat(read, written):
        raise SinkError(f"sink {sink}: is the source itself, and would replace it; choose another file name")


def path_of(source: str) -> str | None:
    """The path that a source stands for; None for cameras, simulated ones too, and streams."""
    if source.startswith("camera:") or not names_files(source):
        return None
    scheme, separator, rest = source.partition("://")
    return unquote(rest) if separator and scheme.lower() == "file" else source


def _status(path: str | None) -> os.stat_result | None:
    try:
        return None if path is None else os.stat(path)
    except (OSError, ValueError):  # nothing there, or nothing that a path can say: opening it has the words for that
        return None


def _is_pipe(path: str | None) -> bool:
    found = _status(path)
    return found is not None and stat.S_ISFIFO(found.st_mode)


def open_watched(source: str, frames: list[Frame]) -> Source:
    """The source that a text stands for; see :func:`watch`."""
    if not source.startswith("camera:"):
        return open_source(source)
    match = _SIMULATED.fullmatch(source)
    if not match or not float(match[1]) > 0:
        raise InputError(f"bench: expected camera:FPS such as camera:30, got {source!r}")
    return SimulatedCamera(frames, float(match[1]))
