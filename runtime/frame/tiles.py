"""Images much larger than the network's input: overlapping tiles whose logits are blended, from top to bottom.

Tiles lie on the grid of the logits' pixels (cells), so that their logits are added where they are, at the network's own
resolution, and interpolated once. Weights fall along the middle half of the overlap as a raised cosine (Hann windows:
Pielawski and Wählby, Introducing Hann windows for reducing edge-effects in patch-based image segmentation, PLoS ONE 15(3),
2020). The quarter next to a tile's border, around which the network sees least, counts only where no other tile lies: a
wide overlap then agrees more with the untiled network (benchmarks/tiles.py). Weights sum to 1 everywhere.

Tiles are apart by multiples of the network's total stride where that can be. A network that halves its input five times sees
the same things alike only 32 pixels apart, so tiles between would disagree with their neighbours, however wide the overlap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from ...core.spec import ModelSpec
from . import kernels
from .confidence import Confidence
from .fit import Window
from .result import Frame, Logits, Mask

#: A tile's longest side, pixels: rows of cells and their neighbours stay within the kernels' limit.
MOST_TILE = 8192
#: The total stride of usual networks, pixels of the input.
_STRIDE = 32
#: Columns painted at once, pixels: images may be wider than the kernels' limit.
_COLUMNS = 4096
#: A weight that is nothing beside another tile's, and all where there is none.
_LEAST = 1e-6


class Rows(Protocol):
    """An image that is read from top to bottom.

    Attributes:
        size_hw: Its height and width.
    """

    size_hw: tuple[int, int]

    def read(self, count: int) -> Frame:
        """The next ``count`` rows: uint8 (count, W, 3), BGR."""
        ...


class Strip(NamedTuple):
    """Rows of a result.

    Attributes:
        y: The first one's number.
        mask: uint8 (n, W).
        confidence: The same, see :attr:`.Result.confidence`.
    """

    y: int
    mask: Mask
    confidence: Mask | None


class ArrayRows:
    """The rows of a frame in memory."""

    def __init__(self, frame: Frame) -> None:
        self.size_hw = frame.shape[:2]
        self._frame, self._at = frame, 0

    def read(self, count: int) -> Frame:
        self._at += count
        return self._frame[self._at - count : self._at]


@dataclass(frozen=True)
class Axis:
    """Where tiles lie along one side of an image.

    Attributes:
        cell: Pixels of a cell.
        tile: Cells of a tile.
        cells: Cells of all tiles together; they cover the image, and where it ends it is mirrored.
        starts: The first cell of each tile.
        weights: float32 (tile,) for each tile.
    """

    cell: int
    tile: int
    cells: int
    starts: tuple[int, ...]
    weights: tuple[npt.NDArray[np.float32], ...]

    @classmethod
    def make(cls, length: int, cell: int, tile: int, overlap: int, stride: int = 1) -> Axis:
        """Lays tiles of ``tile`` cells over ``length`` pixels; neighbours share at least ``overlap`` pixels.

        They are apart by multiples of ``stride`` cells, except for the last one, which ends with the image.

        >>> Axis.make(100, 4, 10, 8).starts  # 25 cells, of which neighbours share at least 2
        (0, 8, 15)
        >>> Axis.make(200, 4, 10, 8, 3).starts
        (0, 6, 12, 18, 24, 30, 36, 40)
        """
        step = tile - -(-overlap // cell)
        shared = tile - (step // stride * stride or step)
        cells = max(-(-length // cell), tile)
        starts = [*range(0, cells - tile, tile - shared), cells - tile]
        ramp = np.ones(tile)
        if shared:
            # From 0 to 1 along the overlap's middle: complementary where neighbours share exactly so much.
            way = np.clip(2 * (np.arange(shared) + 0.5) / shared - 0.5, 0, 1)
            rising = np.maximum(0.5 - 0.5 * np.cos(np.pi * way), _LEAST)
            ramp[:shared] = rising
            ramp[tile - shared :] = np.minimum(ramp[tile - shared :], rising[::-1])
        total = np.zeros(cells)
        for start in starts:
            total[start : start + tile] += ramp
        weights = tuple((ramp / total[start : start + tile]).astype(np.float32) for start in starts)
        return cls(cell, tile, cells, tuple(starts), weights)


def _stride(pixels: int, cells: int) -> int:
    """The network's total stride in cells along a side of its input; 1 where it isn't a number of them.

    >>> _stride(352, 88), _stride(40, 10), _stride(96, 10)
    (8, 2, 1)
    """
    whole, rest = divmod(gcd(pixels, _STRIDE) * cells, pixels)
    return 1 if rest else max(whole, 1)


class Tiles:
    """Cuts images into tiles for one network.

    Args:
        spec: Spec of the network.
        tile_hw: Height and width of a tile, pixels of the image, multiples of the logits' height and width; it is resized to
            the network's input.
        overlap: Pixels that neighbours share at least; None is half the tile's shorter side, or what is next below it with
            tiles that are apart by multiples of the network's stride.

    Raises:
        InputError: the network gives no logits, or a size doesn't fit.
    """

    def __init__(self, spec: ModelSpec, tile_hw: tuple[int, int], overlap: int | None = None) -> None:
        if spec.output != "logits":
            raise InputError("`tile`: the model was exported with `head='labels'`; export it with `head='logits'`")
        self._spec, self.tile_hw = spec, tile_hw
        self._strides = tuple(map(_stride, spec.input_hw, spec.output_hw))
        self.overlap = self._usual_overlap() if overlap is None else overlap
        for side, cells in zip(tile_hw, spec.output_hw, strict=True):
            if side % cells or not side <= MOST_TILE:
                height, width = (max(round(s / c), 1) * c for s, c in zip(tile_hw, spec.output_hw, strict=True))
                raise InputError(
                    f"`tile`: expected multiples of the logits' {spec.output_hw[0]}x{spec.output_hw[1]}, at most "
                    f"{MOST_TILE}, got {tile_hw[0]}x{tile_hw[1]}; use {height}x{width}, or the network's input "
                    f"{spec.input_hw[0]}x{spec.input_hw[1]}"
                )
            if not 0 <= self.overlap <= side - side // cells:
                raise InputError(f"`overlap`: expected less than the tile's {side}, got {self.overlap}")
        if spec.resize == "letterbox" and tile_hw[0] * spec.input_hw[1] != tile_hw[1] * spec.input_hw[0]:
            raise InputError(
                "`tile`: the model keeps an image's proportions; use those of its input, "
                f"{spec.input_hw[0]}x{spec.input_hw[1]}"
            )

    def _usual_overlap(self) -> int:
        shorter = int(self.tile_hw[1] < self.tile_hw[0])
        side, cells, stride = self.tile_hw[shorter], self._spec.output_hw[shorter], self._strides[shorter]
        step = -(-cells // (2 * stride)) * stride
        return side // 2 if step >= cells else (cells - step) * (side // cells)

    def axes(self, size_hw: tuple[int, int]) -> tuple[Axis, Axis]:
        """The tiles over an image, along its height and its width."""
        first, second = (
            Axis.make(length, side // cells, cells, self.overlap, stride)
            for length, side, cells, stride in zip(size_hw, self.tile_hw, self._spec.output_hw, self._strides, strict=True)
        )
        return first, second

    def logits(self, rows: Rows, infer: Callable[[Frame], Logits], pool: Executor, ahead: int) -> Iterator[Logits]:
        """Blended logits of an image, from top to bottom.

        Args:
            rows: The image.
            infer: A tile, uint8 of ``tile_hw`` and 3, to its logits, float32 (C, h, w).
            pool: Where tiles are computed.
            ahead: Tiles in work at once.

        Yields:
            float32 (C, n, cells of a row): the next n rows of cells.
        """
        down, across = self.axes(rows.size_hw)
        bands = _Bands(rows, self.tile_hw, down, across)
        total: Logits | None = None
        for number, start in enumerate(down.starts):
            band = bands.at(start)
            row: Logits | None = None
            tiles = (band[:, x * across.cell : x * across.cell + self.tile_hw[1]] for x in across.starts)
            for x, weight, found in zip(across.starts, across.weights, _ahead(infer, tiles, pool, ahead), strict=True):
                if row is None:
                    row = np.zeros((len(found), down.tile, across.cells), np.float32)
                row[:, :, x : x + across.tile] += found * weight
            assert row is not None
            row *= down.weights[number][:, None]
            if total is not None:
                row[:, : total.shape[1]] += total
            last = number + 1 == len(down.starts)
            ready = down.tile if last else down.starts[number + 1] - start
            yield row[:, :ready]
            total = row[:, ready:]

    def strips(
        self,
        rows: Rows,
        infer: Callable[[Frame], Logits],
        pool: Executor,
        ahead: int,
        confidence: Confidence | None = None,
        threads: int | None = None,
    ) -> Iterator[Strip]:
        """Mask and confidence of an image in strips, from top to bottom. Arguments as of :meth:`logits`."""
        height, width = rows.size_hw
        down, across = self.axes(rows.size_hw)
        held: Logits | None = None
        first = y = 0  # the first row of cells in `held`, the first row of pixels that is not painted yet
        for found in self.logits(rows, infer, pool, ahead):
            held = found if held is None else np.concatenate((held, found), 1)
            cells = first + held.shape[1]
            # Pixels below the centre of the last row of cells wait for the next one.
            end = height if cells == down.cells else min(height, ((2 * cells - 1) * down.cell + 1) // 2)
            if end > y:
                window = (y - first * down.cell, end - y, held.shape[1] * down.cell)
                yield _painted(held, y, window, width, across.cell, confidence, threads)
            held, first, y = held[:, -1:], cells - 1, max(end, y)


class _Bands:
    """Rows of pixels under a row of tiles: each row is read once."""

    def __init__(self, rows: Rows, tile_hw: tuple[int, int], down: Axis, across: Axis) -> None:
        self._rows, self._down = rows, down
        self._height, self._width = rows.size_hw
        self._band = np.empty((tile_hw[0], across.cells * across.cell, 3), np.uint8)
        self._mirror = np.pad(np.arange(self._width), (0, self._band.shape[1] - self._width), "symmetric")[self._width :]
        self._top = self._read = 0

    def at(self, cell: int) -> Frame:
        """The band that begins at a row of cells; it is valid until the next call."""
        top, band = cell * self._down.cell, self._band
        kept = self._read - top
        if kept > 0:
            band[:kept] = band[top - self._top : top - self._top + kept].copy()
        end = min(top + len(band), self._height)
        band[kept : end - top, : self._width] = self._rows.read(end - self._read)
        if self._mirror.size:
            band[kept : end - top, self._width :] = band[kept : end - top, self._mirror]
        if end - top < len(band):
            band[end - top :] = band[np.pad(np.arange(end - top), (0, len(band) - (end - top)), "symmetric")[end - top :]]
        self._top, self._read = top, end
        return band


def _ahead(infer: Callable[[Frame], Logits], tiles: Iterator[Frame], pool: Executor, ahead: int) -> Iterator[Logits]:
    """The results of tiles in order, a few of them in work at once."""
    working: deque[Future[Logits]] = deque()
    try:
        for tile in tiles:
            working.append(pool.submit(infer, tile))
            if len(working) >= ahead:
                yield working.popleft().result()
        while working:
            yield working.popleft().result()
    finally:
        for future in working:
            future.cancel()


def _painted(
    held: Logits,
    y: int,
    window: tuple[int, int, int],
    width: int,
    cell: int,
    confidence: Confidence | None,
    threads: int | None,
) -> Strip:
    """Paints rows of pixels: ``window`` says from which one of the held cells' on, how many, and of how many."""
    top, count, of_height = window
    mask = np.empty((count, width), np.uint8)
    sure = None if confidence is None else np.empty((count, width), np.uint8)
    for left in range(0, width, _COLUMNS):
        right = min(left + _COLUMNS, width)
        # One cell more at each side: what the pixels at the border are interpolated with.
        low, high = max(left // cell - 1, 0), min(-(-right // cell) + 1, held.shape[2])
        logits = np.ascontiguousarray(held[:, :, low:high])
        view = Window(top, left - low * cell, count, right - left, of_height, (high - low) * cell)
        size_hw = (count, right - left)
        part = kernels.upsample_argmax(logits, size_hw, window=view, threads=threads)
        if confidence is not None and sure is not None:
            sure[:, left:right] = kernels.confidence(
                logits,
                size_hw,
                confidence.measure,
                mask=part,
                threshold=confidence.threshold,
                below=confidence.below,
                window=view,
                threads=threads,
            )
        mask[:, left:right] = part
    return Strip(y, mask, sure)
