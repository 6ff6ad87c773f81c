"""Difference between the logits of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.metrics import agreement as equal_share


@dataclass(frozen=True)
class Difference:
    """The difference between two lists of logits.

    Attributes:
        agreement: Share of output pixels with the same highest class, 0..1.
        max_abs_error: Largest difference of a logit; NaN if a logit is not finite.
        peak: Largest magnitude of a reference logit.
    """

    agreement: float
    max_abs_error: float
    peak: float

    def within(self, tolerance: float) -> bool:
        """Whether no logit differs by more than ``tolerance``, relative to the largest logit if that is above 1."""
        return self.max_abs_error <= tolerance * max(1.0, self.peak)


def compare(reference: Sequence[npt.NDArray[np.float32]], other: Sequence[npt.NDArray[np.float32]]) -> Difference:
    """Compares logits, float32 (N, C, h, w) each, pair by pair.

    Raises:
        ValueError: lists or arrays of different shapes.
    """
    if [a.shape for a in reference] != [b.shape for b in other]:
        raise ValueError(f"compare: shapes must be equal, got {[a.shape for a in reference]} and {[b.shape for b in other]}")
    pairs = list(zip(reference, other, strict=True))
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the class describes
        largest = float(np.max([np.max(np.abs(a - b)) for a, b in pairs]))
    return Difference(
        agreement=float(np.mean([equal_share(a.argmax(1), b.argmax(1)) for a, b in pairs])),
        max_abs_error=largest,
        peak=float(np.max([np.max(np.abs(a)) for a in reference])),
    )
