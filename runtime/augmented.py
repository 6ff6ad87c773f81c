"""Test-time augmentation: a frame is seen several times, and the probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..core.errors import InputError, UnknownNameError
from ..core.spec import TTA_VIEWS
from .frame import kernels
from .frame.result import Frame, Logits, Mask, Result, check_frame
from .frame.tiles import ArrayRows, Tiles
from .shared import SharedSegmenter

if TYPE_CHECKING:
    from .segmenter import Segmenter


class AugmentedSegmenter:
    """Averages softmax probabilities over views of a frame.

    ``"flip"`` adds each view's mirror image. ``"scale"`` adds the frame at one and a half times the network's scale, in
    overlapping tiles, see :mod:`seg_edge.runtime.frame.tiles`. Both together take ten inferences instead of one.

    >>> from seg_edge import Segmenter
    >>> with Segmenter("unet-s-camvid") as segmenter:
    ...     AugmentedSegmenter(segmenter, ["flip"]).segment(np.zeros((90, 120, 3), np.uint8)).mask.shape
    (90, 120)

    Args:
        segmenter: An open segmenter, or one that threads share; it is not closed.
        views: Of :data:`seg_edge.core.spec.TTA_VIEWS`, at least one.

    Raises:
        UnknownNameError: there is no such view.
        InputError: the model gives no logits, or its logits' rows or columns don't divide its input.
    """

    def __init__(self, segmenter: Segmenter | SharedSegmenter, views: Sequence[str]) -> None:
        self._shared = segmenter if isinstance(segmenter, SharedSegmenter) else SharedSegmenter(segmenter)
        self.segmenter = self._shared.segmenter
        self._flip, self._scale = "flip" in views, "scale" in views
        spec = self.segmenter.spec
        for view in views:
            if view not in TTA_VIEWS:
                raise UnknownNameError("tta", view, TTA_VIEWS)
        if spec.output != "logits":
            raise InputError(
                f"`tta`: {self.segmenter.engine.path} was exported with `head='labels'` and gives no logits; export it with "
                "`head='logits'`"
            )
        if self._scale:
            if any(side % cells for side, cells in zip(spec.input_hw, spec.output_hw, strict=True)):
                raise InputError("`tta`: scale needs a network whose input is a multiple of its logits' size; take flip")
            self._tiles = Tiles(spec, spec.input_hw)
        # One and a half times the input, in whole pixels of the logits.
        self._zoomed_hw = (
            spec.output_hw[0] * 3 // 2 * (spec.input_hw[0] // spec.output_hw[0]),
            spec.output_hw[1] * 3 // 2 * (spec.input_hw[1] // spec.output_hw[1]),
        )

    def segment(
        self,
        frame: Frame,
        size_hw: tuple[int, int] | None = None,
        *,
        overlay: bool = False,
        out: Mask | None = None,
        name: str = "",
    ) -> Result:
        """Mask, and overlay if asked for, of a frame. Arguments and errors as of :meth:`.SharedSegmenter.segment`."""
        check_frame(frame)
        begun = perf_counter()
        logits = self.logits(frame)
        if size_hw is not None and size_hw != frame.shape[:2]:
            frame = np.broadcast_to(np.uint8(0), (*size_hw, 3))  # without an overlay only its size counts
        stages_ms = {"views": 1e3 * (perf_counter() - begun)}
        return self.segmenter.paint(logits, frame, overlay, out, stages_ms, name=name, captured_s=begun)

    def logits(self, frame: Frame) -> Logits:
        """Logarithms of the mean probabilities: float32 (C, h, w), with ``"scale"`` one and a half times as high and wide as
        the network's output. Their softmax is the mean.

        Raises:
            EngineError: the engine failed.
        """
        spec = self.segmenter.spec
        image = kernels.resize(frame, spec.input_hw, spec.resize)
        views = [image, _mirrored(image)] if self._flip else [image]
        mean = _mean([self._infer(view) for view in views])
        if self._scale:
            zoomed = kernels.resize(frame, self._zoomed_hw, spec.resize)
            views = [zoomed, _mirrored(zoomed)] if self._flip else [zoomed]
            finer = _mean([self._tiled(view) for view in views])
            coarse = cv2.resize(mean.transpose(1, 2, 0), finer.shape[:0:-1], interpolation=cv2.INTER_LINEAR)
            mean = (finer + coarse.reshape(*finer.shape[1:], -1).transpose(2, 0, 1)) / 2
        return np.ascontiguousarray(np.log(np.maximum(mean, 1e-12)), np.float32)

    def _infer(self, image: Frame) -> Logits:
        found: Logits = self._shared.network_output(image[None])[0]
        return found

    def _tiled(self, image: Frame) -> Logits:
        with ThreadPoolExecutor(1) as pool:
            found = self._tiles.logits(ArrayRows(image), lambda tile: self._infer(np.ascontiguousarray(tile)), pool, 1)
            return np.concatenate(list(found), 1)


def _mirrored(image: Frame) -> Frame:
    return np.ascontiguousarray(image[:, ::-1])


def _mean(views: Sequence[Logits]) -> Logits:
    """Mean of the softmax of a view and, if given, that of its mirror image."""
    shares = [_softmax(logits) for logits in views]
    return shares[0] if len(shares) == 1 else np.asarray((shares[0] + shares[1][:, :, ::-1]) / 2, np.float32)


def _softmax(logits: Logits) -> Logits:
    powers = np.exp(logits - logits.max(0))
    found: Logits = np.asarray(powers / powers.sum(0), np.float32)
    return found
