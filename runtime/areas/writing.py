"""Writes areas over time: CSV, JSON lines or Parquet; a row for each frame, zone and class."""

from __future__ import annotations

import csv
import json
import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...core.artefact import atomic_path, check_writable
from ...core.errors import InputError

if TYPE_CHECKING:
    from ..frame.result import Result

#: Columns of CSV and Parquet, keys of JSON lines.
COLUMNS = ("source", "frame", "name", "time_s", "zone", "class", "pixels", "share")
#: Rows that Parquet keeps before it writes a group.
_GROUP = 1 << 16


class AreaWriter:
    """Writes the areas of results. The file gets its name when the writer is closed; after an error too.

    Args:
        path: A name ending in .csv, .jsonl or .parquet.

    Raises:
        InputError: another suffix, the file can't be written, or Parquet without pyarrow.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_areas(path)
        self._stack = ExitStack()
        temporary = self._stack.enter_context(atomic_path(self.path))
        self._rows = _KINDS[self.path.suffix.lower()](temporary)
        self._stack.callback(self._rows.close)

    def add(self, result: Result, time_s: float) -> None:
        """Writes the rows of a result.

        Args:
            result: A result with areas.
            time_s: Its time, seconds from the start of the source.
        """
        areas = result.areas
        assert areas is not None
        shares = areas.shares
        self._rows.add([
            (result.origin, result.index, result.name, time_s, zone, name, int(areas.pixels[z, c]), float(shares[z, c]))
            for z, zone in enumerate(areas.zones)
            for c, name in enumerate(areas.classes)
        ])  # fmt: skip

    def close(self) -> None:
        """Finishes the file. May be called twice."""
        self._stack.close()

    def __enter__(self) -> AreaWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def check_areas(path: str | Path) -> Path:
    """The path of a file of areas, if it can be written; raises as :class:`AreaWriter` does."""
    path = Path(path)
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"`areas`: expected a name ending in {', '.join(_KINDS)}, got {path}")
    if kind is _Parquet:
        try:
            import pyarrow  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"`areas`: {path.suffix} needs pyarrow, which can't be imported ({error}); "
                "pip install 'seg-edge[parquet]', or write .csv"
            ) from error
    check_writable(path)
    return path


class _Csv:
    def __init__(self, path: Path) -> None:
        self._file = open(path, "w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self._writer.writerows((*row[:3], f"{row[3]:.6f}", *row[4:7], f"{row[7]:.9g}") for row in rows)

    def close(self) -> None:
        self._file.close()


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = open(path, "w", encoding="utf-8")

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self._file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        self._arrow = pyarrow
        kinds = (
            pyarrow.int32(), pyarrow.int64(), pyarrow.string(), pyarrow.float64(), pyarrow.string(), pyarrow.string(),
            pyarrow.int64(), pyarrow.float64(),
        )  # fmt: skip
        self._schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._writer = pyarrow.parquet.ParquetWriter(os.fspath(path), self._schema)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows += rows
        if len(self._rows) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            arrays = [self._arrow.array(values, kind) for values, kind in zip(columns, self._schema.types, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
            self._rows = []

    def close(self) -> None:
        self._flush()
        self._writer.close()


_KINDS: dict[str, type[_Csv] | type[_JsonLines] | type[_Parquet]] = {
    ".csv": _Csv,
    ".jsonl": _JsonLines,
    ".parquet": _Parquet,
}
