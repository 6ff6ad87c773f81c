"""Atomic writes, hashes, and the file names inside an artefact folder."""

from __future__ import annotations

import errno
import os
import re
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
    """File name of the ONNX model of a precision in an artefact folder, e.g. ``model.int8.onnx``."""
    return f"model.{precision}.onnx"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success the file is flushed to disk and renamed to ``path``.

    If the block raises (Ctrl-C included), the temporary file is removed and ``path`` stays unchanged. The temporary
    name has the same suffix, because writers such as OpenCV choose the format by the suffix.

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
        # Other errors of the block, such as a missing input file, don't concern this file.
        if not written and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{target}: can't be written ({error.strerror}); free some space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | Path, names: Iterable[str]) -> list[Path]:
    """Removes temporary files that :func:`atomic_path` left in a folder when a process was killed; returns their paths.

    Args:
        folder: The folder; may be missing.
        names: Names of the target files, such as ``last.pt``. No other process may be writing them.
    """
    wanted = {(Path(name).stem, Path(name).suffix) for name in names}
    leftovers = []
    for path in Path(folder).glob(".*.tmp*"):
        match = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}\.tmp(\.[^.]+)?", path.name)
        if match and (match[1], match[2] or "") in wanted:
            path.unlink(missing_ok=True)
            leftovers.append(path)
    return leftovers


def check_writable(path: str | Path) -> None:
    """Raises InputError if ``path`` can't be written. Call it before long work whose result goes there."""
    _temporary(Path(path)).unlink()


def _temporary(target: Path) -> Path:
    """Creates an empty file in the folder of ``target``; raises InputError if that is not possible."""
    import tempfile  # late, as json and hashlib below: an error of use is said without them

    if target.is_dir():
        raise InputError(f"{target}: is a folder; expected a file's name")
    if target.exists() and not target.is_file():  # renaming would replace a device such as /dev/null by a file
        raise InputError(f"{target}: is a device or pipe; expected a file's name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=f".tmp{target.suffix}", dir=target.parent)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error.strerror}); choose another folder") from error
    os.close(handle)
    return Path(name)


def _umask() -> int:
    # mkstemp creates private files (0600); artefacts get the usual permissions of new files.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, data: Any) -> None:
    """Writes indented JSON atomically. NaN and infinity raise ValueError: use null for values that are unknown."""
    import json

    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def sha256(path: str | Path) -> str:
    """SHA-256 hex digest of a file's content."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
