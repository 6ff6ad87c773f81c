"""Segmenters for measuring: they also open files that fix a batch of several frames, which a live source never fills."""

from __future__ import annotations

import numpy as np

from ...core.errors import EngineError
from ...runtime.frame.result import Frame
from ...runtime.frame.runner import FrameRunner
from ...runtime.segmenter import Segmenter


class BatchRunner(FrameRunner):
    """Runs a file with any batch; a single frame is repeated until it fills the batch."""

    def check_batch(self) -> None:
        return

    def single_input(self, frame: Frame, pixel_format: str) -> Frame:
        single = super().single_input(frame, pixel_format)
        batch = self.engine.batch or 1
        return single if batch == 1 else np.ascontiguousarray(np.repeat(single, batch, 0))


class BatchSegmenter(Segmenter):
    """A :class:`Segmenter` of a file with any batch."""

    runner_class = BatchRunner


def resolve_batch(segmenter: Segmenter, asked: int | None) -> int:
    """Frames per inference: what was asked for, else what the file fixes, else 1.

    Raises:
        EngineError: the file fixes another number than was asked for.
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
