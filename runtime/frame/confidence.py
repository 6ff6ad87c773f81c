"""How sure the network must be: a map of it beside the mask, and what becomes of pixels below a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...core.errors import InputError, UnknownNameError
from ...core.labels import VOID, Labels
from ...core.spec import CONFIDENCE_MEASURES


@dataclass(frozen=True)
class Confidence:
    """A measure of confidence, resolved for the classes of a model.

    Attributes:
        measure: See :func:`seg_edge.runtime.frame.kernels.confidence`.
        threshold: Pixels of a lower grey level, 0 to 255, become ``below``; 0 leaves all.
        below: Label value.
    """

    measure: str
    threshold: int
    below: int

    @classmethod
    def make(
        cls, labels: Labels, measure: str | None = None, least: float | None = None, below: str = VOID
    ) -> Confidence | None:
        """The confidence that three options ask for; None if they ask for none.

        >>> labels = Labels(("road", "car"), ((0, 0, 0), (255, 0, 0)))
        >>> Confidence.make(labels, least=0.5)
        Confidence(measure='probability', threshold=128, below=255)

        Args:
            labels: The classes of the model.
            measure: One of :data:`.CONFIDENCE_MEASURES`; None is ``"probability"`` where ``least`` is given.
            least: Least confidence, 0 to 1, of a pixel that keeps its class: its grey level divided by 255.
            below: A class's name, or ``"void"``, what other pixels become.

        Raises:
            UnknownNameError: there is no such measure or class.
            InputError: ``least`` is out of range.
        """
        if measure is None and least is None:
            return None
        if measure is not None and measure not in CONFIDENCE_MEASURES:
            raise UnknownNameError("confidence", measure, CONFIDENCE_MEASURES)
        if least is not None and not 0 <= least <= 1:
            raise InputError(f"`min_confidence`: expected 0 (keep all) to 1 (keep only what is sure), got {least}")
        if below != VOID and below not in labels.names:
            raise UnknownNameError("class", below, (*labels.names, VOID))
        value = labels.names.index(below) if below in labels.names else labels.ignore_index
        return cls(measure or "probability", math.ceil(round(255 * (least or 0), 6)), value)
