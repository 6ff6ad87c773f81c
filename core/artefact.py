"""Files that are either whole or not there: atomic writes, hashes, the names inside an artefact folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError

SPEC_FILE = "model.json"
REPORT_JSON = "report.json"
REPORT_MD = "report.md"
GOLDEN_DIR = "golden"


def onnx_name(precision: str) -> str:
    """File name of the ONNX model of a precision inside an artefact folder: ``model.int8.onnx``."""
    return f"model.{precision}.onnx"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the target's folder; on success it is flushed to disk and renamed to ``path``.

    If the block raises (Ctrl-C included), the temporary file is removed and ``path`` stays as it was. The temporary
    name keeps the target's suffix, because writers such as OpenCV choose the format by it.

    Raises:
        InputError: ``path`` is a folder or device, its folder can't be created or written, or the disk is full.
    """
    target = Path(path)
    temporary = _temporary(target)
    written = False
    try:
        yield temporary
        written = True
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
    except OSError as error:
        # Whatever else the block runs into (a missing input, say) is not about this file.
        if not written and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{target}: can't be written ({error.strerror}); free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path, names: Iterable[str]) -> list[Path]:
    """Removes what a killed process left behind while :func:`atomic_path` wrote files in a folder; returns what it was.

    Args:
        folder: May be missing.
        names: Of the files, such as ``last.pt``. Nobody else may be writing them now.
    """
    wanted = {(Path(name).stem, Path(name).suffix) for name in names}
    found = []
    for path in Path(folder).glob(".*.tmp*"):
        match = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}\.tmp(\.[^.]+)?", path.name)
        if match and (match[1], match[2] or "") in wanted:
            path.unlink(missing_ok=True)
            found.append(path)
    return found


def check_writable(path: str | Path) -> None:
    """Raises InputError now if ``path`` could not be written: to be asked before the long work whose result goes there."""
    _temporary(Path(path)).unlink()


def _temporary(target: Path) -> Path:
    """A new, empty file beside ``target``; raises InputError where there can't be one."""
    if target.is_dir():
        raise InputError(f"{target}: is a folder; expected a file's name")
    if target.exists() and not target.is_file():  # renaming would put a file in the place of /dev/null
        raise InputError(f"{target}: is a device or pipe; expected a file's name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=f".tmp{target.suffix}", dir=target.parent)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror}); choose another folder") from error
    os.close(handle)
    return Path(name)


def _umask() -> int:
    # mkstemp makes files private (0600); artefacts are meant to be read by others, as open() would make them.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data: Any) -> None:
    """Writes indented JSON atomically. NaN and infinity are refused: a value that can't be measured is null."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
