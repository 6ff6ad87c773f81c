"""What every format is read into: images, and how their masks are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import RGB, Labels, default_palette
from .reading import Reading

Mask = npt.NDArray[np.uint8]
#: size_hw → bool (H, W).
Draw = Callable[[tuple[int, int]], npt.NDArray[np.bool_]]
#: Annotators click a little beyond the border; a corner further out than this is a mistake.
SLACK_PX = 2.0


@dataclass(frozen=True)
class Region:
    """One annotated thing.

    Attributes:
        name: Its class, as the source says it.
        draw: size_hw → bool (H, W), its pixels.
        where: File and place, for messages.
    """

    name: str
    draw: Draw
    where: str


@dataclass(frozen=True)
class Sample:
    """One image with its annotations.

    Attributes:
        name: File name in the result, without suffix.
        image: The file, or what gives its bytes where they lie elsewhere (inside the annotation, a video, a table).
        suffix: Of the image's format, with the dot.
        split: None where the source has no splits.
        regions: What is read of its annotations when its turn comes.
        size_hw: What the source says; None where it doesn't.
        spare: Gives the image's bytes where ``image`` is a file that can't be decoded.
    """

    name: str
    image: Path | Callable[[], bytes]
    suffix: str
    split: str | None
    regions: Callable[[tuple[int, int]], Sequence[Region]]
    size_hw: tuple[int, int] | None = None
    spare: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class Source:
    """A dataset before its conversion.

    Attributes:
        classes: Names in order, the background not among them.
        palette: One colour each; None takes default ones.
        background: Whether unlabelled pixels are a class of their own; else they are void.
        void: Names that stand for pixels that count nowhere.
        small_on_top: The order of regions means nothing: those with fewer pixels lie on top. Else later ones do.
    """

    samples: list[Sample]
    classes: tuple[str, ...]
    background: bool
    palette: tuple[RGB, ...] | None = None
    void: frozenset[str] = frozenset()
    small_on_top: bool = False


BACKGROUND = "background"


def labels_of(source: Source, background: bool) -> Labels:
    """The classes of the result; the background comes first unless the source has a class of that name."""
    names, palette = source.classes, source.palette or default_palette(len(source.classes))
    if background and BACKGROUND not in names:
        names, palette = (BACKGROUND, *names), ((0, 0, 0), *palette)
    return Labels(names, palette)


def polygon(points: npt.NDArray[np.float64], where: str, clip: bool) -> Draw:
    """Pixels inside a polygon.

    Args:
        points: float (N, 2): x, y in pixels; (0, 0) is the upper left corner of the first pixel.
        where: For messages.
        clip: Cut it off at the image's border, however far it goes.

    Raises:
        DataError: fewer than three points, no numbers; when drawn: a corner outside the image.
    """
    if len(points) < 3 or not np.isfinite(points).all():
        raise DataError(f"{where}: a polygon needs at least three corners with finite coordinates, got {points.tolist()}")

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        check_corners(points, size_hw, where, clip)
        return inside(points, size_hw)

    return draw


def check_corners(points: npt.NDArray[np.float64], size_hw: tuple[int, int], where: str, clip: bool) -> None:
    """Raises DataError where a corner (of float (N, 2): x, y) lies outside the image, unless it is to be cut off."""
    limits = np.array(size_hw[::-1], np.float64)
    outside = np.flatnonzero(((points < -SLACK_PX) | (points > limits + SLACK_PX)).any(1))
    if outside.size and not clip:
        x, y = points[outside[0]]
        raise DataError(
            f"{where}: the corner ({x:.1f}, {y:.1f}) lies outside its image of {size_hw[1]}x{size_hw[0]} pixels; "
            "correct it, or cut shapes off at the border with `clip=True`"
        )


def inside(points: npt.NDArray[np.float64], size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Pixels whose centre lies inside a polygon, by the even-odd rule: bool (H, W).

    Not ``cv2.fillPoly``, which also paints every pixel that an edge touches: half a pixel more on each side.
    """
    height, width = size_hw
    crossings = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        # Rows whose centres lie between the edge's ends, the lower end excluded: neighbours share no row.
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (min(y0, y1), max(y0, y1)))
        rows = np.arange(first, last)
        if rows.size:
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] ^= 1
    return np.asarray(np.bitwise_xor.accumulate(crossings, axis=1)[:, :width], bool)


def paint(
    sample: Sample,
    size_hw: tuple[int, int],
    values: dict[str, int],
    unlabelled: int,
    source: Source,
    reading: Reading,
) -> Mask:
    """The mask of an image: uint8 (H, W).

    Args:
        sample: Its regions are read and drawn.
        size_hw: The size that its annotations are for.
        values: Class → label value.
        unlabelled: Value of pixels that no region covers.
        source: Says which region lies on top.
        reading: Counts what was painted, and regions without a pixel.

    Raises:
        DataError: a class that ``values`` doesn't have, or a region that can't be drawn.
    """
    drawn: list[tuple[int, int, npt.NDArray[np.bool_], tuple[slice, slice]]] = []
    for region in sample.regions(size_hw):
        if region.name not in values:
            raise DataError(
                f"{region.where}: unknown class {region.name!r}; expected one of {_few(values)}; add it to `classes`, or "
                "pass `others='void'` or `others='background'`"
            )
        pixels = region.draw(size_hw)
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        if not rows.size:
            reading.empty[sample.name] += 1
            continue
        # Only its box is kept: hundreds of whole masks of a large image fill the memory.
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        drawn.append((int(np.count_nonzero(pixels)), values[region.name], pixels[box].copy(), box))
    reading.painted += len(drawn)
    if source.small_on_top:
        drawn.sort(key=lambda entry: -entry[0])
    mask = np.full(size_hw, unlabelled, np.uint8)
    for _, value, part, box in drawn:
        mask[box][part] = value
    return mask


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")


def need(data: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """``data[key]``, which must be there and of this kind.

    Raises:
        DataError: it is not.
    """
    if not isinstance(data, dict) or key not in data:
        raise DataError(f"{where}: has no {key!r}; is it another format?")
    if not isinstance(data[key], kind):
        raise DataError(f"{where}: {key!r} is {type(data[key]).__name__}, expected {_kinds(kind)}")
    return data[key]


def _kinds(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
