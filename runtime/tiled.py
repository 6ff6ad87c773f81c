"""A segmenter for images much larger than the network's input."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from .frame import kernels
from .frame.result import Frame, Logits, Result, check_frame
from .frame.tiles import ArrayRows, Rows, Strip, Tiles
from .shared import SharedSegmenter

if TYPE_CHECKING:
    from .segmenter import Segmenter


class TiledSegmenter:
    """Cuts images into overlapping tiles and blends their logits, see :mod:`seg_edge.runtime.frame.tiles`.

    >>> from seg_edge import Segmenter
    >>> with Segmenter("unet-s-camvid", throughput=True) as segmenter:
    ...     tiled = TiledSegmenter(segmenter, segmenter.spec.input_hw, overlap=64)
    ...     tiled.segment(np.zeros((700, 900, 3), np.uint8)).mask.shape
    (700, 900)

    Args:
        segmenter: An open segmenter, or one that threads share; it is not closed.
        tile_hw, overlap: See :class:`.Tiles`.

    Raises:
        InputError: as :class:`.Tiles`.
    """

    def __init__(self, segmenter: Segmenter | SharedSegmenter, tile_hw: tuple[int, int], overlap: int | None = None) -> None:
        self._shared = segmenter if isinstance(segmenter, SharedSegmenter) else SharedSegmenter(segmenter)
        self.segmenter = self._shared.segmenter
        self.tiles = Tiles(self.segmenter.spec, tile_hw, overlap)
        engine = self.segmenter.engine
        # With parallel requests the cores are busy with networks.
        self._threads = 1 if engine.parallel > 1 else None
        self._ahead = max(self.segmenter.most_in_flight, 1)

    def segment(self, frame: Frame, *, overlay: bool = False, name: str = "") -> Result:
        """Mask, and overlay and confidence if asked for, of a frame: uint8 (H, W, 3), BGR.

        Raises:
            TypeError, ValueError: the array has a wrong dtype or shape.
            EngineError: the engine failed.
        """
        check_frame(frame)
        begun = perf_counter()
        mask = np.empty(frame.shape[:2], np.uint8)
        confidence = None if self.segmenter.confidence is None else np.empty_like(mask)
        for strip in self.strips(ArrayRows(frame)):
            mask[strip.y : strip.y + len(strip.mask)] = strip.mask
            if confidence is not None and strip.confidence is not None:
                confidence[strip.y : strip.y + len(strip.mask)] = strip.confidence
        painted = None
        if overlay:
            style = self.segmenter.style
            painted = kernels.blend(mask, frame, style.palette_bgr, threads=self._threads, **style.arguments)
        stages_ms = {"tiles": 1e3 * (perf_counter() - begun)}
        return Result(frame, mask, painted, stages_ms, name=name, captured_s=begun, confidence=confidence)

    def strips(self, rows: Rows) -> Iterator[Strip]:
        """Mask and confidence from top to bottom, of an image that need not lie in memory.

        Raises:
            EngineError: the engine failed.
        """
        with ThreadPoolExecutor(self._ahead, "tiles") as pool:
            yield from self.tiles.strips(rows, self._logits, pool, self._ahead + 1, self.segmenter.confidence, self._threads)

    def _logits(self, tile: Frame) -> Logits:
        spec = self.segmenter.spec
        if tile.shape[:2] == spec.input_hw:
            tile = np.ascontiguousarray(tile)
        else:
            tile = kernels.resize(tile, spec.input_hw, spec.resize, threads=self._threads)
        found: Logits = self._shared.network_output(tile[None])[0]
        return found
