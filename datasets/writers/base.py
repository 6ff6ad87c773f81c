"""What all writers share: which classes are written, and the parts of a mask."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import Labels

Mask = npt.NDArray[np.uint8]
BACKGROUND = "background"


@dataclass(frozen=True)
class Part:
    """One connected part of a class; pixels that touch only at a corner are two.

    Attributes:
        value: Its label value.
        name: Its class.
        x, y: Upper left pixel of its box.
        pixels: bool (h, w), C-contiguous: its pixels inside the box.
    """

    value: int
    name: str
    x: int
    y: int
    pixels: npt.NDArray[np.bool_]


class MaskWriter(ABC):
    """Writes masks one by one; closing it writes what belongs to all of them. A context closes it.

    A class called ``background`` is not written: it is what no annotation covers. Void is written under a name of its own
    where there is a background, and not at all where every other pixel is annotated.

    Args:
        target: The file or folder to write.
        labels: The classes of the masks.
        polygons: Outlines instead of run lengths or bitmaps, where the format has both. Holes are joined to their outline
            by a cut of no width.
    """

    #: The name of void pixels in this format.
    void = "void"

    def __init__(self, target: str | Path, labels: Labels, *, polygons: bool = False) -> None:
        self.target, self.labels, self.polygons = Path(target), labels, polygons
        self.has_void = False
        self._names: set[str] = set()

    def __enter__(self) -> MaskWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None) -> None:
        if kind is None:
            self.close()

    def add(self, image: str, mask: Mask) -> None:
        """Writes the annotations of one image.

        Args:
            image: Its file name as the annotations shall say it; folders are kept.
            mask: uint8 (H, W): label values of ``labels``, and its ``ignore_index``.

        Raises:
            DataError: another kind of array, a value that is no class, or a second image of this name.
        """
        if mask.dtype != np.uint8 or mask.ndim != 2 or not mask.size:
            raise DataError(f"{image}: expected a mask uint8 (H, W), got {mask.dtype} {mask.shape}")
        if image in self._names:
            raise DataError(f"{image}: was written already; give each image its own name")
        self._names.add(image)
        self._add(image, mask, list(self._parts(image, mask)))

    @abstractmethod
    def _add(self, image: str, mask: Mask, parts: Sequence[Part]) -> None:
        """Writes or keeps the parts of one image."""

    @abstractmethod
    def close(self) -> None:
        """Writes what belongs to all images."""

    def _parts(self, image: str, mask: Mask) -> Iterator[Part]:
        for value in np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist():
            if value == self.labels.ignore_index:
                if BACKGROUND not in self.labels.names:
                    continue
                name, self.has_void = self.void, True
            elif value < len(self.labels):
                name = self.labels.names[value]
            else:
                raise DataError(f"{image}: its value {value} is none of the {len(self.labels)} classes")
            if name != BACKGROUND:
                yield from connected(mask == value, value, name)


def connected(pixels: npt.NDArray[np.bool_], value: int, name: str) -> Iterator[Part]:
    """The connected parts of bool (H, W), by rows of their upper left corners."""
    count, numbers, boxes, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8), connectivity=4)
    for number in range(1, count):
        x, y, width, height = boxes[number, :4].tolist()
        yield Part(value, name, x, y, np.ascontiguousarray(numbers[y : y + height, x : x + width] == number))
