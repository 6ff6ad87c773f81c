"""Style of the overlay: opacity per class, selected classes, contours, or another background."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError, UnknownNameError
from ...core.labels import BACKGROUND, Labels

if TYPE_CHECKING:
    from ..backdrop.backdrop import Backdrop


@dataclass(frozen=True)
class Style:
    """The style of an overlay, resolved for the classes of a model.

    Attributes:
        palette_bgr: uint8 (C, 3).
        alpha: Opacity of each class's colour, 0 to 1; 0 leaves a class uncoloured.
        contours: Whether borders between classes are drawn, in the opaque colours of the classes. Next to an uncoloured
            class, only the other side of the border is drawn.
        backdrop: What is painted behind the classes that stay, instead of colours over them; None paints colours.
        arguments: Keyword arguments for the kernels.
    """

    palette_bgr: npt.NDArray[np.uint8]
    alpha: tuple[float, ...]
    contours: bool = False
    backdrop: Backdrop | None = None
    arguments: dict[str, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The kernels have a faster path for a single number.
        arguments: dict[str, Any] = {"alpha": self.alpha[0] if len(set(self.alpha)) == 1 else self.alpha}
        if self.contours:
            arguments |= {
                "line_palette_bgr": self.palette_bgr,
                "line_alpha": tuple(float(value > 0) for value in self.alpha),
            }
        object.__setattr__(self, "arguments", arguments)

    @property
    def plain_alpha(self) -> float | None:
        """The common opacity of all classes; None if opacities differ, or other things than colours are painted."""
        plain = len(set(self.alpha)) == 1 and not self.contours and self.backdrop is None
        return self.alpha[0] if plain else None

    @classmethod
    def make(
        cls,
        labels: Labels,
        alpha: float | Mapping[str, float] = 0.5,
        classes: Iterable[str] | None = None,
        contours: bool = False,
        backdrop: Backdrop | None = None,
    ) -> Style:
        """Makes a style from names of classes.

        Args:
            labels: The classes of the model.
            alpha: One opacity, 0 to 1, or opacities by class name (0.5 for other classes).
            classes: Names of the classes to colour; None is all but one called "background", which only an opacity of its
                own colours.
            contours: See the class.
            backdrop: See the class.

        Raises:
            UnknownNameError: the model has no class of that name.
            InputError: an opacity is out of range, ``classes`` is empty, or ``contours`` come with a backdrop.
        """
        if backdrop is not None and contours:
            raise InputError("`contours` are drawn between colours, and `background` paints none; pass one of them")
        each = dict(alpha) if isinstance(alpha, Mapping) else dict.fromkeys(labels.names, alpha)
        own = isinstance(alpha, Mapping) and BACKGROUND in alpha
        others = [name for name in labels.names if name != BACKGROUND or own]
        shown = (others or list(labels.names)) if classes is None else list(classes)
        for name in (*each, *shown):
            if name not in labels.names:
                raise UnknownNameError("class", name, labels.names)
        for name, value in each.items():
            if not 0 <= value <= 1:
                where = f"alpha of {name}" if isinstance(alpha, Mapping) else "alpha"
                raise InputError(f"{where}: expected 0 (frame only) to 1 (colours only), got {value}")
        if not shown:
            raise InputError(f"classes: expected at least one of {', '.join(labels.names)}, got none; None colours all")
        opacities = tuple(float(each.get(name, 0.5)) if name in shown else 0.0 for name in labels.names)
        return cls(labels.palette_bgr, opacities, contours, backdrop)
