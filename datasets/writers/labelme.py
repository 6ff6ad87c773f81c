"""Writes LabelMe's files: bitmaps or polygons, one shape for each connected part."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...core.artefact import write_text
from .base import BACKGROUND, Mask, MaskWriter, Part
from .outlines import outline


class LabelmeWriter(MaskWriter):
    """Writes a folder: a JSON file for each image, to lie beside it, and ``labels.txt``."""

    void = "__ignore__"

    def document(self, image: str, mask: Mask) -> str:
        """The file of one image, as text. Arguments and errors are those of :meth:`add`."""
        return self._document(image, mask, list(self._parts(image, mask)))

    def summary(self) -> str:
        """The content of ``labels.txt``."""
        names = ["_background_" if name == BACKGROUND else name for name in self.labels.names]
        return "\n".join([self.void, *names]) + "\n"

    def _add(self, image: str, mask: Mask, parts: Sequence[Part]) -> None:
        file = self.target / Path(image).with_suffix(".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, self._document(image, mask, parts))

    def _document(self, image: str, mask: Mask, parts: Sequence[Part]) -> str:
        height, width = mask.shape
        data = {
            "version": "5.5.0", "flags": {}, "shapes": [self._shape(part) for part in parts], "imagePath": Path(image).name,
            "imageData": None, "imageHeight": height, "imageWidth": width,
        }  # fmt: skip
        return json.dumps(data, ensure_ascii=False, indent=1)

    def _shape(self, part: Part) -> dict[str, Any]:
        shape: dict[str, Any] = {"label": part.name, "group_id": None, "description": "", "flags": {}, "mask": None}
        if self.polygons:
            points = (outline(part.pixels) + (part.x, part.y)).tolist()
            return shape | {"shape_type": "polygon", "points": points}
        height, width = part.pixels.shape
        bitmap = base64.b64encode(cv2.imencode(".png", part.pixels.astype(np.uint8))[1].tobytes()).decode()
        corners = [[part.x, part.y], [part.x + width - 1, part.y + height - 1]]
        return shape | {"shape_type": "mask", "points": corners, "mask": bitmap}

    def close(self) -> None:
        """Writes ``labels.txt``."""
        self.target.mkdir(parents=True, exist_ok=True)
        (self.target / "labels.txt").write_text(self.summary(), encoding="utf-8")
