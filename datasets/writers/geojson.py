"""Writes GeoJSON in pixels: a file for each image, a feature with a MultiPolygon for each class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ...core.artefact import write_text
from ..dataset import write_labels
from ..encodings.polygons import feature_collection
from .base import Mask, MaskWriter, Part


class GeojsonWriter(MaskWriter):
    """Writes a folder: ``geojson/NAME.geojson`` for each image, to lie beside ``images``, and ``classes.json``.

    Every class is written, a background too: void is what nothing covers. Holes are rings of their own.
    """

    def document(self, mask: Mask) -> str:
        """The file of one image, as text."""
        found = feature_collection(mask, self.labels.names, list(range(len(self.labels))))
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))

    def _add(self, image: str, mask: Mask, parts: Sequence[Part]) -> None:
        file = self.target / "geojson" / Path(image).with_suffix(".geojson")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, self.document(mask))

    def close(self) -> None:
        """Writes ``classes.json``."""
        self.target.mkdir(parents=True, exist_ok=True)
        write_labels(self.target, self.labels)
