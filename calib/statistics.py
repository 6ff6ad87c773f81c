"""Activation statistics: the distribution of each tensor's values over the calibration frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx

from ..core.errors import DataError
from .graph import Frames, run, session, up_to

# 2048 bins are 8 per level over the full range: enough for clipping searches, and the number of TensorRT's calibrator.
BINS = 2048

# Below this standard deviation of the colours, in grey levels, a frame counts as empty. Noise alone gives about 2.
FLAT = 4.0

T = TypeVar("T")
#: Wraps a loop to show its progress: ``track(items, "what it does")``.
Track = Callable[[Sequence[T], str], Iterable[T]]


def silent(items: Sequence[T], _what: str) -> Iterable[T]:
    """A :data:`Track` without output."""
    return items


@dataclass(frozen=True)
class TensorStatistics:
    """Values of one tensor over all calibration frames.

    Attributes:
        minimum, maximum: Smallest and largest value.
        counts: int64 (BINS,), values per bin; the bins divide ``minimum..maximum`` evenly.
    """

    minimum: float
    maximum: float
    counts: npt.NDArray[np.int64]

    @property
    def centers(self) -> npt.NDArray[np.float64]:
        """Middle of each bin, float64 (BINS,)."""
        width = (self.maximum - self.minimum) / len(self.counts)
        return np.asarray(self.minimum + width * (np.arange(len(self.counts)) + 0.5))


def check_frames(frames: Sequence[Frames]) -> None:
    """Rejects calibration frames of a single colour, as from a lens cap, a broken camera or a failed decoder.

    Ranges from such frames would clip most values of real frames.

    Raises:
        DataError: more than half of the frames have nearly one colour.
    """
    empty = sum(float(frame.std((0, 1, 2)).max()) < FLAT for frame in frames)
    if 2 * empty > len(frames):
        raise DataError(
            f"calibration: {empty} of {len(frames)} frames are of one colour (black, or a failed decoder?); "
            "pass frames as the camera will deliver them"
        )


def collect(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    frames: Sequence[Frames],
    *,
    track: Track[Frames] = silent,
) -> dict[str, TensorStatistics]:
    """Runs the frames through the float graph twice: the first pass finds extremes, the second fills histograms.

    Args:
        model: Float graph with one input, ``frames``.
        tensors: Names of float32 tensors in the graph.
        frames: uint8 (N, H, W, 3) each, at the network's input size.
        track: Wraps the loop of each pass, to show progress.

    Raises:
        DataError: no frames, or a tensor has a value that is not finite.
    """
    if not frames:
        raise DataError("calibration: got 0 frames; pass a data set as `data`")
    names = list(dict.fromkeys(tensors))
    opened = session(up_to(model, names))
    low = np.full(len(names), np.inf)
    high = np.full(len(names), -np.inf)
    for frame in track(frames, "calibrate: ranges"):
        for i, values in enumerate(run(opened, frame)):
            low[i], high[i] = min(low[i], float(values.min())), max(high[i], float(values.max()))
    for name, least, most in zip(names, low, high, strict=True):
        if not np.isfinite([least, most]).all():
            raise DataError(f"calibration: tensor {name} takes values {least}..{most}; the network's weights are damaged")
    counts = np.zeros((len(names), BINS), np.int64)
    for frame in track(frames, "calibrate: histograms"):
        for i, values in enumerate(run(opened, frame)):
            counts[i] += _histogram(values, low[i], high[i])
    return {name: TensorStatistics(float(low[i]), float(high[i]), counts[i]) for i, name in enumerate(names)}


def _histogram(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.int64]:
    # np.histogram resolves bin edges in float64 and takes four times as long. That precision makes no difference here.
    if high <= low:
        counts = np.zeros(BINS, np.int64)
        counts[0] = values.size
        return counts
    index = ((values.ravel() - np.float32(low)) * np.float32(BINS / (high - low))).astype(np.int32)
    return np.asarray(np.bincount(np.clip(index, 0, BINS - 1, out=index), minlength=BINS))
