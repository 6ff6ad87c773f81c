"""Connected components of one class of a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import InputError

if TYPE_CHECKING:
    from supervision import Detections

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Components:
    """The connected parts of a class in a mask, the largest first.

    Attributes:
        name: The class.
        number: Its number.
        area: int64 (N,): pixels.
        boxes: int64 (N, 4): left, top, right, bottom; right and bottom are the first column and row after the part.
        centroids: float64 (N, 2): x, y of the mean pixel; pixel centres are whole numbers.
        parts: int32 (H, W): the part of every pixel, from 1 on, in the order of the arrays; 0 elsewhere.
        ids: int64 (N,): identities over frames, from :class:`.ComponentTracker`; None without one.
    """

    name: str
    number: int
    area: I64
    boxes: I64
    centroids: npt.NDArray[np.float64]
    parts: npt.NDArray[np.int32]
    ids: I64 | None = None

    def __len__(self) -> int:
        return len(self.area)

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """The pixels of a part: bool (H, W)."""
        return np.asarray(self.parts == index + 1)

    def with_ids(self, ids: I64) -> Components:
        """The same with identities."""
        return replace(self, ids=ids)

    def to_supervision(self, *, masks: bool = True) -> Detections:
        """The parts as ``supervision.Detections``: boxes, masks, class, identities, and areas as ``data["area"]``.

        Args:
            masks: With a mask for each part, bool (N, H, W).

        Raises:
            InputError: supervision is missing.
        """
        try:
            from supervision import Detections
        except ImportError as error:
            raise InputError(f"to_supervision: supervision can't be imported ({error}); pip install supervision") from error
        count = len(self)
        numbers = np.arange(1, count + 1, dtype=np.int32)[:, None, None]
        return Detections(
            xyxy=self.boxes.astype(np.float32).reshape(count, 4),
            mask=(self.parts[None] == numbers) if masks else None,
            class_id=np.full(count, self.number, np.int64),
            tracker_id=self.ids,
            data={"class_name": np.full(count, self.name), "area": self.area},
        )


def components(
    mask: npt.NDArray[np.uint8], number: int, name: str = "", *, min_area: int = 1, connectivity: int = 8
) -> Components:
    """The connected components of a class.

    >>> found = components(np.array([[1, 1, 0, 1]], np.uint8), 1)
    >>> found.area, found.boxes.tolist()
    (array([2, 1]), [[0, 0, 2, 1], [3, 0, 4, 1]])

    Args:
        mask: uint8 (H, W).
        number: The class.
        name: Its name.
        min_area: Smaller ones are left out, pixels.
        connectivity: 4 or 8: whether pixels that touch at a corner are connected.

    Raises:
        InputError: ``connectivity`` is another number.
    """
    if connectivity not in (4, 8):
        raise InputError(f"`connectivity`: expected 4 or 8, got {connectivity}")
    inside = (mask == number).view(np.uint8)
    count, parts, stats, centroids = cv2.connectedComponentsWithStats(inside, connectivity=connectivity, ltype=cv2.CV_32S)
    area = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    order = np.argsort(-area, kind="stable")
    order = order[area[order] >= min_area]
    numbers = np.zeros(count, np.int32)
    numbers[order + 1] = np.arange(1, len(order) + 1)
    left, top, width, height = (stats[1:, column].astype(np.int64)[order] for column in range(4))
    boxes = np.stack((left, top, left + width, top + height), axis=1)
    middles = np.asarray(centroids[1:][order], np.float64).reshape(-1, 2)
    return Components(name, number, area[order], boxes, middles, numbers[parts])
