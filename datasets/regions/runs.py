"""Run lengths of masks as COCO writes them: along columns, zeros first; and polygons as pycocotools rasterizes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, InputError

Bits = npt.NDArray[np.bool_]


def unpack_counts(text: str | bytes) -> list[int]:
    """COCO's compressed counts → run lengths. From the third on, each is stored as its difference to the one before last.

    >>> unpack_counts("51103")
    [5, 1, 1, 1, 4]

    Raises:
        ValueError: a character that the code doesn't have, or an end inside a number.
    """
    counts: list[int] = []
    value = shift = 0
    for byte in text.encode("ascii") if isinstance(text, str) else text:
        chunk = byte - 48
        if not 0 <= chunk < 64:
            raise ValueError(f"{chr(byte)!r} is no character of run lengths")
        value |= (chunk & 31) << shift
        shift += 5
        if chunk & 32:
            continue
        if chunk & 16:
            value -= 1 << shift  # the sign of the last five bits reaches up
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("run lengths end inside a number")
    return counts


def mask_of(counts: Sequence[int], size_hw: tuple[int, int], *, rows: bool = False) -> Bits:
    """Run lengths, zeros first → bool (H, W).

    Args:
        counts: They must add up to H × W.
        size_hw: Height and width.
        rows: Runs go along rows, not along columns.

    Raises:
        ValueError: a negative run, or another sum.
    """
    height, width = size_hw
    runs = np.asarray(counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any():
        raise ValueError("run lengths must be a list of whole numbers from 0 up")
    if int(runs.sum()) != height * width:
        raise ValueError(f"run lengths add up to {int(runs.sum())}, its image has {height * width} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(height, width) if rows else np.ascontiguousarray(flat.reshape(width, height).T)


def decode(shape: dict[str, Any], size_hw: tuple[int, int], where: str) -> Bits:
    """COCO's run lengths, compressed or not: bool (H, W).

    Args:
        shape: ``{"size": [H, W], "counts": …}``.
        size_hw: The image's size.
        where: For messages.

    Raises:
        DataError: of another size, or not run lengths.
    """
    try:
        if list(shape["size"]) != list(size_hw):
            raise DataError(f"{where}: run lengths are for {shape['size']}, its image is {list(size_hw)}")
        counts = shape["counts"]
        return mask_of(unpack_counts(counts) if isinstance(counts, (str, bytes)) else counts, size_hw)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where}: {error}" if "run lengths" in str(error) else f"{where}: not run lengths ({error!r})"
        ) from error


def fill_polygons(parts: Sequence[Sequence[float]], size_hw: tuple[int, int]) -> Bits:
    """The union of polygons as pycocotools rasterizes them, which CVAT and Datumaro use too: bool (H, W).

    Its rule is not "the pixel's centre lies inside": borders are rounded on a grid of a fifth of a pixel.

    Args:
        parts: One or more flat lists x1, y1, x2, y2, …

    Raises:
        InputError: pycocotools is not installed.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise InputError(f"these masks need pycocotools ({error}); pip install 'seg-edge[convert]'") from error
    height, width = size_hw
    if not parts:
        return np.zeros(size_hw, bool)
    drawn = coco_mask.merge(coco_mask.frPyObjects([list(map(float, part)) for part in parts], height, width))
    with warnings.catch_warnings():
        # pycocotools 2.0.11 is built for NumPy 1's way of copying; NumPy 2 accepts it with a note to developers.
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.asarray(coco_mask.decode(drawn), bool)
