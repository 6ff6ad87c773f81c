"""Options of composite images. Needs neither NumPy nor OpenCV: the command reads them before it loads these."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, configuration, option, parse_names, parse_size, show_size

_MOST_IMAGES = 1_000_000
_HIGHEST_SEED = 2**31 - 1


@configuration
class ComposeOptions(Options):
    """What :func:`seg_edge.datasets.compose` makes of labelled photographs.

    Each image is drawn from its number and the seed alone. Things that were cut off by their photograph's border lie at the
    new one's border or behind something; the others lie anywhere.
    """

    train: int = option(2000, help="Images made of the train splits.", low=0, high=_MOST_IMAGES)
    val: int = option(200, help="Images made of the val splits, on backgrounds that no image of train has.", low=0)
    size_hw: tuple[int, int] = option(
        (240, 320), help="HEIGHTxWIDTH in pixels.", flag="--size", parse=parse_size, show=show_size
    )
    things: tuple[str, ...] = option(
        (), help="Classes that are cut out, a comma list. Default: all but the first.", parse=parse_names, show=",".join
    )
    rename: tuple[str, ...] = option(
        (),
        help="What classes of further datasets are in the first one: pedestrian=person,bicyclist=void. What is not named "
        "and not among the first one's classes is its first class.",
        parse=parse_names,
        show=",".join,
    )
    backgrounds: tuple[Path, ...] = option(
        (),
        help="Folder of photographs without any of the things. May be repeated. Frames of the datasets that show none of "
        "the things are backgrounds too.",
        flag="--background",
    )
    empty: float = option(0.08, help="Share of images without a thing.", low=0, high=1)
    plain: float = option(0.25, help="Share of images that are a part of one photograph, as it was taken.", low=0, high=1)
    bodies: float = option(
        0.0,
        help="For people: share of those that their photograph cut off below who get a drawn body with legs.",
        low=0,
        high=1,
    )
    most: int = option(4, help="Most things that are pasted into one image.", low=1, high=100)
    seed: int = option(0, help="Same seed, same images.", low=0, high=_HIGHEST_SEED)
    workers: int | None = option(
        1,
        help="Processes that draw; the files are the same with any number. Not given to the command, or None: one a core.",
        low=1,
    )

    def check(self) -> None:
        if not self.train + self.val:
            raise InputError("`train` and `val` are both 0: nothing to make")
        if len(self.size_hw) != 2 or not 32 <= min(self.size_hw) <= max(self.size_hw) <= 4096:
            raise InputError(f"`size_hw`: expected height and width, each 32 to 4096 pixels, got {show_size(self.size_hw)}")
        if self.empty + self.plain > 1:
            raise InputError(
                f"`empty` and `plain` are shares of all images: expected at most 1 together, got {self.empty:g} and "
                f"{self.plain:g}"
            )
        for entry in self.rename:
            old, sign, new = entry.partition("=")
            if not (old and sign and new):
                raise InputError(f"`rename`: expected OLD=NEW such as pedestrian=person, got {entry!r}")

    def renamed(self) -> dict[str, str]:
        """Class of a further dataset → class of the first one, or ``"void"``.

        >>> ComposeOptions(rename=("pedestrian=person",)).renamed()
        {'pedestrian': 'person'}
        """
        pairs = (entry.partition("=") for entry in self.rename)
        return {old.strip(): new.strip() for old, _, new in pairs}
