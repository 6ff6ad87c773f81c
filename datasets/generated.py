"""Folders of generated images: written beside their place, by several processes, and renamed when they are whole."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError, InputError

J = TypeVar("J")


def each(function: Callable[[J], int], jobs: Sequence[J], workers: int) -> Iterator[int]:
    """``map(function, jobs)`` over processes; in this one where a second would only cost its start.

    Raises:
        InputError: a process was killed.
    """
    workers = min(len(jobs) // 4, workers)
    if workers < 2:
        yield from map(function, jobs)
        return
    # Not forked: OpenCV's threads, and torch's where it is loaded, do not survive that.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        try:
            # Ctrl-C goes to the whole group: the processes, started here, inherit that it is blocked; this one answers it.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                results = pool.map(function, jobs)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            yield from results
        except BrokenProcessPool as error:
            raise InputError("a process that draws images was killed (out of memory?); ask for fewer pixels") from error
        finally:
            pool.shutdown(cancel_futures=True)


def check_target(out: Path, force: bool | None = False) -> None:
    """Raises InputError if ``out`` is a file, or a folder that holds something and may not be written into.

    ``force``: Write into it all the same; None where the caller has no such choice.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; choose a folder for the generated data")
    if out.is_dir() and any(out.iterdir()) and not force:
        other = "" if force is None else ", or pass `force=True` to write into it"
        raise InputError(f"{out}: the folder is not empty; choose another one{other}")


def write_image(path: Path, image: npt.NDArray[Any]) -> None:
    """JPEG of quality 92, or PNG, as the name says.

    Raises:
        DataError: OpenCV can't encode it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    good, data = cv2.imencode(path.suffix, image, options)
    if not good:
        raise DataError(f"{path}: OpenCV can't encode {path.suffix} images")
    np.asarray(data).tofile(path)


@contextmanager
def temporary_folder(out: Path) -> Iterator[Path]:
    """A new folder beside ``out``, removed with what is in it if it has not been moved away by the end.

    Raises:
        InputError: no folder can be made there.
    """
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.absolute().parent))
    except OSError as error:
        raise InputError(f"{out}: can't be written ({error.strerror}); choose another folder") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_into_place(folder: Path, out: Path) -> bool:
    """Renames a temporary folder to ``out`` where that is empty or not there; says whether it did."""
    mask = os.umask(0)
    os.umask(mask)
    folder.chmod(0o777 & ~mask)  # mkdtemp makes folders private
    if out.exists() and any(out.iterdir()):
        return False
    if out.exists():
        out.rmdir()
    os.rename(folder, out)
    return True
