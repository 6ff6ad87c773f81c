"""Sinks for runs with several sources: a mosaic of all sources, or a sink per source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ...core.errors import SinkError
from ..frame.hud import write_lines
from ..sources.table import source_path
from .base import Frame, Run, Sink
from .opening import open_sink
from .overwrite import refuse_overwrite, written_by
from .table import PLACEHOLDER, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from ..frame.result import Result
    from ..sources.base import Source

#: Seconds after which the image of a live source counts as outdated.
_OLD_S = 3.0


class MosaicSink(Sink):
    """Combines the overlays of all sources into one image and passes it to other sinks.

    All cells have the size of the first frame; frames of other sizes are scaled, with bars. The image is passed on when
    every source has delivered a new frame, or one source a second one; hence at the rate of the fastest source. The
    cell of a live source is darkened after 3 s without a frame, so that old frames are not mistaken for new ones.

    Args:
        sinks: Open sinks that take images only. They are closed together with this sink.
        count: Number of sources.
        live: Whether the sources are live.
    """

    def __init__(self, sinks: Sequence[Sink], count: int, live: bool) -> None:
        super().__init__(", ".join(sink.text for sink in sinks))
        self._sinks, self._count, self._live = tuple(sinks), count, live
        self._columns = math.ceil(math.sqrt(count))
        self._cell_hw = (0, 0)
        self._canvas: Frame | None = None
        self._fresh: set[int] = set()
        self._painted_s = [0.0] * count
        self._dark: set[int] = set()

    def start(self, run: Run) -> None:
        for sink in self._sinks:
            sink.start(run)

    def take(self, result: Result) -> None:
        if result.origin in self._fresh:
            self._give()
        assert result.overlay_bgr is not None
        self._paint(result.origin, result.overlay_bgr)
        if len(self._fresh) == self._count:
            self._give()

    def write(self, frame_bgr: Frame) -> None:
        raise TypeError("MosaicSink: takes results; call take")

    def close(self) -> None:
        if self._fresh:
            self._give()
        for sink in self._sinks:
            sink.close()

    def _paint(self, origin: int, frame_bgr: Frame) -> None:
        height, width = frame_bgr.shape[:2]
        if self._canvas is None:
            self._cell_hw = (height, width)
            rows = math.ceil(self._count / self._columns)
            self._canvas = np.zeros((rows * height, self._columns * width, 3), np.uint8)
        cell = self._cell(origin)
        if (height, width) == self._cell_hw:
            np.copyto(cell, frame_bgr)
        else:
            scale = min(self._cell_hw[0] / height, self._cell_hw[1] / width)
            h, w = max(round(scale * height), 1), max(round(scale * width), 1)
            top, left = (self._cell_hw[0] - h) // 2, (self._cell_hw[1] - w) // 2
            cell[:] = 0
            cell[top : top + h, left : left + w] = cv2.resize(frame_bgr, (w, h), interpolation=cv2.INTER_AREA)
        self._fresh.add(origin)
        self._dark.discard(origin)
        self._painted_s[origin] = perf_counter()

    def _cell(self, origin: int) -> Frame:
        assert self._canvas is not None
        row, column = divmod(origin, self._columns)
        height, width = self._cell_hw
        return self._canvas[row * height : (row + 1) * height, column * width : (column + 1) * width]

    def _give(self) -> None:
        assert self._canvas is not None
        self._fresh.clear()
        now = perf_counter()
        for origin in range(self._count if self._live else 0):
            if origin not in self._dark and now - self._painted_s[origin] > _OLD_S:
                cell = self._cell(origin)
                dark = np.ascontiguousarray(cell >> 2)  # OpenCV can't draw into a part of the canvas
                write_lines(dark, (f"source {origin}: no frame",))
                np.copyto(cell, dark)
                self._dark.add(origin)
        for sink in self._sinks:
            sink.write(self._canvas)
        self.stop = any(sink.stop for sink in self._sinks)
        self.dropped = sum(sink.dropped for sink in self._sinks)


class OnlySink(Sink):
    """Passes the results of one source to another sink, which is closed together with this sink."""

    def __init__(self, sink: Sink, origin: int) -> None:
        super().__init__(sink.text)
        self.about, self.mask, self.overlay = sink.about, sink.mask, sink.overlay
        self._sink, self._origin = sink, origin

    def start(self, run: Run) -> None:
        self._sink.start(run)

    def take(self, result: Result) -> None:
        if result.origin == self._origin:
            self._sink.take(result)
            self.stop, self.dropped = self._sink.stop, self._sink.dropped

    def write(self, frame_bgr: Frame) -> None:
        self._sink.write(frame_bgr)

    def close(self) -> None:
        self._sink.close()


def open_sinks(
    texts: Sequence[str | Path], sources: Sequence[Source], stack: ExitStack, copy_audio: bool = False
) -> tuple[list[Sink], list[Sink]]:
    """Opens the sinks of a run.

    Args:
        texts: Names as for :func:`seg_edge.runtime.open_sink`. A name with ``{source}`` opens a sink for each source
            and stands for the source's number. Without it, sinks for images get a mosaic of all sources, and folders
            get all frames.
        sources: Open sources.
        stack: Closes the sinks.
        copy_audio: Recordings get the sound of their source, a video file.

    Returns:
        The sinks for the pipeline, and the opened sinks, for messages.

    Raises:
        SinkError: a sink can't be opened, can't take several sources, or would overwrite a source.
    """
    # Check all names before opening the first sink, because opening a recording may replace a file.
    names = [text.replace(PLACEHOLDER, str(origin)) for text in map(str, texts) for origin in range(len(sources))]
    refuse_overwrite([source.text for source in sources], [path for name in names for path in written_by(name)])
    live = any(source.live for source in sources)
    sounds = _sounds(texts, sources) if copy_audio else [None] * len(sources)
    rates = [source.fps for source in sources if source.fps]
    fastest = max(rates, default=None)
    given: list[Sink] = []
    opened: list[Sink] = []
    shared: list[Sink] = []
    for text in map(str, texts):
        if PLACEHOLDER in text:
            for origin, source in enumerate(sources):
                sink = stack.enter_context(
                    open_sink(text.replace(PLACEHOLDER, str(origin)), source.fps, live, sounds[origin])
                )
                given.append(OnlySink(sink, origin))
                opened.append(sink)
            continue
        sink = stack.enter_context(open_sink(text, fastest, live, sounds[0]))
        opened.append(sink)
        if len(sources) > 1 and sink.mask and not sink.overlay:
            raise SinkError(
                f"sink {text}: the masks of {len(sources)} sources can't be told apart in one stream; "
                f"use one for each, such as pipe:masks-{PLACEHOLDER}"
            )
        (shared if len(sources) > 1 and not sink.mask else given).append(sink)
    if shared:
        given.append(stack.enter_context(MosaicSink(shared, len(sources), live)))
    return given, opened


def _sounds(texts: Sequence[str | Path], sources: Sequence[Source]) -> list[str]:
    """The files whose sound is copied, one for each source."""
    recordings = [text for text in map(str, texts) if Path(text).suffix.lower() in VIDEO_SUFFIXES and "://" not in text]
    if not recordings:
        raise SinkError(f"`copy_audio`: no sink is a recording; add one ending in {', '.join(VIDEO_SUFFIXES)}")
    mixed = [text for text in recordings if PLACEHOLDER not in text]
    if len(sources) > 1 and mixed:
        raise SinkError(f"`copy_audio`: {mixed[0]} would have {len(sources)} sounds; use one for each: {PLACEHOLDER}.mp4")
    silent = [source.text for source in sources if source.live or source.video is None or source_path(source.text) is None]
    if silent:
        raise SinkError(f"`copy_audio`: the sound of {silent[0]} can't be copied; only that of a video file can")
    return [str(source_path(source.text)) for source in sources]
