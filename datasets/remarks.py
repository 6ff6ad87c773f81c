"""What image files say beside their pixels: EXIF orientation, channels that are dropped, warnings of the decoder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError
from struct import unpack_from

from .exif import MEANINGS, orientation

_NAMED = 3  # files that a line names


@contextmanager
def decoder_warnings() -> Iterator[list[str]]:
    """Lines that decoders written in C print while the block runs; complete when it has ended.

    libjpeg says on stderr that a file is damaged, without the file's name, and OpenCV takes what could be decoded. Writes of
    other threads to stderr meanwhile are caught too: for a loop that has the process for itself.
    """
    lines: list[str] = []
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines += [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


class Remarks:
    """Gathers over many images what a user should know of their files."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def look(self, path: Path) -> None:
        """Reads a file's headers."""
        data = path.read_bytes()
        turn = orientation(data)
        if turn > 1:
            self._add(
                f"EXIF orientation {turn}: read as viewers show it, {MEANINGS[turn]}; labels must be drawn that way", path
            )
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
