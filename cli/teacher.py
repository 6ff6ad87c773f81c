"""The teacher of a training after pruning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..train.losses.distill import DistillConfig


def teacher_of(checkpoint: Path | None, **weights: Any) -> DistillConfig | None:
    """How a teacher takes part, or None where there is none."""
    if checkpoint is None:
        return None
    from .progress import loading

    with loading("loading torch"):
        from ..train.losses.distill import DistillConfig
    return DistillConfig(checkpoint, **weights)
