"""Where results go: a folder, or an object store. A file appears whole or not at all."""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.errors import InputError
from .remote import Remote, is_remote


class Store:
    """A folder to write into.

    Renaming makes a file appear whole after a killed process. It is not flushed to the disk one by one, which would take
    longer than the network.

    Args:
        out: The folder, or an address such as ``s3://bucket/prefix``.
        work: A local folder for the journals; default: the output folder itself.

    Raises:
        InputError: the folder can't be made.
    """

    def __init__(self, out: str, work: Path | None = None) -> None:
        self.text = out
        self._remote = Remote(out) if is_remote(out) else None
        self._root = Path(out)
        self.work = work if self._remote is not None and work is not None else self._root
        self._folders: set[Path] = set()
        try:
            if self._remote is None or work is not None:
                self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.work}: the folder can't be made ({error.strerror}); choose another `out`") from error

    @property
    def remote(self) -> bool:
        return self._remote is not None

    def write(self, relative: str, data: bytes) -> None:
        """Writes one file.

        Raises:
            InputError: it can't be written.
        """
        if self._remote is not None:
            try:
                self._remote.write(relative, data)
            except OSError as error:
                raise InputError(
                    f"{self.text}/{relative}: can't be written ({error}); check permissions and space"
                ) from error
            return
        target = self._root / relative
        # Hidden, and the same at every attempt: what a killed process left is replaced by the next one.
        temporary = target.parent / f".{target.name}.tmp"
        try:
            if target.parent not in self._folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(target.parent)
            with open(temporary, "wb", buffering=0) as file:
                file.write(data)
            os.replace(temporary, target)
        except OSError as error:
            raise InputError(f"{target}: can't be written ({error.strerror}); check permissions and free space") from error

    @contextmanager
    def writing(self, relative: str) -> Iterator[BinaryIO]:
        """A file that is written piece by piece; it appears when the context ends without an error.

        Raises:
            InputError: it can't be written.
        """
        at = self.work if self.remote else (self._root / relative).parent
        temporary = at / f".{relative.replace('/', '-') if self.remote else Path(relative).name}.tmp"
        try:
            at.mkdir(parents=True, exist_ok=True)
            try:
                with open(temporary, "wb") as file:
                    yield file
                self.move(temporary, relative)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"{self.text}/{relative}: can't be written ({error.strerror}); check permissions and free space"
            ) from error

    def move(self, file: Path, relative: str) -> None:
        """Moves a finished file of :attr:`work` to its place.

        Raises:
            InputError: it can't be written.
        """
        if self._remote is not None:
            self.write(relative, file.read_bytes())
            file.unlink()
            return
        try:
            os.replace(file, self._root / relative)
        except OSError as error:
            raise InputError(
                f"{self._root / relative}: can't be written ({error.strerror}); choose another `out`"
            ) from error

    def read(self, relative: str) -> bytes | None:
        """The content of a file, None where there is none."""
        if self._remote is not None:
            return self._remote.get(relative)
        try:
            return (self._root / relative).read_bytes()
        except FileNotFoundError:
            return None

    def existing(self, folder: str) -> set[str]:
        """Paths of all files in a folder and below, relative to the output folder."""
        if self._remote is not None:
            return self._remote.names(folder)
        found: set[str] = set()
        folders = [folder]
        while folders:
            below = folders.pop()
            try:
                with os.scandir(self._root / below) as entries:
                    for entry in entries:
                        (folders.append if entry.is_dir() else found.add)(f"{below}/{entry.name}")
            except FileNotFoundError:
                pass
        return found


class Journal:
    """A file of JSON lines that only grows. A line that a killed process left unfinished is cut off on opening.

    Args:
        path: The file.
        fresh: Begin anew.
    """

    def __init__(self, path: Path, fresh: bool) -> None:
        self.path = path
        self._file: BinaryIO = open(path, "wb" if fresh else "ab", buffering=0)  # noqa: SIM115  # closed by close()
        if not fresh:
            self._file.truncate(_whole(path))

    def add(self, row: dict[str, Any]) -> None:
        """Appends a line, in one write."""
        self._file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


def lines_of(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Offset and content of each whole line of a journal; none where the file is missing."""
    if not path.exists():
        return
    at = 0
    read = json.JSONDecoder().raw_decode  # without what loads does for texts of unknown kind: half the time
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield at, read(line.decode())[0]
            at += len(line)


class Line(NamedTuple):
    """What resuming wants to know of a line of the manifest: input, number, and files by format (None where it failed)."""

    input: str
    number: int
    outputs: Mapping[str, str] | None


#: A line as :meth:`Journal.add` writes it, without escapes in its names: a third of the time of reading all of its JSON.
_USUAL = re.compile(
    rb'\{"input":"([^"\\]*)","name":"[^"\\]*","file":"[^"\\]*","number":(\d+),"size":\[[\d,]*\],"shares":\{[^{}]*\},'
    rb'"outputs":\{([^{}\\]*)\},"milliseconds":[\d.]+\}\n'
)
_OUTPUT = re.compile(r'"([^"]*)":"([^"]*)"')


def manifest_of(path: Path) -> Iterator[Line]:
    """The whole lines of a manifest; none where the file is missing."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            usual = _USUAL.fullmatch(line)
            if usual is not None:
                yield Line(usual[1].decode(), int(usual[2]), dict(_OUTPUT.findall(usual[3].decode())))
            elif line.endswith(b"\n"):
                row = json.loads(line)
                yield Line(row["input"], row["number"], None if "error" in row else row["outputs"])


def line_at(file: BinaryIO, offset: int) -> dict[str, Any]:
    """The line of a journal that begins at an offset."""
    file.seek(offset)
    row: dict[str, Any] = json.loads(file.readline())
    return row


def _whole(path: Path) -> int:
    """The length of a file up to its last line feed."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        at = size
        while at > 0:
            start = max(at - 65536, 0)
            file.seek(start)
            found = file.read(at - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            at = start
    return 0


def sorted_offsets(path: Path) -> NDArray[np.int64]:
    """Where the last line of each input begins in a manifest, by the inputs' numbers: int64 (N,).

    Of 100,000 inputs it keeps three integers each, not their names: names are compared where hashes are equal.
    """
    hashes, numbers, offsets = array("q"), array("q"), array("q")
    for offset, row in lines_of(path):
        hashes.append(hash(row["input"]))
        numbers.append(row["number"])
        offsets.append(offset)
    if not offsets:
        return np.empty(0, np.int64)  # an empty buffer is no array
    keys, places = np.frombuffer(hashes, np.int64), np.frombuffer(offsets, np.int64)
    values, counts = np.unique(keys, return_counts=True)
    kept = np.ones(len(keys), bool)
    last: dict[str, int] = {}
    with open(path, "rb") as file:
        for line in np.flatnonzero(np.isin(keys, values[counts > 1])):
            file.seek(int(places[line]))
            name = json.loads(file.readline())["input"]
            if name in last:
                kept[last[name]] = False
            last[name] = int(line)
    order = np.argsort(np.frombuffer(numbers, np.int64)[kept], kind="stable")
    return places[kept][order]
