"""The measured work of a model: frames in memory, through the engine alone or up to overlays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...runtime.frame import kernels
from ...runtime.frame.result import Outs
from ...runtime.segmenter import Segmenter
from ...runtime.sources import SourceFrame
from .untrained import UntrainedSegmenter

Frame = npt.NDArray[np.uint8]
T = TypeVar("T")


class Workload:
    """An open model with reusable inputs and outputs; runs cycle through the frames.

    Args:
        segmenter: The model.
        frames: uint8 (H, W, 3) each, of one size.
        batch: Frames of one run.

    Attributes:
        nbytes: Memory of inputs, overlays and stand-in scores, in bytes.
    """

    def __init__(self, segmenter: Segmenter, frames: Sequence[Frame], batch: int) -> None:
        self.frames, self._batch, self._position = frames, batch, 0
        spec, count = segmenter.spec, len(frames)
        # Engine-only runs get prepared inputs, resized as in the segmenter.
        fitted = [
            frame if frame.shape[:2] == spec.input_hw else kernels.resize(frame, spec.input_hw, spec.resize)
            for frame in frames
        ]
        self._inputs = [np.stack([fitted[(i + k) % count] for k in range(batch)]) for i in range(count)]
        sources = [SourceFrame(frame, i, "", 0.0) for i, frame in enumerate(frames)]
        self._groups = [[sources[(i + k) % count] for k in range(batch)] for i in range(count)]
        # Overlay buffers are reused, as in the pipeline.
        self._outs: list[Outs] = [(None, np.zeros_like(frames[0])) for _ in range(batch)]
        self.nbytes = sum(frames_in.nbytes for frames_in in self._inputs) + batch * frames[0].nbytes
        self.nbytes += self.use(segmenter)

    def use(self, segmenter: Segmenter) -> int:
        """Continues with another segmenter of the same model; returns the bytes of its stand-in scores."""
        self._segmenter = segmenter
        return segmenter.feed(self.frames) if isinstance(segmenter, UntrainedSegmenter) else 0

    def infer(self) -> None:
        """One run of the engine alone."""
        self._segmenter.engine.infer(self._next(self._inputs))

    def process(self) -> dict[str, float]:
        """One run from frames in memory to overlays in memory; milliseconds of its stages."""
        group = self._next(self._groups)
        if self._batch == 1:
            return self._segmenter.process(group[0].image_bgr, mask=False, out=self._outs[0][1]).stages_ms
        return self._segmenter.process_batch(group, self._outs, mask=False)[-1].stages_ms

    def _next(self, items: Sequence[T]) -> T:
        self._position += 1
        return items[self._position % len(items)]
