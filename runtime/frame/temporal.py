"""Masks over time: logits smoothed from frame to frame, and how much masks flicker."""

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

    The first frame, and one of another shape, is taken as it is. A value that is not finite (an overflow in fp16) gives way
    to the next frame's instead of staying for ever.

    Args:
        weight: Share of the new frame, above 0 to 1. 1 smooths nothing; with 0.5 the mask follows a change within a frame or
            two, and a share of 0.5 ** n is left of a frame n frames ago.

    Raises:
        InputError: ``weight`` out of range.
    """

    def __init__(self, weight: float) -> None:
        if not 0 < weight <= 1:
            raise InputError(f"smooth: expected the new frame's share, above 0 to 1 (1 smooths nothing), got {weight}")
        self.weight = float(weight)
        self._state: F32 | None = None
        self._scratch: F32 | None = None

    def __call__(self, logits_chw: Array) -> F32:
        """The mean after one more frame.

        Args:
            logits_chw: float32, float16, int8 or uint8, (C, h, w). Codes of one scale and zero point need neither: the mean
                of codes is the code of the mean.

        Returns:
            float32, (C, h, w), C-contiguous: valid until the next call, not to be written to.

        Raises:
            TypeError: another dtype.
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
        """Forgets the frames so far: another source, a cut."""
        self._state = self._scratch = None


class FlickerMeter:
    """Share of pixels whose class changes from one frame to the next, less what the scene itself changes.

    With ground truth, a pixel counts where its true class stayed the same over two frames (void counts nowhere): it flickers
    if its predicted class did not. Without, every pixel counts, and motion counts as flicker: compare two ways of
    segmenting one video then, not two videos.

    Args:
        classes: Number of classes; true values from ``classes`` up are void.
    """

    def __init__(self, classes: int = 256) -> None:
        self._classes = classes
        self._mask: Mask | None = None
        self._truth: Mask | None = None
        self._shares: list[float] = []

    def update(self, mask: Mask, truth: Mask | None = None) -> float | None:
        """Takes the next frame's mask.

        Args:
            mask: uint8 (H, W). After a frame of another size counting begins anew, as after :meth:`cut`.
            truth: uint8 (H, W), or None if there is none; then for all frames.

        Returns:
            Share of the pixels that flickered since the frame before, 0 to 1; None where there is nothing to compare: the
            first frame, or no pixel whose true class stayed.

        Raises:
            ValueError: ``truth`` of another shape than ``mask``.
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
        """The next frame shows another scene: it is compared with nothing."""
        self._mask = self._truth = None

    @property
    def flicker(self) -> float | None:
        """Mean share per pair of frames, 0 to 1; None before the second frame."""
        return float(np.mean(self._shares)) if self._shares else None

    @property
    def per_frame(self) -> tuple[float, ...]:
        """The share of each pair of frames, in order."""
        return tuple(self._shares)
