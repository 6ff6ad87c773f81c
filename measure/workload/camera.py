"""Camera to sink: the whole pipeline with threads and queues, and a camera at a fixed rate."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...runtime.pipeline.pipeline import Pipeline
from ...runtime.segmenter import Segmenter
from ...runtime.sinks import open_sink, refuse_overwrite, written_by
from ...runtime.sources import Source, open_source, source_path
from ...runtime.sources.paced.simulated import SimulatedCamera
from ...runtime.sources.table import simulated_fps

Frame = npt.NDArray[np.uint8]


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
        SourceError: a simulated camera whose frames per second are not above 0.
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
    if simulated_fps(source) is not None or not _is_pipe(source_path(source)):
        with open_watched(source, []) as opened:
            fps, live = opened.fps, opened.live
    if not _is_pipe(sink.removeprefix("pipe:")):
        open_sink(sink, fps, live).close()


def _refuse_own_source(source: str, sink: str) -> None:
    refuse_overwrite([] if simulated_fps(source) is not None else [source], written_by(sink))


def _is_pipe(path: str | Path | None) -> bool:
    try:
        return path is not None and stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # a missing or invalid path: opening it raises the error
        return False


def open_watched(source: str, frames: list[Frame]) -> Source:
    """Opens the source of a text; see :func:`watch`."""
    fps = simulated_fps(source)
    return open_source(source) if fps is None else SimulatedCamera(frames, fps)
