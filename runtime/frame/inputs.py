"""Network inputs: frames of any size and pixel format, resized into reused buffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core.spec import ModelSpec
from . import kernels
from .colours import BT601, Colours, Image
from .result import Frame

if TYPE_CHECKING:
    from ..sources.base import SourceFrame


class NetworkInputs:
    """Prepares the input of a network and owns the buffers.

    A BGR frame of the network's input size is used directly, without a copy.

    Args:
        spec: Spec of the network.
        threads: Threads of the resize; None is the kernels' default.
    """

    def __init__(self, spec: ModelSpec, threads: int | None) -> None:
        self._spec, self._threads = spec, threads
        # For frames processed one at a time: (1, H, W, 3).
        self._single = np.zeros((1, *spec.input_hw, 3), np.uint8)
        # Unused buffers for frames in flight.
        self._pool: deque[Frame] = deque()

    def single(self, frame: Image, pixel_format: str, colours: Colours = BT601) -> Frame:
        """The input for one frame: uint8 (1, H, W, 3), valid until the next call."""
        fitting = self._fitting(frame, pixel_format)
        if fitting is not None:
            return fitting[None]
        self.resize(frame, pixel_format, self._single[0], colours)
        return self._single

    def batch(self, frames: Sequence[SourceFrame]) -> tuple[Frame, Frame | None]:
        """The input for frames of any sizes that share an inference.

        Returns:
            uint8 (N, H, W, 3), and the buffer to :meth:`give_back` when the network has read it; None if the input is
            the memory of the frame.
        """
        first = frames[0]
        fitting = self._fitting(first.image, first.pixel_format) if len(frames) == 1 else None
        if fitting is not None:
            return fitting[None], None
        buffer = self._take(len(frames))
        inputs = buffer[: len(frames)]
        for frame, input_bgr in zip(frames, inputs, strict=True):
            self.resize(frame.image, frame.pixel_format, input_bgr, frame.colours)
        return inputs, buffer

    def give_back(self, buffer: Frame | None) -> None:
        """Returns a buffer of :meth:`batch`."""
        if buffer is not None:
            self._pool.append(buffer)

    def resize(self, frame: Image, pixel_format: str, out: Frame, colours: Colours = BT601) -> None:
        """Resizes a frame into ``out``, uint8 (H, W, 3), by the model's resize rule."""
        rule, size_hw = self._spec.resize, self._spec.input_hw
        about = {"pixel_format": pixel_format, "colours": colours}
        kernels.resize(frame, size_hw, rule, out=out, threads=self._threads, **about)  # type: ignore[arg-type]

    def _fitting(self, frame: Image, pixel_format: str) -> Frame | None:
        """The frame, if it can be used as the network's input without a conversion."""
        if pixel_format != "bgr" or isinstance(frame, tuple):
            return None
        return frame if frame.shape[:2] == self._spec.input_hw and frame.flags.c_contiguous else None

    def _take(self, count: int) -> Frame:
        """A buffer for at least ``count`` frames."""
        try:
            buffer = self._pool.pop()
        except IndexError:
            buffer = None
        if buffer is None or len(buffer) < count:
            buffer = np.empty((count, *self._spec.input_hw, 3), np.uint8)
        return buffer
