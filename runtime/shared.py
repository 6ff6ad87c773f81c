"""A segmenter that any number of threads may call at once, beside one engine."""

from __future__ import annotations

import threading
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .frame import kernels
from .frame.result import Frame, Mask, Result
from .sources.base import SourceFrame

if TYPE_CHECKING:
    from .segmenter import Segmenter


class SharedSegmenter:
    """Takes frames from any number of threads.

    Frames go to the network in the order in which they come. Each thread prepares its own frame and paints its own result,
    so decoding, painting and encoding run beside the network.

    >>> from seg_edge import Segmenter
    >>> with Segmenter("unet-s-camvid", throughput=True) as segmenter:
    ...     shared = SharedSegmenter(segmenter)
    ...     shared.segment(np.zeros((360, 640, 3), np.uint8), size_hw=(720, 1280)).mask.shape
    (720, 1280)

    Args:
        segmenter: An open segmenter, which is not closed. Only this object may use it.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self._starting = threading.Lock()
        self._slots = threading.Semaphore(segmenter.most_in_flight)
        # Set when the request that was started last has left the network.
        self._computed = threading.Event()
        self._computed.set()

    def segment(
        self,
        frame: Frame,
        size_hw: tuple[int, int] | None = None,
        *,
        mask: bool = True,
        overlay: bool = False,
        out: Mask | None = None,
        name: str = "",
    ) -> Result:
        """Mask and overlay of a frame.

        Args:
            frame: uint8 (H, W, 3), BGR. It must not change until the call returns.
            size_hw: Height and width of the mask; default: the frame's. Another size is for frames that were scaled down
                while they were decoded, and excludes ``overlay``.
            mask, overlay: Whether to compute the mask and the overlay.
            out: Array for the mask, uint8 of that size; None allocates.
            name: Name of the result.

        Raises:
            EngineError: the engine failed.
        """
        size_hw = size_hw or frame.shape[:2]
        if self.segmenter.most_in_flight == 1:
            return self._one_by_one(frame, size_hw, mask, overlay, out, name)
        begun = perf_counter()
        with self._slots:
            mine = threading.Event()
            with self._starting:
                pending = self.segmenter.start([SourceFrame(frame, 0, name, begun)])
                before, self._computed = self._computed, mine
            try:
                before.wait()  # the oldest request is finished first
                if size_hw != frame.shape[:2]:
                    # Where no overlay is painted, only the size of the frame counts.
                    shape = np.broadcast_to(np.uint8(0), (*size_hw, 3))
                    pending = replace(pending, frames=(replace(pending.frames[0], image=shape),))
                return self.segmenter.finish(pending, [(out, None)], mask=mask, overlay=overlay, computed=mine.set)[0]
            finally:
                mine.set()

    def network_output(self, frames: Frame) -> npt.NDArray[Any]:
        """The network's own output for frames of its input size.

        Args:
            frames: uint8 (N, H, W, 3), C-contiguous.

        Returns:
            float32 (N, C, h, w) logits or uint8 (N, H, W) labels, the caller's.

        Raises:
            EngineError: the engine failed.
        """
        engine = self.segmenter.engine
        with self._slots:
            mine = threading.Event()
            with self._starting:
                ticket = engine.start(frames)
                before, self._computed = self._computed, mine
            try:
                before.wait()
                output: npt.NDArray[Any] = engine.wait(ticket).copy()
            finally:
                mine.set()
                engine.release(ticket)
        return output

    def _one_by_one(
        self, frame: Frame, size_hw: tuple[int, int], mask: bool, overlay: bool, out: Mask | None, name: str
    ) -> Result:
        """For engines whose device takes a frame all the way."""
        captured_s = perf_counter()
        with self._starting:
            if frame.shape[:2] != size_hw:
                frame = kernels.resize(frame, size_hw, "bilinear")
            return self.segmenter.process(frame, mask=mask, overlay=overlay, mask_out=out, name=name, captured_s=captured_s)
