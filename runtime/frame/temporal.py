"""Temporal smoothing of logits, and a measure for the flicker of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError

Array = npt.NDArray[Any]
F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]


class LogitsSmoother:
    """Exponential mean of a video's logits, in float32: ``state = (1 - weight) * state + weight * logits``.

    The first frame, and a frame of another shape, sets the state. Non-finite values (from an overflow in fp16) are
    replaced by the values of the next frame; otherwise they would persist.

    Args:
        weight: Weight of the new frame, above 0 to 1. 1 disables smoothing. With 0.5 the mask follows a change within
            one or two frames, and a frame n frames ago has a weight of 0.5 ** n relative to the newest frame.

    Raises:
        InputError: ``weight`` is out of range.
    """

    def __init__(self, weight: float) -> None:
        if not 0 < weight <= 1:
            raise InputError(f"smooth: expected the new frame's share, above 0 to 1 (1 smooths nothing), got {weight}")
        self.weight = float(weight)
        self._state: F32 | None = None
        self._scratch: F32 | None = None

    def __call__(self, logits_chw: Array) -> F32:
        """Adds a frame and returns the mean.

        Args:
            logits_chw: float32, float16, int8 or uint8, (C, h, w). Quantized codes need neither scale nor zero point if
                both are the same for all frames, because the mean of codes is the code of the mean.

        Returns:
            float32, (C, h, w), C-contiguous. Valid until the next call; read-only for the caller.

        Raises:
            TypeError: the dtype is not supported.
        """
        if logits_chw.dtype.name not in ("float32", "float16", "int8", "uint8"):
            raise TypeError(
                f"LogitsSmoother: logits_chw must be float32, float16, int8 or uint8, got {logits_chw.dtype}; "
                "use logits_chw.astype(np.float32)"
            )
        state, scratch = self._state, self._scratch
        if state is None or scratch is None or state.shape != logits_chw.shape:
            self._state, self._scratch = np.array(logits_chw, np.float32, order="C"), np.empty(logits_chw.shape, np.float32)
            return self._state
        with np.errstate(invalid="ignore", over="ignore"):
            np.multiply(logits_chw, np.float32(self.weight), out=scratch, dtype=np.float32, casting="same_kind")
            np.multiply(state, np.float32(1 - self.weight), out=state)
            np.add(state, scratch, out=state)
        finite = np.isfinite(state)
        if not finite.all():
            np.copyto(state, logits_chw, where=~finite)
        return state

    def reset(self) -> None:
        """Resets the state. Call this before another source, or after a cut."""
        self._state = self._scratch = None


class AdaptiveSmoother:
    """A mean of a video's class probabilities that follows changes at once, and smooths what only wavers.

    Noise moves probabilities a little, mostly where two classes are nearly equal, and an object that comes or goes moves
    them a lot. So the new frame's weight depends, pixel by pixel, on the largest difference of a class's probability from
    the mean: ``state += weight * (softmax(logits) - state)``, where the weight rises from 0.05 at a difference of 0.3 to 1
    at 0.7. Pixels with non-finite logits keep their state.

    Args:
        resting: The first frames show the same: they become a plain mean, in which the n-th one's weight is at least 1 / n.
    """

    def __init__(self, resting: bool = False) -> None:
        self._state: F32 | None = None
        self._resting, self._count = resting, 0

    def __call__(self, logits_chw: Array) -> F32:
        """Adds a frame and returns the logarithms of the mean, which are logits.

        Args:
            logits_chw: float32 or float16, (C, h, w). The codes of a quantized tensor don't state their scale.

        Returns:
            float32, (C, h, w), C-contiguous, a new array.

        Raises:
            TypeError: the dtype is not supported.
        """
        if logits_chw.dtype.name not in ("float32", "float16"):
            raise TypeError(
                f"AdaptiveSmoother: logits_chw must be float32 or float16, got {logits_chw.dtype}; "
                "multiply codes by their scale"
            )
        with np.errstate(invalid="ignore", over="ignore"):
            new = logits_chw.astype(np.float32)
            np.subtract(new, new.max(axis=0), out=new)
            np.exp(new, out=new)
            np.divide(new, new.sum(axis=0), out=new)
        finite = np.isfinite(new).all(axis=0)
        state = self._state
        if state is None or state.shape != new.shape:
            if not finite.all():
                new[:, ~finite] = 1 / len(new)
            state, self._state, self._count = new, new, 1
        else:
            self._count += 1
            least = max(_LEAST, 1 / self._count if self._resting else 0)
            np.subtract(new, state, out=new)
            difference = np.maximum(new.max(axis=0), -new.min(axis=0))
            weight = np.clip((difference - _STILL) / (_MOVES - _STILL), 0, 1) * (1 - least) + least
            if not finite.all():
                new[:, ~finite], weight[~finite] = 0, 0
            np.multiply(new, weight.astype(np.float32), out=new)
            np.add(state, new, out=state)
        mean: F32 = np.maximum(state, np.float32(1e-9))
        return np.log(mean, out=mean)

    def reset(self) -> None:
        """Resets the state. Call this before another source, or after a cut."""
        self._state = None


#: The differences of probability between which the weight rises, and the weight below them.
_STILL, _MOVES, _LEAST = 0.3, 0.7, 0.05
#: Value of ``smooth`` for :class:`AdaptiveSmoother`.
ADAPTIVE = "adaptive"


def make_smoother(smooth: float | str) -> LogitsSmoother | AdaptiveSmoother:
    """The smoother of an option: a weight, or ``"adaptive"``.

    >>> type(make_smoother("adaptive")).__name__
    'AdaptiveSmoother'

    Raises:
        InputError: another text, or a weight out of range.
    """
    if isinstance(smooth, str):
        if smooth != ADAPTIVE:
            raise InputError(f"`smooth`: expected {ADAPTIVE}, or the new frame's share, above 0 to 1, got {smooth!r}")
        return AdaptiveSmoother()
    return LogitsSmoother(smooth)


class FlickerMeter:
    """Share of pixels whose class changes between consecutive frames although the scene does not change there.

    With ground truth, only pixels count whose true class is the same in both frames (void is excluded). Such a pixel
    flickers if its predicted class changes. Without ground truth, every pixel counts, and motion counts as flicker.
    Then compare methods on the same video only, not different videos.

    Args:
        classes: Number of classes; true values from ``classes`` up are void.
    """

    def __init__(self, classes: int = 256) -> None:
        self._classes = classes
        self._mask: Mask | None = None
        self._truth: Mask | None = None
        self._shares: list[float] = []

    def update(self, mask: Mask, truth: Mask | None = None) -> float | None:
        """Adds the mask of the next frame.

        Args:
            mask: uint8 (H, W). A frame of another size restarts the comparison, as :meth:`cut` does.
            truth: Ground truth, uint8 (H, W); None for all frames if there is none.

        Returns:
            Share of the pixels that flickered since the previous frame, 0 to 1. None if there is nothing to compare:
            for the first frame, or if no true class stayed the same.

        Raises:
            ValueError: ``truth`` and ``mask`` have different shapes.
        """
        if truth is not None and truth.shape != mask.shape:
            raise ValueError(f"FlickerMeter.update: mask {mask.shape} and truth {truth.shape} must have one shape")
        before, true_before = self._mask, self._truth
        self._mask, self._truth = mask.copy(), None if truth is None else truth.copy()
        if before is None or before.shape != mask.shape or (truth is None) != (true_before is None):
            return None
        changed = mask != before
        if truth is not None:
            changed = changed[(truth == true_before) & (truth < self._classes)]
        if not changed.size:
            return None
        share = float(changed.mean())
        self._shares.append(share)
        return share

    def cut(self) -> None:
        """Marks a cut: the next frame is not compared with the previous one."""
        self._mask = self._truth = None

    @property
    def flicker(self) -> float | None:
        """Mean share per pair of frames, 0 to 1; None before the second frame."""
        return float(np.mean(self._shares)) if self._shares else None

    @property
    def per_frame(self) -> tuple[float, ...]:
        """The share of each pair of frames, in order."""
        return tuple(self._shares)
