"""How the values or colours in label files stand for classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import RGB, Labels
from . import palettes

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Coding:
    """Turns a label file's pixels into class numbers.

    Attributes:
        values: File value → class, for files of one 8-bit channel; None: the values are the classes. A value that is not in
            it is an error.
        colours: RGB colour → class, for coloured files; None: the colours of the classes' own palette.
        void_rgb: Colour of void in coloured files, where ``colours`` is None and no class has it.
    """

    values: Mapping[int, int] | None = None
    colours: Mapping[RGB, int] | None = field(default=None)
    void_rgb: RGB | None = None

    #: Whether files in lossy formats, whose values are about right, will do.
    takes_lossy: ClassVar[bool] = False

    def decode(self, raw: npt.NDArray[Any], labels: Labels, path: Path) -> Mask:
        """
        Args:
            raw: The file's pixels: uint8 (H, W), or (H, W, 3 or 4) BGR(A) as OpenCV decodes it.
            labels: The dataset's classes.
            path: For the error's text.

        Returns:
            uint8 (H, W), C-contiguous: class numbers and ``labels.ignore_index``; not yet checked where ``values`` is None.

        Raises:
            DataError: more than 8 bits, or a value or colour that stands for no class.
        """
        if raw.dtype != np.uint8 or raw.ndim not in (2, 3) or (raw.ndim == 3 and raw.shape[2] not in (3, 4)):
            raise DataError(
                f"{path}: labels must be class numbers in one 8-bit channel or colours in three, got {raw.dtype} {raw.shape}"
            )
        if raw.ndim == 3 and self.colours is None and (raw[..., :1] == raw[..., :3]).all():
            grey, classes = raw[..., 0], len(labels)
            # Numbers stored as colour, unless they are none of ours: then it may be a class's grey (CamVid's sky).
            if self.values is not None or not ((grey >= classes) & (grey != labels.ignore_index)).any():
                raw = grey
        if raw.ndim == 3:
            return self._of_colours(raw, labels, path)
        if self.values is None:
            return np.ascontiguousarray(raw)
        known = self._known_values
        used = np.flatnonzero(np.bincount(raw.ravel(), minlength=256))
        bad = used[~known[used]]
        if bad.size:
            raise DataError(
                f"{path}: label value {bad[0]} stands for no class; expected {', '.join(map(str, sorted(self.values)))}"
            )
        return np.ascontiguousarray(self._table[raw])

    def of_palette(
        self, numbers: Mask, palette: list[RGB], labels: Labels, path: Path, seen: palettes.Seen
    ) -> tuple[Mask, bool]:
        """The pixels of a file with a palette, as :func:`.palettes.resolve` says, and whether they are class numbers.

        Raises:
            DataError: nothing decides what the indices mean.
        """
        if self.values is None:
            valid = {*range(len(labels)), labels.ignore_index}
            return palettes.resolve(numbers, palette, labels, valid, path, seen), True
        return palettes.resolve(numbers, palette, None, self.values, path, seen), False

    @cached_property
    def _known_values(self) -> npt.NDArray[np.bool_]:
        known = np.zeros(256, np.bool_)
        known[list(self.values or ())] = True
        return known

    @cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        table = np.zeros(256, np.uint8)
        for value, number in (self.values or {}).items():
            table[value] = number
        return table

    def known_colours(self, labels: Labels) -> Mapping[RGB, int]:
        """RGB colour → class, of coloured files of these classes."""
        if self.colours is not None:
            return self.colours
        colours = {c: i for i, c in enumerate(labels.palette)}
        return colours if self.void_rgb is None else {self.void_rgb: labels.ignore_index, **colours}

    def _of_colours(self, raw: npt.NDArray[Any], labels: Labels, path: Path) -> Mask:
        colours = self.known_colours(labels)
        keys = np.array([r << 16 | g << 8 | b for r, g, b in colours], np.uint32)
        order = np.argsort(keys)
        keys, numbers = keys[order], np.array(list(colours.values()), np.uint8)[order]
        wide = raw.astype(np.uint32)
        packed = wide[..., 2] << 16 | wide[..., 1] << 8 | wide[..., 0]
        at = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
        stranger = packed[keys[at] != packed]
        if stranger.size:
            count = int((stranger == stranger[0]).sum())
            colour = tuple(int(stranger[0]) >> shift & 255 for shift in (16, 8, 0))
            raise DataError(
                f"{path}: colour {colour} (red, green, blue; {count} such pixels) is no class's colour; "
                "name the classes and their palette in classes.json"
            )
        return np.ascontiguousarray(numbers[at])


def palette_as_numbers(data: bytes) -> bytes:
    """A PNG file with a palette, as one whose colours are the palette's indices: grey of value i for index i.

    OpenCV decodes a palette to its colours, but the class numbers of such a label file (Pascal VOC's, and what many tools
    write) are the indices. Any other file is returned as it is.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[25:26] != b"\x03":  # signature; IHDR's colour type
        return data
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, kind = unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        if kind == b"PLTE":
            body = kind + bytes(i for i in range(length // 3) for _ in range(3))
            chunk = pack(">I", length) + body + pack(">I", crc32(body))
        if kind != b"tRNS":
            parts.append(chunk)
        at += 12 + length
    return b"".join(parts)
