"""COCO's run-length encoding of all classes of a mask, in one pass over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]
# 5 bits each: enough for images of 2**34 pixels.
_MOST_LETTERS = 7


def coco_rle(mask: Mask) -> dict[int, dict[str, Any]]:
    """The run lengths of each value that occurs in a mask, as pycocotools writes them.

    The mask's runs are looked for once, column by column, for all values together.

    >>> coco_rle(np.array([[0, 1], [0, 1]], np.uint8))
    {0: {'size': [2, 2], 'counts': '022'}, 1: {'size': [2, 2], 'counts': '22'}}

    Args:
        mask: uint8 (H, W).

    Returns:
        Value → ``{"size": [H, W], "counts": "…"}``: COCO's compressed text, which ``pycocotools.mask.decode`` takes.
    """
    height, width = mask.shape
    flat = mask.T.ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    ends = np.append(starts[1:], flat.size)
    values = flat[starts]
    order = np.argsort(values, kind="stable")
    starts, ends, values = starts[order], ends[order], values[order]
    # Where each value's runs begin among the sorted ones.
    firsts = np.concatenate(([0], np.flatnonzero(values[1:] != values[:-1]) + 1, [values.size]))
    bounds = list(zip(firsts[:-1].tolist(), firsts[1:].tolist(), strict=True))
    counts = [_counts(starts[first:last], ends[first:last], flat.size) for first, last in bounds]
    sizes = [height, width]
    texts = compressed(counts)
    return {int(values[first]): {"size": sizes, "counts": text} for (first, _), text in zip(bounds, texts, strict=True)}


def _counts(starts: _Ints, ends: _Ints, pixels: int) -> _Ints:
    """Lengths of the runs of others and of the value, in turn."""
    counts = np.empty(2 * len(starts) + 1, np.int64)
    counts[0] = starts[0]
    counts[1::2] = ends - starts
    counts[2:-1:2] = starts[1:] - ends[:-1]
    counts[-1] = pixels - ends[-1]
    return counts if counts[-1] else counts[:-1]


def compressed(every: list[_Ints]) -> list[str]:
    """COCO's text of several lists of counts.

    From the fourth count on it has the difference to the one two before, in letters of 5 bits, lowest first. Bit 5 of a
    letter says that more follow; the last one's bit 4 is the sign (LEB128 with 6 bits a letter).
    """
    lengths = [len(counts) for counts in every]
    numbers = np.concatenate([np.concatenate((counts[:3], counts[3:] - counts[1:-2])) for counts in every])
    letters = np.zeros((len(numbers), _MOST_LETTERS), np.uint8)
    left = np.arange(len(numbers))
    for column in range(_MOST_LETTERS):
        letter = numbers & 0x1F
        numbers = numbers >> 5
        more = numbers != -(letter >> 4)
        letters[left, column] = letter + 48 + 0x20 * more
        left, numbers = left[more], numbers[more]
        if not left.size:
            break
    parts = np.split(letters, np.cumsum(lengths)[:-1])
    return [part[part > 0].tobytes().decode("ascii") for part in parts]
