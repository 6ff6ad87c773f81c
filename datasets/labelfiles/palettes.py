"""Label files with a palette: whether their indices, their grey levels or their colours say the class."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from struct import unpack_from

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import RGB, Labels, default_palette

Mask = npt.NDArray[np.uint8]
#: Index → its colour and the file that says so.
Seen = dict[int, tuple[RGB, Path]]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def palette_of(data: bytes) -> list[RGB] | None:
    """The colours of a PNG file with a palette; None for any other file."""
    if data[:8] != _SIGNATURE or data[25:26] != b"\x03":  # IHDR's colour type
        return None
    at = 8
    while at + 12 <= len(data):
        length, kind = unpack_from(">I4s", data, at)
        if kind == b"PLTE":
            colours = np.frombuffer(data[at + 8 : at + 8 + length], np.uint8)[: length // 3 * 3]
            return [(r, g, b) for r, g, b in colours.reshape(-1, 3).tolist()]
        at += 12 + length
    return []


def grey_step(data: bytes) -> int:
    """What OpenCV multiplies the values of a grey PNG file of 1, 2 or 4 bits by: 255, 85 or 17; 1 for any other file."""
    if data[:8] != _SIGNATURE or len(data) < 26 or data[25] != 0 or data[24] >= 8:
        return 1
    return 255 // ((1 << data[24]) - 1)


def grey_levels(numbers: Mask, palette: list[RGB]) -> Mask | None:
    """The grey levels of a file whose used entries are all grey; None if one is coloured."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    used = table[np.flatnonzero(np.bincount(numbers.ravel(), minlength=256))]
    if (used != used[:, :1]).any():
        return None
    return np.asarray(table[:, 0][numbers])


def resolve(
    numbers: Mask, palette: list[RGB], labels: Labels | None, valid: Collection[int] | None, path: Path, seen: Seen
) -> Mask:
    """The values that a file with a palette stands for.

    In this order: the indices, where they have the colours of the classes of these numbers; the classes of the entries'
    colours; grey levels, where all used entries are grey and each is a valid value (optimizers make palettes of grey files);
    the indices, as long as each has one colour in all files.

    Args:
        numbers: uint8 (H, W): indices.
        palette: The file's colours.
        labels: The classes, where colours may name them.
        valid: Values that label files may hold; None: any.
        path: For the error's text.
        seen: Colours of indices in files read before; completed here.

    Raises:
        DataError: some colours are classes' and some not, or an index has another colour than in another file.
    """
    used = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256)).tolist()
    colours = {index: palette[index] if index < len(palette) else (0, 0, 0) for index in used}
    if labels is not None:
        classes = {colour: number for number, colour in enumerate(labels.palette)}
        things = [index for index in used if index != labels.ignore_index]
        if all(index < len(labels) and colours[index] == labels.palette[index] for index in things):
            return numbers
        strangers = [index for index in things if colours[index] not in classes]
        if not strangers:
            table = np.full(256, labels.ignore_index, np.uint8)
            for index in used:
                table[index] = classes.get(colours[index], labels.ignore_index)
            return np.asarray(table[numbers])
    else:
        things = strangers = []
    levels = grey_levels(numbers, palette)
    if levels is not None and (valid is None or set(np.flatnonzero(np.bincount(levels.ravel()))) <= set(valid)):
        return levels
    if labels is not None and len(strangers) < len(things) and labels.palette != default_palette(len(labels)):
        index = strangers[0]
        raise DataError(
            f"{path}: its palette has colours of the classes and {colours[index]} (index {index}), which is no class's; "
            "complete the palette in classes.json, or leave it out where the indices are the class numbers"
        )
    for index, colour in colours.items():
        before, where = seen.setdefault(index, (colour, path))
        if before != colour:
            raise DataError(
                f"{path}: palette index {index} is {colour} here and {before} in {where}; the files number their colours "
                "differently: give each class its colour as palette in classes.json"
            )
    return numbers
