"""``labelmap.txt``: the classes and colours of a dataset in Pascal VOC's folders, as CVAT and Datumaro write it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError
from ...core.labels import RGB, VOC, VOC_VOID_RGB, Labels
from .coding import Coding

FILE = "labelmap.txt"
#: Names that stand for pixels that count nowhere.
VOID_NAMES = ("void", "ignored", "__ignore__")


@dataclass(frozen=True)
class LabelMap:
    """The content of a file.

    Attributes:
        labels: Its classes; entries called void or ignored are none.
        coding: What the colours of label files mean.
    """

    labels: Labels
    coding: Coding


def read_label_map(file: Path) -> LabelMap:
    """Reads lines ``name:red,green,blue:parts:actions`` after a comment.

    Raises:
        DataError: another format, two classes of one colour, or more than 255 classes.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as text ({error}); save it as UTF-8") from error
    colours: dict[str, RGB] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, *rest = line.strip().split(":")
        colour = _colour(rest[0] if rest else "", len(colours))
        if colour is None:
            raise DataError(f"{file}:{number}: expected name:red,green,blue::, got {line.strip()!r}")
        if colour in colours.values():
            other = next(key for key, value in colours.items() if value == colour)
            raise DataError(f"{file}:{number}: {name} has the colour of {other}, {colour}; give each class its own")
        colours[name] = colour
    names = [name for name in colours if name.lower() not in VOID_NAMES]
    labels = Labels(tuple(names), tuple(colours[name] for name in names))
    codes = {colour: names.index(name) if name in names else labels.ignore_index for name, colour in colours.items()}
    codes.setdefault(VOC_VOID_RGB, labels.ignore_index)
    # Grey files hold the numbers of the lines; a void between them is none of the classes' numbers.
    values = {number: names.index(name) if name in names else labels.ignore_index for number, name in enumerate(colours)}
    values.setdefault(labels.ignore_index, labels.ignore_index)
    return LabelMap(labels, Coding(values if len(names) < len(colours) else None, codes))


def _colour(text: str, number: int) -> RGB | None:
    if not text.strip():  # left out: Pascal VOC's colour of this number
        return VOC.palette[number] if number < len(VOC) else None
    try:
        red, green, blue = (int(value) for value in text.split(","))
    except ValueError:
        return None
    return red, green, blue
