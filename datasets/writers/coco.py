"""Writes COCO's instances: run lengths or polygons, one annotation for each connected part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.artefact import write_text
from ..encodings.rle import compressed
from .base import BACKGROUND, Mask, MaskWriter, Part
from .outlines import outline


class CocoWriter(MaskWriter):
    """Writes one JSON file. A category's id is its label value plus one, which is never 0."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def annotations(self, image: str, mask: Mask) -> list[dict[str, Any]]:
        """The annotations of one image, without ``id`` and ``image_id``. Arguments and errors are those of :meth:`add`."""
        return self._annotated(mask, list(self._parts(image, mask)))

    def categories(self) -> list[dict[str, Any]]:
        """The entries of ``categories``."""
        found = [
            {"id": number + 1, "name": name, "supercategory": ""}
            for number, name in enumerate(self.labels.names)
            if name != BACKGROUND or number
        ]
        if self.has_void:
            found.append({"id": self.labels.ignore_index + 1, "name": self.void, "supercategory": ""})
        return found

    def _add(self, image: str, mask: Mask, parts: Sequence[Part]) -> None:
        height, width = mask.shape
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": image, "height": height, "width": width})
        for annotation in self._annotated(mask, parts):
            self._annotations.append({"id": len(self._annotations) + 1, "image_id": number, **annotation})

    def _annotated(self, mask: Mask, parts: Sequence[Part]) -> list[dict[str, Any]]:
        height, width = mask.shape
        found = []
        for part in parts:
            shape: Any
            if self.polygons:
                shape = [(outline(part.pixels) + (part.x, part.y)).ravel().tolist()]
            else:
                shape = {"size": [height, width], "counts": compressed([_runs(part, height, width)])[0]}
            box = [part.x, part.y, part.pixels.shape[1], part.pixels.shape[0]]
            found.append(
                {
                    "category_id": part.value + 1, "iscrowd": 0, "segmentation": shape,
                    "area": int(np.count_nonzero(part.pixels)), "bbox": box,
                }
            )  # fmt: skip
        return found

    def close(self) -> None:
        """Writes the file."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        data = {"images": self._images, "annotations": self._annotations, "categories": self.categories()}
        write_text(self.target, json.dumps(data, ensure_ascii=False))


def _runs(part: Part, height: int, width: int) -> npt.NDArray[np.int64]:
    """COCO's run lengths of a part, without the whole mask."""
    columns, rows = np.nonzero(part.pixels.T)
    at: npt.NDArray[np.int64] = (columns + part.x).astype(np.int64) * height + rows + part.y
    breaks = np.flatnonzero(np.diff(at) != 1)
    starts, ends = at[np.concatenate([[0], breaks + 1])], at[np.concatenate([breaks, [len(at) - 1]])] + 1
    edges = np.stack([starts, ends], 1).ravel()
    tail = [] if edges[-1] == height * width else [height * width]
    return np.asarray(np.diff(np.concatenate([[0], edges, tail])), np.int64)
