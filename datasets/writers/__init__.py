"""Masks written as annotation files of other tools. :func:`seg_edge.datasets.convert` reads them back.

>>> import numpy as np
>>> from seg_edge.core.labels import Labels
>>> mask = np.zeros((6, 8), np.uint8)
>>> mask[1:4, 1:5] = 1
>>> with CocoWriter("cars.json", Labels(("background", "car"), ((0, 0, 0), (255, 0, 0)))) as writer:
...     writer.add("street.png", mask)
>>> import json
>>> from pathlib import Path
>>> json.loads(Path("cars.json").read_text())["annotations"][0]["bbox"]
[1, 1, 4, 3]
"""

from __future__ import annotations

from .base import MaskWriter
from .coco import CocoWriter
from .geojson import GeojsonWriter
from .labelme import LabelmeWriter
from .yolo import YoloWriter

__all__ = ["WRITERS", "CocoWriter", "GeojsonWriter", "LabelmeWriter", "MaskWriter", "YoloWriter"]

#: Format → its writer.
WRITERS: dict[str, type[MaskWriter]] = {
    "coco": CocoWriter, "geojson": GeojsonWriter, "labelme": LabelmeWriter, "yolo": YoloWriter,
}  # fmt: skip
