"""The gate: computes the network only when its own input has changed."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from .._kernels import square_differences

Frame = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
F32 = npt.NDArray[np.float32]

#: Pixels of a square's side (SE_SQUARE in segedge.h).
SQUARE = 16
#: Comparisons that calibrate the noise; their frames are all computed.
_CALIBRATION = 8
#: A square has changed if its mean difference is above FACTOR * noise + MARGIN, in grey levels. Over the 768 values of a
#: square the noise's own mean differs by about 3 %, so FACTOR is more than ten deviations away from a false alarm.
_FACTOR, _MARGIN = 1.35, 0.5
#: Noise that is believed at most, grey levels: what is above it is motion. Sensors have less in frames that were scaled
#: down.
_MOST_NOISE = 4.0
#: A square's noise is at most so many times that of the middle one: what moves there must not pass for noise.
_MOST_OF_MEDIAN = 2.0
#: How fast an estimate follows less and more noise, per frame.
_FALL, _RISE = 0.2, 0.01
#: Frames that are computed although nothing moves any more, whose mean is then repeated: one noisy frame is a worse guess.
_REST = 8
#: After so many comparisons in a row that found motion, frames are left out from comparing, up to _MOST_SKIPPED: a moving
#: camera changes every frame, and comparing it would be in vain.
_PATIENCE, _MOST_SKIPPED = 8, 7


class Work(IntEnum):
    """What a frame asks for. The first is false."""

    REPEAT = 0
    #: The network, although nothing moves: its output joins the mean of those since the last motion.
    REST = 1
    #: The network, because the picture has changed, or may have.
    MOVED = 2


def square_means(a: Frame, b: Frame, out: U32 | None = None) -> F32:
    """Mean absolute difference of each square of 16x16 pixels of two images, grey levels: float32 (rows, columns).

    >>> square_means(np.zeros((16, 32, 3), np.uint8), np.full((16, 32, 3), 3, np.uint8))
    array([[3., 3.]], dtype=float32)

    Args:
        a, b: uint8 (H, W, 3), C-contiguous.
        out: uint32, for the sums; None allocates.
    """
    shape = _grid(a.shape[0]), _grid(a.shape[1])
    sums = np.empty(shape, np.uint32) if out is None else out
    square_differences(a, b, sums)
    return np.divide(sums, _values(a.shape[0], a.shape[1]), dtype=np.float32)


def _grid(side: int) -> int:
    return -(-side // SQUARE)


def _values(height: int, width: int) -> F32:
    """Number of values of each square."""
    sides = [np.minimum(np.arange(_grid(side)) * SQUARE + SQUARE, side) - np.arange(_grid(side)) * SQUARE
             for side in (height, width)]  # fmt: skip
    return (3 * sides[0][:, None] * sides[1][None, :]).astype(np.float32)


@dataclass
class _Source:
    """What is known of a source.

    Attributes:
        reference: The input that was computed last.
        size: Of its frame, and its pixel format.
        noise: Mean difference of each square while nothing moves, grey levels.
        seen: Comparisons.
        moved: Comparisons in a row that found motion.
        skipped: Frames that are still to be computed without a comparison.
        rested: Frames that were computed since, though nothing moves.
    """

    reference: Frame
    size: tuple[object, ...]
    values: F32
    sums: U32
    computed_s: float
    noise: F32 = field(default_factory=lambda: np.empty(0, np.float32))
    seen: int = 0
    moved: int = 0
    skipped: int = 0
    rested: int = 0


class Gate:
    """Decides for each frame whether the network must compute it.

    A frame is compared with the last *computed* one, so that slow changes add up until they are seen. The noise of each
    square is learned while nothing moves there.

    Args:
        every_s: At least one computation in so many seconds of a source.

    Raises:
        InputError: ``every_s`` is not positive.
    """

    def __init__(self, every_s: float) -> None:
        if not every_s > 0:
            raise InputError(f"`gate`: expected seconds above 0 between computations, got {every_s}")
        self._every_s = every_s
        self._sources: dict[int, _Source] = {}
        self._lock = threading.Lock()

    def work(self, input_bgr: Frame, time_s: float, size: tuple[object, ...], origin: int = 0) -> Work:
        """What a frame asks for.

        Args:
            input_bgr: The network's input, uint8 (H, W, 3), C-contiguous; copied if it is to be kept.
            time_s: The frame's time.
            size: The frame's size and pixel format; another one must be computed.
            origin: Number of the source.
        """
        with self._lock:
            source = self._sources.get(origin)
            if source is None or source.size != size or source.reference.shape != input_bgr.shape:
                shape = input_bgr.shape[:2]
                sums = np.empty((_grid(shape[0]), _grid(shape[1])), np.uint32)
                self._sources[origin] = _Source(input_bgr.copy(), size, _values(*shape), sums, time_s)
                return Work.MOVED
            found = self._found(source, input_bgr, time_s)
            if found:
                source.computed_s = time_s
            return found

    def _found(self, source: _Source, input_bgr: Frame, time_s: float) -> Work:
        if source.skipped:
            source.skipped -= 1
            if not source.skipped:  # the next one is compared with this one
                np.copyto(source.reference, input_bgr)
            return Work.MOVED
        calibrated = source.seen >= _CALIBRATION
        if self._differs(source, input_bgr):
            source.rested = 0
            source.moved += calibrated
            if source.moved > _PATIENCE:
                source.skipped = min(2 ** (source.moved - _PATIENCE) - 1, _MOST_SKIPPED)
            else:
                np.copyto(source.reference, input_bgr)
            return Work.MOVED
        source.moved = 0
        if source.rested < _REST:
            source.rested += 1
        elif 0 <= time_s - source.computed_s < self._every_s:
            return Work.REPEAT
        np.copyto(source.reference, input_bgr)
        return Work.REST

    def _differs(self, source: _Source, input_bgr: Frame) -> bool:
        square_differences(source.reference, input_bgr, source.sums)
        means: F32 = np.divide(source.sums, source.values, dtype=np.float32)
        source.seen += 1
        if source.seen <= _CALIBRATION:
            source.noise = means if source.seen == 1 else np.minimum(source.noise, means)
            return True
        middle = source.noise.size // 2
        median = float(np.partition(source.noise.ravel(), middle)[middle])  # a tenth of np.median's time
        highest = min(_MOST_NOISE, max(_MOST_OF_MEDIAN * median, 0.25))
        found = bool((means > _FACTOR * np.minimum(source.noise, highest) + _MARGIN).any())
        speed = np.where(means < source.noise, np.float32(_FALL), np.float32(_RISE))
        source.noise = (source.noise + speed * (means - source.noise)).astype(np.float32)
        return found

    def reset(self) -> None:
        """Forgets all sources: the next frame of each is computed."""
        with self._lock:
            self._sources.clear()
