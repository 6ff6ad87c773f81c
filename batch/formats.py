"""The output formats: what is written for one image at once, and what is put together at the end."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2

from ..core.errors import InputError
from ..core.labels import VOID, Labels
from ..datasets.encodings.png import encode_png, with_palette
from ..datasets.writers import CocoWriter, GeojsonWriter, LabelmeWriter, YoloWriter
from ..datasets.writers.base import BACKGROUND, MaskWriter
from .options import PredictOptions
from .store import Store, line_at

if TYPE_CHECKING:
    from ..runtime.frame.result import Mask, Result

_QUALITY = 95
Rows = Iterator[dict[str, Any]]
_Writer = TypeVar("_Writer", bound=MaskWriter)


class Format:
    """One output format.

    Args:
        name: Its name in :data:`.options.FORMATS`.
        labels: The classes of the masks.
    """

    #: It needs the overlay.
    overlay = False
    #: What :meth:`entry` gives is kept in a journal, and :meth:`finish` puts it together.
    journalled = False

    def __init__(self, name: str, labels: Labels) -> None:
        self.name, self.labels = name, labels
        #: Masks may have void pixels.
        self.void = False

    def path(self, name: str) -> str | None:
        """The file of an image, below the output folder; None where the format has no file for each image."""
        return None

    def encode(self, file: str, result: Result) -> bytes:
        """The content of :meth:`path`, for the image ``file``."""
        raise NotImplementedError

    def entry(self, name: str, source: str, mask: Mask) -> dict[str, Any]:
        """What the journal keeps of an image."""
        raise NotImplementedError

    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        """Writes what belongs to all images.

        Args:
            store: Where to.
            rows: The lines of the manifest without errors, in the order of the inputs.
            entries: Those of this format's journal, in the same order.
            part: Ends the names of files that a shard writes for itself, such as ``-2-of-8``; else empty.
        """

    def _writer(self, kind: type[_Writer], **options: bool) -> _Writer:
        writer = kind(".", self.labels, **options)
        # Its classes are listed apart from the images.
        writer.has_void = self.void and BACKGROUND in self.labels.names
        return writer


class _MaskPng(Format):
    def path(self, name: str) -> str:
        return f"masks/{name}.png"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.mask is not None
        return encode_png(result.mask)


class _PalettePng(Format):
    def path(self, name: str) -> str:
        return f"palette/{name}.png"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.mask is not None
        return with_palette(encode_png(result.mask), self.labels.palette_bgr[:, ::-1])


class _OverlayJpeg(Format):
    overlay = True

    def path(self, name: str) -> str:
        return f"overlays/{name}.jpg"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.overlay_bgr is not None
        return cv2.imencode(".jpg", result.overlay_bgr, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()


class _ConfidencePng(Format):
    def path(self, name: str) -> str:
        return f"confidence/{name}.png"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.confidence is not None
        return encode_png(result.confidence)


class _Geojson(Format):
    def path(self, name: str) -> str:
        return f"geojson/{name}.geojson"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.mask is not None
        return GeojsonWriter(".", self.labels).document(result.mask).encode()


class _Labelme(Format):
    def path(self, name: str) -> str:
        return f"labelme/{name}.json"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.mask is not None
        return self._writer(LabelmeWriter).document(file, result.mask).encode()

    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        store.write("labelme/labels.txt", self._writer(LabelmeWriter).summary().encode())


class _Yolo(Format):
    def path(self, name: str) -> str:
        return f"yolo/labels/{name}.txt"

    def encode(self, file: str, result: Result) -> bytes:
        assert result.mask is not None
        return self._writer(YoloWriter).document(file, result.mask).encode()

    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        store.write("yolo/data.yaml", self._writer(YoloWriter).summary().encode())


class _Coco(Format):
    journalled = True

    @property
    def _coco(self) -> CocoWriter:
        return self._writer(CocoWriter, polygons=self.name == "coco-polygons")

    def entry(self, name: str, source: str, mask: Mask) -> dict[str, Any]:
        return {"annotations": self._coco.annotations(source, mask)}

    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        # Written piece by piece into a file beside the journal: memory doesn't grow with the number of images.
        partial = store.work / f".{self.name}{part}.json.tmp"
        with open(partial, "w", encoding="utf-8") as file:
            file.write('{"annotations": [')
            images: list[dict[str, Any]] = []
            number = 0
            for row, entry in zip(rows, entries, strict=True):
                height, width = row["size"]
                images.append({"id": len(images) + 1, "file_name": row["file"], "height": height, "width": width})
                for annotation in entry["annotations"]:
                    number += 1
                    whole = {"id": number, "image_id": len(images), **annotation}
                    file.write(("" if number == 1 else ",\n") + json.dumps(whole, ensure_ascii=False))
            categories = self._coco.categories()
            file.write(f'],\n"images": {json.dumps(images, ensure_ascii=False)},\n')
            file.write(f'"categories": {json.dumps(categories, ensure_ascii=False)}}}\n')
        store.move(partial, f"{self.name}{part}.json")


class _Csv(Format):
    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(["image", "height", "width", *self.labels.names])
        for row in rows:
            lines.writerow([row["file"], *row["size"], *(row["shares"].get(name, 0) for name in self.labels.names)])
        store.write(f"shares{part}.csv", text.getvalue().encode())


class _Parquet(Format):
    journalled = True
    _GROUP = 100

    def __init__(self, name: str, labels: Labels) -> None:
        super().__init__(name, labels)
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise InputError("`formats`: parquet needs pyarrow; pip install 'seg-edge[parquet]'") from error

    def entry(self, name: str, source: str, mask: Mask) -> dict[str, Any]:
        return {"png": base64.b64encode(encode_png(mask)).decode()}

    def finish(self, store: Store, rows: Rows, entries: Rows, part: str) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        shares = pa.struct([(name, pa.float64()) for name in self.labels.names])
        schema = pa.schema(
            [("file", pa.string()), ("height", pa.int32()), ("width", pa.int32()), ("label", picture), ("shares", shares)],
            # Hugging Face's datasets show a column of this kind as an image.
            metadata={"huggingface": json.dumps({"info": {"features": {"label": {"_type": "Image"}}}})},
        )
        partial = store.work / f".masks{part}.parquet.tmp"
        with parquet.ParquetWriter(partial, schema) as writer:
            group: list[dict[str, Any]] = []
            for row, entry in zip(rows, entries, strict=True):
                height, width = row["size"]
                label = {"bytes": base64.b64decode(entry["png"]), "path": f"{row['name']}.png"}
                shown = {name: row["shares"].get(name, 0.0) for name in self.labels.names}
                group.append({"file": row["file"], "height": height, "width": width, "label": label, "shares": shown})
                if len(group) == self._GROUP:
                    writer.write_table(pa.Table.from_pylist(group, schema))
                    group = []
            if group:
                writer.write_table(pa.Table.from_pylist(group, schema))
        store.move(partial, f"masks{part}.parquet")


#: Name → class; the names are those of :data:`.options.FORMATS`.
CLASSES: dict[str, type[Format]] = {
    "mask": _MaskPng,
    "palette": _PalettePng,
    "overlay": _OverlayJpeg,
    "coco": _Coco,
    "coco-polygons": _Coco,
    "yolo": _Yolo,
    "labelme": _Labelme,
    "geojson": _Geojson,
    "csv": _Csv,
    "parquet": _Parquet,
}


def formats_of(options: PredictOptions, labels: Labels) -> list[Format]:
    """What a run writes.

    Raises:
        InputError: a package is missing.
    """
    formats = [CLASSES[name](name, labels) for name in options.formats]
    if options.confidence is not None:
        formats.append(_ConfidencePng("confidence", labels))
    for form in formats:
        form.void = options.min_confidence is not None and options.below == VOID
    return formats


def entries_at(path: Path, offsets: Iterable[int]) -> Iterator[dict[str, Any]]:
    """Lines of a journal, in the order of ``offsets``."""
    with open(path, "rb") as file:
        for offset in offsets:
            yield line_at(file, offset)
