"""What image files say beside their pixels: EXIF orientation, channels that are dropped, warnings of the decoder."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError
from struct import unpack_from
from typing import TextIO

from .exif import MEANINGS, orientation
from .tiff import tiff_header

_NAMED = 3  # files that a line names


@contextmanager
def decoder_warnings() -> Iterator[list[str]]:
    """Lines that decoders written in C print while the block runs; complete when it has ended.

    libjpeg says on stderr that a file is damaged, without the file's name, and OpenCV takes what could be decoded. What
    Python writes to stderr meanwhile, such as a progress bar, goes where it went.
    """
    lines: list[str] = []
    python = sys.stderr
    python.flush()
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        beside = _around(python, saved)
        try:
            yield lines
        finally:
            if beside is not None:
                beside.flush()
                sys.stderr = python
                beside.detach()
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines += [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


def _around(python: TextIO, saved: int) -> io.TextIOWrapper | None:
    """Makes Python's stderr write past the redirection, where it would go through it; None where it doesn't."""
    try:
        if python.fileno() != 2:
            return None
    except (OSError, ValueError):
        return None
    writer = io.TextIOWrapper(io.FileIO(saved, "w", closefd=False), encoding="utf-8", errors="replace", write_through=True)
    sys.stderr = writer
    return writer


class Remarks:
    """Gathers over many images what a user should know of their files."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def look(self, path: Path, stored: bool = False) -> None:
        """Reads a file's headers.

        Args:
            path: The file.
            stored: Labels are for the pixels as stored, and are turned along.
        """
        data = path.read_bytes()
        turn = orientation(data)
        if turn > 1:
            how = "its label is turned along" if stored else "labels must be drawn that way"
            cure = "" if stored else "; if they are for the pixels as stored: `exif='stored'`"
            self._add(f"EXIF orientation {turn}: read as viewers show it, {MEANINGS[turn]}; {how}{cure}", path)
        dropped = dropped_channels(data)
        if dropped:
            self._add(dropped, path)

    def lines(self) -> list[str]:
        """A line for each kind of remark: how many images, and the first of them."""
        lines = []
        for text, files in self._files.items():
            more = ", …" if len(files) > _NAMED else ""
            images = "1 image has" if len(files) == 1 else f"{len(files)} images have"
            lines.append(f"{images} {text} ({', '.join(files[:_NAMED])}{more})")
        return lines

    def _add(self, text: str, path: Path) -> None:
        self._files.setdefault(text, []).append(path.name)


def dropped_channels(data: bytes) -> str:
    """What an image file has that reading it as BGR leaves out; empty where it has nothing such."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[25:26] in (b"\x04", b"\x06"):
        return "an alpha channel, which is dropped"
    if data[:2] == b"\xff\xd8" and _jpeg_components(data) == 4:
        return "CMYK colours, which are converted to RGB without their profile"
    header = tiff_header(data)
    if header is not None and header.extra:
        return "a band beside grey or colour (alpha, infrared), which is dropped"
    if header is not None and header.pages > 1:
        return f"{header.pages} pages, of which the first is read"
    return ""


def _jpeg_components(data: bytes) -> int:
    at = 2
    try:
        while data[at] == 0xFF:
            kind = data[at + 1]
            if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
                return data[at + 9]
            at += 2 + int(unpack_from(">H", data, at + 2)[0])
    except (IndexError, StructError):  # ends before its frame header
        pass
    return 0
