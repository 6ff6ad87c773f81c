"""Options of the losses, and the names of their terms. No torch here: ``--help`` reads this file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ...core.errors import InputError, UnknownNameError
from ...core.options import Options, configuration, option

#: Terms that a loss is a sum of; :data:`.terms.TERMS` computes them.
TERM_NAMES = ("ce", "ohem", "focal", "dice", "lovasz", "boundary")
DEFAULT_LOSS = "ce+0.5*dice"


def parse_loss(text: str) -> dict[str, float]:
    """The terms of a loss and their weights.

    >>> parse_loss("ce+0.5*dice")
    {'ce': 1.0, 'dice': 0.5}

    Raises:
        UnknownNameError: no such term.
        InputError: anything else that is no sum of different terms with positive weights.
    """
    terms: dict[str, float] = {}
    for part in text.split("+"):
        factor, star, name = part.strip().rpartition("*")
        name = name.strip()
        try:
            weight = float(factor) if star else 1.0
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf or not name or name in terms:
            raise InputError(f"`loss`: expected different terms with weights above 0 such as {DEFAULT_LOSS}, got {text!r}")
        if name not in TERM_NAMES:
            raise UnknownNameError("loss", name, TERM_NAMES)
        terms[name] = weight
    return terms


@configuration
class DistillOptions(Options):
    """How a teacher takes part in a training: its logits and features become additional targets.

    >>> DistillOptions(teacher="runs/large/best.pt", kd_weight=3).kd_weight
    3
    """

    teacher: Path = option(
        help="Distil from this checkpoint, or from a shipped model by its name: its logits and features are targets too. "
        "It must know the same classes."
    )
    temperature: float = option(
        2.0,
        help="Temperature that divides the logits of both networks: the higher, the more unlikely classes count.",
        above=0,
    )
    kd_weight: float = option(1.0, help="Weight of the teacher's logits; 0 leaves them out.", low=0)
    feature_weight: float = option(0.1, help="Weight of the teacher's features; 0 leaves them out.", low=0)
    teacher_scale: float = option(
        1.0,
        help="The teacher sees images this many times as high and wide, to the nearest multiple of 32.",
        low=0.25,
        high=4,
    )

    def check(self) -> None:
        if not self.kd_weight and not self.feature_weight:
            raise InputError(
                "`teacher`: `kd_weight` and `feature_weight` are both 0; leave `teacher` out, or raise one of them"
            )

    def recorded(self) -> dict[str, Any]:
        """The options under the keys of ``report.json``."""
        return {"teacher": self.teacher, **self.weights()}

    def weights(self) -> dict[str, float]:
        """All but the teacher, under the keys of ``report.json`` and of a checkpoint's provenance."""
        return {
            "temperature": self.temperature, "logits": self.kd_weight, "features": self.feature_weight,
            "scale": self.teacher_scale,
        }  # fmt: skip


@configuration
class SiameseOptions(Options):
    """How two views of each image are pulled together.

    With both weights 0 the network sees two views, and nothing pulls them together.

    >>> str(SiameseOptions(appearance=0.5))
    'features 0.5, predictions 0.5, appearance 0.5'
    """

    pull_features: float = option(0.5, help="Weight of the distance between the features of both views.", low=0)
    pull_predictions: float = option(0.5, help="Weight of the distance between the predictions for both views.", low=0)
    appearance: float = option(1.0, help="How far the second view may be from the first, up to 1.", above=0, high=1)

    def recorded(self) -> dict[str, Any]:
        """The options under the keys of ``report.json``."""
        return {"features": self.pull_features, "predictions": self.pull_predictions, "strength": self.appearance}

    def __str__(self) -> str:
        """What a checkpoint records, to tell a resumed training from another one."""
        return f"features {self.pull_features:g}, predictions {self.pull_predictions:g}, appearance {self.appearance:g}"
