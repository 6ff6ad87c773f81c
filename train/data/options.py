"""Options of the augmentation. No torch here: ``--help`` reads this file."""

from __future__ import annotations

from ...core.errors import InputError
from ...core.options import Options, configuration, option, parse_range, show_range


@configuration
class AugmentOptions(Options):
    """How training images are varied.

    >>> AugmentOptions(scale=(1, 1.5), jitter=0.2).flip
    0.5
    """

    scale: tuple[float, float] = option(
        (0.75, 2.0),
        help="Random zoom LOW,HIGH, log-uniform: 1 shows whole images, 2 a quarter of each, 0.75 leaves a void border.",
        parse=parse_range,
        show=show_range,
    )
    flip: float = option(0.5, help="Share of training images that are mirrored.", low=0, high=1)
    jitter: float = option(0.4, help="Strength of random brightness, contrast and saturation.", low=0, high=1)
    classmix: float = option(
        0.0, help="Share of training images that get half of another one's classes, rare ones first.", low=0, high=1
    )
    cutmix: float = option(0.0, help="Share of training images that get a rectangle of another one.", low=0, high=1)
    rotate: float = option(
        0.0, help="Largest angle that training images are rotated by to either side, degrees.", low=0, high=180
    )

    def check(self) -> None:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise InputError(f"`scale`: expected a range that rises within 0.1 to 10, got {low:g} to {high:g}")
        if self.classmix + self.cutmix > 1:
            raise InputError(
                "`classmix` and `cutmix` are shares of all images: expected at most 1 together, got "
                f"{self.classmix:g} and {self.cutmix:g}"
            )
