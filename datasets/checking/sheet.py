"""A sheet of samples: images of every split with their labels over them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artefact import atomic_path
from ...core.errors import DataError
from ...core.labels import Labels, colorize
from ..dataset import SegDataset
from ..merged import as_background
from ..opening import open_dataset
from ..options import ReadOptions
from .report import CheckReport


def contact_sheet(
    checked: CheckReport, path: Path, columns: int = 4, width: int = 320, options: ReadOptions | None = None
) -> None:
    """Writes an image of samples of every split with their labels over them, and the classes' colours below.

    Raises:
        InputError: ``path`` can't be written.
    """
    rows = []
    for report in checked.splits:
        if not report.images:
            continue
        data = as_background(open_dataset(checked.root, report.name, checked.labels, options))
        height = width * 3 // 4
        row = np.full((height, columns * width, 3), 255, np.uint8)
        chosen = np.unique(np.linspace(0, len(data) - 1, min(columns, len(data))).round().astype(int))
        for column, index in enumerate(chosen):
            row[:, column * width : (column + 1) * width] = _overlaid(data, int(index), (height, width))
        rows.append(row)
    sheet = np.concatenate([*rows, _legend(checked.labels, columns * width)])
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), sheet):
            raise DataError(f"{path}: OpenCV can't write this kind of image; choose a name that ends in .png")


def _overlaid(data: SegDataset, index: int, size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    try:
        frame, mask = data.read(index)
    except DataError:
        return np.full((*size_hw, 3), (80, 80, 220), np.uint8)
    frame = np.asarray(cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    small = np.asarray(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    colours = colorize(small, data.labels.palette)[..., ::-1]
    labelled = (small != data.labels.ignore_index)[..., None]
    return np.where(labelled, np.rint(0.4 * frame + 0.6 * colours), frame).astype(np.uint8)


def _legend(labels: Labels, width: int) -> npt.NDArray[np.uint8]:
    line, column = 20, 160
    across = max(1, width // column)
    legend = np.full((line * -(-len(labels) // across) + 6, width, 3), 255, np.uint8)
    for number, (name, colour) in enumerate(zip(labels.names, labels.palette_bgr.tolist(), strict=True)):
        x, y = number % across * column + 4, number // across * line + 4
        cv2.rectangle(legend, (x, y), (x + 14, y + 14), colour, -1)
        cv2.putText(legend, name[:18], (x + 20, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return legend
