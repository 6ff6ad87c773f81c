"""Segmenters for measuring, which also open files with a fixed batch of several frames."""

from __future__ import annotations

import numpy as np

from ...core.errors import EngineError
from ...runtime.frame.colours import BT601, Colours, Image
from ...runtime.frame.result import Frame
from ...runtime.frame.runner import FrameRunner
from ...runtime.segmenter import Segmenter


class BatchRunner(FrameRunner):
    """Runs a file with any batch; repeats a single frame to fill the batch."""

    def check_batch(self) -> None:
        return

    def single_input(self, frame: Image, pixel_format: str, colours: Colours = BT601) -> Frame:
        single = super().single_input(frame, pixel_format, colours)
        batch = self.engine.batch or 1
        return single if batch == 1 else np.ascontiguousarray(np.repeat(single, batch, 0))


class BatchSegmenter(Segmenter):
    """A :class:`Segmenter` for files with any batch."""

    runner_class = BatchRunner


def resolve_batch(segmenter: Segmenter, asked: int | None) -> int:
    """Frames per inference: the requested batch, else the fixed batch of the file, else 1.

    Raises:
        EngineError: the file has another fixed batch than the requested one.
    """
    fixed = segmenter.engine.batch
    if asked is None or asked == fixed:
        return fixed or 1
    if fixed is None:
        return asked
    path = segmenter.engine.path
    raise EngineError(
        f"{path}: takes batches of {fixed}, not of {asked}; pass `batches={fixed}`, or export the model again with "
        f"`batch={asked}`"
    )
