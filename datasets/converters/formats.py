"""The table of formats: how each is recognised, and what reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError
from ..layouts import LAYOUTS
from ..layouts.unknown import foreign
from ..regions.images import Source
from ..regions.reading import Reading
from . import coco, cvat, datumaro, geojson, huggingface, label_studio, labelme, supervisely, via, yolo

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        recognise: Folder or file → what shows that it is of this format; None where it isn't.
        read: (folder or file, options and account) → what it holds.
    """

    recognise: Callable[[Path], str | None]
    read: Callable[[Path, Reading], Source]


#: Name → format. A test holds the names equal to those that the options take.
READERS = {
    "coco": Format(coco.recognise, coco.read),
    # The panoptic files among a folder's instances, captions, …: no folder has those alone.
    "coco-panoptic": Format(lambda _source: None, coco.read_panoptic),
    "cvat": Format(cvat.recognise, cvat.read),
    "datumaro": Format(datumaro.recognise, datumaro.read),
    "geojson": Format(geojson.recognise, geojson.read),
    "huggingface": Format(huggingface.recognise, huggingface.read),
    "label-studio": Format(label_studio.recognise, label_studio.read),
    "labelme": Format(labelme.recognise, labelme.read),
    "supervisely": Format(supervisely.recognise, supervisely.read),
    "via": Format(via.recognise, via.read),
    "yolo": Format(yolo.recognise, yolo.read),
}


def recognise(source: Path) -> tuple[str, str]:
    """The format of a folder or file, and what shows it.

    Raises:
        DataError: none or several formats fit, or it needs no conversion.
    """
    if source.is_file() and source.suffix.lower() in _ARCHIVES:
        raise DataError(f"{source}: is an archive; unpack it and pass the folder")
    fitting = {name: reason for name, entry in READERS.items() if (reason := entry.recognise(source)) is not None}
    if len(fitting) == 1:
        return next(iter(fitting.items()))
    if fitting:
        shown = "; ".join(f"{name} ({reason})" for name, reason in fitting.items())
        raise DataError(f"{source}: looks like several formats: {shown}; name the one that is meant instead of 'auto'")
    layout = next((layout for layout in LAYOUTS if layout.shown_by(source) is not None), None) if source.is_dir() else None
    if source.is_dir() and (other := foreign(source, boxes=layout is None)):
        raise DataError(other)
    if layout is not None:
        raise DataError(f"{source}: lies there as {layout.name}, which is read as it is; there is nothing to convert")
    raise DataError(
        f"{source}: none of the formats {', '.join(READERS)} is recognised; it holds {_seen(source)}; name the format "
        "instead of 'auto' to hear what is missing"
    )


def _seen(source: Path) -> str:
    if source.is_file():
        return f"a {source.suffix or 'nameless'} file"
    kinds = Counter(path.suffix.lower() or "without suffix" for path in source.rglob("*") if path.is_file())
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "no files"
