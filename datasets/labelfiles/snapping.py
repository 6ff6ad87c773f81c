"""Label files whose values were blurred, by smoothed borders or JPEG: each pixel goes to the class that it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

#: Values that are closer to each other than this can't be told apart when they were blurred.
APART = 16
#: JPEG moves values about so far inside of areas.
_NOISE = 12
#: A value is a class's from this share of the labelled pixels on.
_SHARE = 5e-4


def plateaus(masks: Iterable[npt.NDArray[np.uint8]]) -> tuple[int, ...]:
    """The values of areas, among which borders are blurred: of each group of neighbouring values the most frequent one."""
    counts = np.zeros(256, np.int64)
    for mask in masks:
        flat = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) <= _NOISE
        counts += np.bincount(mask[flat], minlength=256)
    groups: list[list[int]] = []
    for value in np.flatnonzero(counts > _SHARE * counts.sum()).tolist():
        if groups and value - groups[-1][-1] < APART:
            groups[-1].append(value)
        else:
            groups.append([value])
    return tuple(max(group, key=lambda value: int(counts[value])) for group in groups)


def check_apart(values: Sequence[Sequence[int]], path: Path | str) -> None:
    """Raises DataError where values or colours are too close to each other to be told apart when blurred."""
    points = np.array(values, np.int64).reshape(len(values), -1)
    distance = np.abs(points[:, None] - points[None]).max(2) + 256 * np.eye(len(points), dtype=np.int64)
    if distance.min() < APART:
        first, second = (tuple(points[k]) for k in np.unravel_index(int(distance.argmin()), distance.shape))
        shown = " and ".join(str(p[0]) if len(p) == 1 else str(tuple(map(int, p))) for p in (first, second))
        raise DataError(
            f"{path}: `snap`: the values {shown} of two classes are less than {APART} apart, so blurred ones can't be told "
            "from classes; export the labels again, without smoothing and as PNG"
        )


def snap(raw: npt.NDArray[np.uint8], values: Sequence[Sequence[int]], lossy: bool) -> npt.NDArray[np.uint8]:
    """Pixels as the classes' values alone.

    Of two classes the nearer value wins. Of more, a pixel between two values may have a third one's: it takes the class of
    the nearest pixel that is sure.

    Args:
        raw: uint8 (H, W) or (H, W, 3).
        values: Values, (value,) or (b, g, r), of the classes.
        lossy: Whether values are about right only.
    """
    points = np.array(values, np.int32).reshape(len(values), -1)
    pixels = raw.astype(np.int32).reshape(*raw.shape[:2], -1)
    nearest = np.zeros(raw.shape[:2], np.int32)
    best = np.full(raw.shape[:2], np.iinfo(np.int32).max, np.int32)
    for number, point in enumerate(points):
        distance = ((pixels - point) ** 2).sum(2, dtype=np.int32)
        closer = distance < best
        best[closer], nearest[closer] = distance[closer], number
    sure = best <= (_NOISE**2 * points.shape[1] if lossy else 0)
    if len(points) > 2 and sure.any() and not sure.all():
        _, zones = cv2.distanceTransformWithLabels(
            (~sure).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_zone = np.zeros(int(zones.max()) + 1, np.int32)
        of_zone[zones[sure]] = nearest[sure]
        nearest = np.where(sure, nearest, of_zone[zones])
    snapped: npt.NDArray[Any] = points[nearest].astype(np.uint8)
    return np.ascontiguousarray(snapped[..., 0] if raw.ndim == 2 else snapped)
