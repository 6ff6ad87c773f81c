"""Hugging Face ``datasets``: Parquet files with a column of images and one of label images.

Both columns hold files: ``{"bytes": …, "path": …}``, as ``datasets.Image`` stores them, or the bytes alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, InputError
from ..labelfiles.coding import palette_as_numbers
from ..regions.images import Region, Sample, Source
from ..regions.reading import SPLIT_NAMES, Reading, read_json
from ..regions.shapes import decode_image, suffix_of

#: Columns of labels by their usual names; of images likewise.
_LABELS = (
    "label", "labels", "mask", "masks", "annotation", "annotations", "segmentation", "segmentation_mask", "seg_map",
    "semantic", "semantic_segmentation", "label_image", "target", "gt",
)  # fmt: skip
_IMAGES = ("image", "images", "img", "pixel_values", "photo")
#: Class number → name, beside the files, as many data sets of the hub have it; null is void.
NAMES_FILE = "id2label.json"
_VOID = "void"


def recognise(source: Path) -> str | None:
    """Why a folder or file is Parquet; None where it isn't."""
    files = _files(source)
    return f"{files[0].name} is Parquet" if files else None


def read(source: Path, reading: Reading) -> Source:
    """A folder with ``train-00000-of-00001.parquet`` and the like, or one such file. ``id2label.json`` names the classes.

    Raises:
        DataError: no such columns, a label that isn't class numbers in one channel, a number without a name.
        InputError: pyarrow is not installed.
    """
    files = _files(source)
    if not files:
        raise DataError(f"{source}: no .parquet files")
    root = source if source.is_dir() else source.parent
    if len(folders := {file.parent for file in files if _split_name(file.parent.name) is None}) > 1:
        shown = ", ".join(sorted(str(folder.relative_to(root)) for folder in folders))
        raise DataError(f"{source}: has several configurations ({shown}); pass one of these folders")
    tables = [(_Table(file), _split_name(file.stem) or _split_name(file.parent.name)) for file in files]
    values: Counter[int] = Counter()
    samples: list[Sample] = []
    for table, split in tables:
        for number, said in enumerate(table.names_and_values(values)):
            samples.append(_sample(table, number, said, split))
    names = _names(root, values, reading)
    for table, _ in tables:
        table.names = names
    classes = tuple(dict.fromkeys(name for _, name in sorted(names.items()) if name != _VOID))
    return Source(_unique(samples), classes, False, void=frozenset({_VOID}))


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".parquet" else []
    return sorted(
        p for p in source.rglob("*.parquet") if not any(part.startswith(".") for part in p.relative_to(source).parts)
    )


def _split_name(text: str) -> str | None:
    """The split in a name such as ``train-00000-of-00001``."""
    return next((SPLIT_NAMES[part] for part in re.split(r"[^a-z]+", text.lower()) if part in SPLIT_NAMES), None)


class _Table:
    """One Parquet file.

    Args:
        file: Its path.

    Raises:
        DataError: it has no columns of images and labels.
        InputError: pyarrow is not installed.
    """

    def __init__(self, file: Path) -> None:
        try:
            from pyarrow import ArrowException
            from pyarrow.parquet import ParquetFile
        except ImportError as error:
            raise InputError(f"Parquet files need pyarrow ({error}); pip install 'seg-edge[parquet]'") from error
        self.file = file
        #: Label value → class; set when all files are looked through.
        self.names: dict[int, str] = {}
        try:
            self._parquet = ParquetFile(file)
        except (OSError, ArrowException) as error:
            raise DataError(f"{file}: not readable as Parquet ({error})") from error
        schema = self._parquet.schema_arrow
        holds = [field.name for field in schema if _is_file(field.type)]
        self.image = next((name for name in _IMAGES if name in holds), None)
        self.label = next((name for name in _LABELS if name in holds), None)
        others = [name for name in holds if name not in (self.image, self.label)]
        if self.image is not None and self.label is None and len(others) == 1:
            self.label = others[0]
        if self.image is None or self.label is None:
            raise DataError(
                f"{file}: has no columns of images and of label images; its columns: {', '.join(schema.names)}; expected "
                "image and label, each a file's bytes"
            )
        self._loaded: tuple[int, list[dict[str, Any]]] | None = None
        self._groups = [self._parquet.metadata.row_group(i).num_rows for i in range(self._parquet.num_row_groups)]

    def names_and_values(self, values: Counter[int]) -> Iterator[str]:
        """The name of each row's image; counts the rows that have a label value into ``values``."""
        for number in range(sum(self._groups)):
            values.update(np.unique(self.mask(number)).tolist())
            image = self._row(number)[str(self.image)]
            yield str(image.get("path") or "") if isinstance(image, dict) else ""

    def mask(self, number: int) -> npt.NDArray[np.uint8]:
        """The label of a row: uint8 (H, W), values as stored."""
        where = f"{self.file}: row {number}, {self.label}"
        data = self.bytes(number, str(self.label))
        raw = decode_image(palette_as_numbers(data), cv2.IMREAD_UNCHANGED)
        if raw is None:
            raise DataError(f"{where}: not a readable image ({len(data)} bytes)")
        if raw.ndim == 3 and (raw[..., :1] == raw[..., :3]).all():
            raw = raw[..., 0]
        if raw.ndim != 2:
            raise DataError(f"{where}: expected class numbers in one channel, got {raw.dtype} {raw.shape}")
        # Numbers of 32 bits and fractions arrive too: datasets stores lists and int64 arrays as TIFF.
        if (strange := raw[(raw < 0) | (raw > 255) | (raw != np.floor(raw))]).size:
            raise DataError(f"{where}: expected class numbers from 0 to 255, got {strange[0]:g} ({raw.dtype})")
        if data[:8] == b"\x89PNG\r\n\x1a\n" and data[25] == 0 and data[24] < 8:
            raw = raw // (255 // ((1 << data[24]) - 1))  # OpenCV stretches grey of 1, 2 and 4 bits to 255
        return np.ascontiguousarray(raw, np.uint8)

    def bytes(self, number: int, column: str) -> bytes:
        """A row's file."""
        value = self._row(number)[column]
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            said = value.get("path") if isinstance(value, dict) else None
            raise DataError(
                f"{self.file}: row {number}: {column} holds no bytes, only the path {said!r}; write the table with "
                "its files inside"
            )
        return bytes(data)

    def _row(self, number: int) -> dict[str, Any]:
        start = 0
        for group, rows in enumerate(self._groups):
            if number < start + rows:
                if self._loaded is None or self._loaded[0] != group:
                    table = self._parquet.read_row_group(group, columns=[self.image, self.label])
                    self._loaded = group, table.to_pylist()
                return self._loaded[1][number - start]
            start += rows
        raise IndexError(number)


def _is_file(kind: Any) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _names(root: Path, values: Counter[int], reading: Reading) -> dict[int, str]:
    """Label value → class."""
    file = next((p for p in (root / NAMES_FILE, root / "data" / NAMES_FILE) if p.is_file()), None)
    used = sorted(value for value, count in values.items() if count)
    if file is not None:
        try:
            names = {int(number): _VOID if name is None else str(name) for number, name in read_json(file).items()}
        except (AttributeError, TypeError, ValueError, json.JSONDecodeError) as error:
            raise DataError(f'{file}: expected {{"0": "road", …}} ({error})') from error
        names.setdefault(255, _VOID)
        if strange := [value for value in used if value not in names]:
            raise DataError(f"{file}: the label value {strange[0]} is not in it; add its name, or null if it is void")
        return names
    if used and set(used) <= {0, 255} and 255 in used:
        reading.say(
            f"labels hold only 0 and 255: background and foreground; name them in {root / NAMES_FILE} if they are not"
        )
        return {0: "background", 255: "foreground"}
    highest = max((value for value in used if value != 255), default=0)
    reading.say(f"classes have numbers only; name them in {root / NAMES_FILE}")
    if gaps := sorted(set(range(highest + 1)) - set(used)):
        reading.say(f"warning: no label has {len(gaps)} of the values 0 to {highest}, such as {gaps[0]}")
    return {value: f"class{value}" for value in range(highest + 1)} | {255: _VOID}


def _sample(table: _Table, number: int, said: str, split: str | None) -> Sample:
    data = table.bytes(number, str(table.image))

    def regions(size_hw: tuple[int, int]) -> list[Region]:
        mask, where = table.mask(number), f"{table.file}: row {number}"
        if mask.shape != size_hw:
            raise DataError(f"{where}: its label is {mask.shape[1]}x{mask.shape[0]}, its image {size_hw[1]}x{size_hw[0]}")
        return [
            Region(table.names[value], lambda _size, value=value: mask == value, where)  # type: ignore[misc]
            for value in np.unique(mask).tolist()
        ]

    name = Path(said.replace("\\", "/")).stem or f"{number:06d}"
    return Sample(name, lambda: table.bytes(number, str(table.image)), suffix_of(data), split, regions)


def _unique(samples: list[Sample]) -> list[Sample]:
    """Images whose names are told apart by a number where several of a split share one."""
    seen = Counter((sample.split, sample.name) for sample in samples)
    rows: Counter[str | None] = Counter()
    result = []
    for sample in samples:
        shared = seen[sample.split, sample.name] > 1
        result.append(replace(sample, name=f"{rows[sample.split]:06d}_{sample.name}") if shared else sample)
        rows[sample.split] += 1
    return result
