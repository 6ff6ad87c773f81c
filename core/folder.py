"""Artefact folders that are replaced atomically."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .artefact import REPORT_JSON, SPEC_FILE
from .errors import InputError

#: Folder inside an artefact folder for the report of an export that broke a limit.
FAILED_DIR = "failed"


def check_target(out: Path) -> None:
    """Raises InputError if ``out`` contains files that an export must not replace."""
    if out.is_dir():
        names = sorted(path.name for path in out.iterdir())
        if names and names != [FAILED_DIR] and not {REPORT_JSON, SPEC_FILE} <= set(names):
            raise InputError(
                f"`out` {out}: this folder holds other files ({names[0]}, …) and no earlier export; "
                "choose an empty or new folder"
            )
    elif out.exists():
        raise InputError(f"`out` {out}: is a file; choose a folder")


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``out``; on success the folder replaces ``out``.

    If the block raises (Ctrl-C included), the new folder is removed and ``out`` stays unchanged.

    Raises:
        InputError: ``out`` can't be written, or is not an artefact folder.
    """
    check_target(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent))
    except OSError as error:
        raise InputError(f"`out` {out}: can't be written ({error.strerror}); choose another folder") from error
    # mkdtemp creates private folders; artefact folders get the usual permissions of new folders.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o777 & ~umask)
    try:
        yield temporary
        _swap(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(new: Path, out: Path) -> None:
    if not out.exists():
        os.rename(new, out)
        return
    # A folder can't be renamed over a non-empty one. The old folder is moved aside first, and moved back if that fails.
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".old.tmp", dir=out.parent))
    aside = old / out.name
    os.rename(out, aside)
    try:
        os.rename(new, out)
    except BaseException:
        os.rename(aside, out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
