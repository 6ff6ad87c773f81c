"""Public datasets, downloaded with resume and checksum, and unpacked where training finds them."""

from __future__ import annotations

import hashlib
import http.client
import os
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..core.errors import DownloadError, InputError, UnknownNameError
from ..core.progress import Count, Progress, Silent
from ..core.report import Report
from .public import TABLE, OnRequest

ATTEMPTS = 5
TIMEOUT_S = 30.0
_BLOCK = 1 << 18


@dataclass(frozen=True, repr=False)
class Fetched(Report):
    """A downloaded dataset.

    Attributes:
        name: Its name in the table of public datasets.
        data: Its folder.
        about: Size and terms of use.
    """

    name: str
    data: Path
    about: str

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "data": str(self.data), "about": self.about}

    def title(self) -> str:
        return f"{self.data}: {self.about}"


def fetch(name: str, out: str | Path | None = None, *, progress: Progress | None = None) -> Fetched:
    """Downloads and unpacks a public dataset.

    The archive is kept beside ``out`` as ``.NAME.part`` until it is whole; called again, the download goes on from there.

    >>> fetch("cityscapes")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.InputError: cityscapes: its owner hands it out on registration only; register at https://www...

    Args:
        name: A key of :data:`seg_edge.datasets.public.TABLE`.
        out: Folder to make; None: ``data/NAME``.
        progress: Told the bytes done and the bytes in all.

    Raises:
        UnknownNameError: no such dataset.
        InputError: ``out`` is not empty or can't be written, or the dataset needs a registration.
        DownloadError: the server can't be reached, or the archive's checksum is another one.
    """
    if name not in TABLE:
        raise UnknownNameError("dataset", name, TABLE)
    known = TABLE[name]
    if isinstance(known, OnRequest):
        raise InputError(f"{name}: its owner hands it out on registration only; {known.remedy}")
    out = Path("data") / name if out is None else Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not empty; choose another folder for the dataset")
    part = out.absolute().parent / f".{name}.part"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        download(known.url, part, known.md5, (progress or Silent()).count(name))
        unpack(part, known.inside, out)
    except OSError as error:
        raise InputError(f"{error.filename or out}: can't be written ({error.strerror}); choose another folder") from error
    part.unlink()
    return Fetched(name, out, known.about)


def download(url: str, target: Path, md5: str, count: Count | None = None) -> None:
    """Downloads a file, going on from what ``target`` holds already, and checks it.

    Args:
        url: Of the file.
        target: Where it goes.
        md5: Its checksum, hex.
        count: Called with the bytes done and the bytes in all (None where the server does not say).

    Raises:
        DownloadError: after :data:`ATTEMPTS` tries in a row that brought nothing, or on another checksum; ``target`` is
            kept in the first case and removed in the second.
    """
    failures = 0
    while True:
        before = _size(target)
        try:
            _continue(url, target, count)
            break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise DownloadError(f"{url}: the server answered {error.code} {error.reason}; try again later") from error
            failures = 0 if _size(target) > before else failures + 1
            if failures >= ATTEMPTS:
                reason = getattr(error, "reason", None) or error
                raise DownloadError(
                    f"{url}: can't be reached ({reason}); {_size(target)} bytes are kept in {target}: call again to go on"
                ) from error
            time.sleep(min(8.0, 0.25 * 2**failures))
    digest = hashlib.md5(usedforsecurity=False)  # the checksum that the datasets' users publish
    with open(target, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != md5:
        size = _size(target)
        target.unlink()
        raise DownloadError(
            f"{url}: the file has another checksum than expected (md5 {digest.hexdigest()} of {size} bytes, not {md5}); "
            "it was removed: call again, or report it if that doesn't help"
        )


def _continue(url: str, target: Path, count: Count | None) -> None:
    have = _size(target)
    request = urllib.request.Request(url, headers={"User-Agent": "seg-edge"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is left: it is whole, as the checksum will say
            return
        raise
    with answer:
        ours = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        resumed = bool(have) and answer.status == 206 and ours
        done = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with open(target, "ab" if resumed else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                if count is not None:
                    count(done, total)
        if total is not None and done < total:  # read() ends quietly when the connection does
            raise ConnectionError(f"the connection ended after {done} of {total} bytes")


def unpack(archive: Path, inside: str, out: Path) -> None:
    """Unpacks one folder of an archive as ``out``, which appears when it is whole.

    Raises:
        DownloadError: not an archive, or without that folder.
    """
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.absolute().parent) as temporary:
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(temporary, [name for name in zipped.namelist() if _below(name, inside)])
            else:
                with tarfile.open(archive) as packed:
                    members = [member for member in packed if _below(member.name, inside)]
                    # Members that would leave the folder, and links and devices, are refused.
                    packed.extractall(temporary, members, filter="data")
        except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise DownloadError(f"{archive}: can't be unpacked ({error})") from error
        folder = Path(temporary) / inside
        if not folder.is_dir():
            raise DownloadError(f"{archive}: holds no folder {inside}")
        if out.exists():
            out.rmdir()
        os.replace(folder, out)


def _below(name: str, folder: str) -> bool:
    return PurePosixPath(name).is_relative_to(folder)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
