"""Datasets on disk as arrays: pairs of image and label files, whatever their layout. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError
from ..core.labels import Labels
from .imagefiles.exif import MEANINGS, orientation, upright
from .imagefiles.pixels import Frame as Frame
from .imagefiles.pixels import decode, file_bytes
from .imagefiles.pixels import read_image as read_image
from .imagefiles.tiff import few_bits, tiff_header
from .labelfiles import snapping
from .labelfiles.classes import CLASSES_FILE
from .labelfiles.coding import Coding, Mask, palette_as_numbers
from .labelfiles.palettes import Seen, grey_step, palette_of, resolve
from .options import ReadOptions

#: What 16-bit files hold for an 8-bit value v that a tool widened: v times this.
_WIDENED = 257


class Paths(Sequence[Path]):
    """Paths of files, made when they are asked for: a hundred thousand path objects take longer than listing the files.

    >>> Paths(("a/1.png", "a/2.png"))[1].name
    '2.png'
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Paths: ...
    def __getitem__(self, index: int | slice) -> Path | Paths:
        return Paths(self._texts[index]) if isinstance(index, slice) else Path(self._texts[index])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Paths):
            return self._texts == other._texts
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(self._texts)

    def __repr__(self) -> str:
        return f"Paths({self._texts!r})"


@dataclass(frozen=True)
class SegDataset:
    """One split of a segmentation dataset on disk.

    Attributes:
        root: The dataset's folder.
        split: ``"train"``, ``"val"``, …
        labels: Its classes.
        images, masks: Paths, pair by pair, sorted by name.
        coding: What the label files' pixels mean.
        sets: What label values from ``len(labels)`` up stand for: each a set of classes, one of which is the pixel's. Empty
            where every label is one class; see :mod:`.merged`.
        notes: What was assumed about the label files, one line each.
        palettes: Colours that palette indices had in the label files read so far.
        options: How files are read: ranges, orientation, blurred labels.
        snaps: Values that blurred labels are set to, where ``options.snap``; colours are those of the coding.
    """

    root: Path
    split: str
    labels: Labels
    images: Sequence[Path]
    masks: Sequence[Path]
    coding: Coding = field(default=Coding(), compare=False)
    sets: tuple[tuple[int, ...], ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    palettes: Seen = field(default_factory=dict, compare=False, repr=False)
    options: ReadOptions = field(default=ReadOptions(), compare=False, repr=False)
    snaps: tuple[int, ...] = field(default=(), compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Of images deeper than 8 bits: the values that become 0 and 255."""
        return self.options.value_range

    def __iter__(self) -> Iterator[tuple[Frame, Mask]]:
        return (self.read(i) for i in range(len(self)))

    def read(self, index: int) -> tuple[Frame, Mask]:
        """One image and its mask.

        Returns:
            uint8 (H, W, 3) BGR and uint8 (H, W); label values are below ``len(labels)`` or equal ``ignore_index``.

        Raises:
            DataError: an unreadable file, sizes that differ, or a label value out of range.
        """
        frame, mask = read_image(self.images[index], self.value_range), self.read_mask(index)
        if frame.shape[:2] != mask.shape:
            raise DataError(
                f"{self.masks[index]}: label is {_size(mask)} but its image {self.images[index].name} is {_size(frame)}; "
                f"both must have one size{_turned(self.images[index], self.masks[index], frame, mask, self.options.exif)}"
            )
        return frame, mask

    def read_mask(self, index: int) -> Mask:
        """The mask of one pair alone: uint8 (H, W).

        Raises:
            DataError: an unreadable file, or a value or colour that is no class.
        """
        path = self.masks[index]
        data = file_bytes(path)
        lossy = is_lossy(data)
        if lossy and not self.coding.takes_lossy and not self.options.snap:
            raise DataError(_lossy(path, data))
        palette = palette_of(data) if self.coding.colours is None else None
        stored = self.options.exif == "stored"
        raw = _label_pixels(path, data, palette is not None, turn=not stored)
        decoded = False
        if palette is not None:
            raw, decoded = self.coding.of_palette(np.asarray(raw, np.uint8), palette, self.labels, path, self.palettes)
        if self.options.snap and not decoded and raw.dtype == np.uint8:
            raw = self._snapped(np.asarray(raw, np.uint8), lossy, path)
        mask = np.ascontiguousarray(raw, np.uint8) if decoded else self.coding.decode(raw, self.labels, path)
        if stored:
            mask = upright(mask, orientation(file_bytes(self.images[index])))
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        bad = values[(values >= len(self.labels)) & (values != self.labels.ignore_index)]
        if bad.size:
            raise DataError(
                f"{path}: label value {bad[0]} is out of range: expected 0..{len(self.labels) - 1} or "
                f"{self.labels.ignore_index} (void); {self._cure(values[values != self.labels.ignore_index])}"
            )
        return mask

    def _cure(self, used: npt.NDArray[np.intp]) -> str:
        """What to do about values that are no classes."""
        file, names = self.root / CLASSES_FILE, self.labels.names
        if used[0] == 1 and used[-1] == len(names):
            numbered = json.dumps({str(number): name for number, name in enumerate(names, 1)}, ensure_ascii=False)
            return f'the values may count from 1: if so, write {file}: {{"names": {numbered}}}'
        if len(names) == 1 and used[-1] == 1:
            both = json.dumps(["background", *names], ensure_ascii=False)
            return f'if 0 is the background, write {file}: {{"names": {both}}}'
        return f"name the classes in {file}"

    def _snapped(self, raw: npt.NDArray[np.uint8], lossy: bool, path: Path) -> npt.NDArray[np.uint8]:
        """Blurred values or colours as those of the classes."""
        if raw.ndim == 3 and self.snaps and (raw[..., :1] == raw[..., :3]).all():
            raw = np.ascontiguousarray(raw[..., 0])
        if raw.ndim == 2:
            values: list[tuple[int, ...]] = [(value,) for value in self.snaps]
        else:
            raw = raw[..., :3]
            values = [colour[::-1] for colour in self.coding.known_colours(self.labels)]
        snapping.check_apart(values, path)
        return snapping.snap(raw, values, lossy)


def read_mask(path: str | Path, seen: Seen | None = None) -> Mask:
    """Reads a label image of one 8-bit channel: uint8 (H, W).

    Args:
        path: The file.
        seen: Colours of palette indices in files read before; completed here.

    Raises:
        DataError: missing, not decodable, coloured or deeper than 8 bits, in a lossy format, or a palette index has another
            colour than in a file read before.
    """
    path = Path(path)
    data = file_bytes(path)
    if is_lossy(data):
        raise DataError(_lossy(path, data))
    palette = palette_of(data)
    mask = _label_pixels(path, data, palette is not None)
    if palette is not None:
        mask = resolve(np.asarray(mask, np.uint8), palette, None, None, path, {} if seen is None else seen)
    if mask.ndim == 3 and (mask[..., :1] == mask[..., :3]).all():
        mask = mask[..., 0]  # grey stored as colour
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise DataError(
            f"{path}: labels must be one 8-bit channel of class numbers, got {mask.dtype} {mask.shape}; "
            "if they are coloured, name the classes and their palette in classes.json"
        )
    return np.ascontiguousarray(mask)


def write_labels(root: str | Path, labels: Labels) -> None:
    """Writes ``classes.json`` into a dataset's root."""
    from ..core.artefact import write_json

    write_json(Path(root) / CLASSES_FILE, labels.to_dict())


def is_lossy(data: bytes) -> bool:
    """Whether a file is of a format that changes values: JPEG, or WebP's lossy kind."""
    return data[:2] == b"\xff\xd8" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP" and b"VP8 " in data[12:64])


def _lossy(path: Path, data: bytes) -> str:
    pixels = decode(path, data, cv2.IMREAD_GRAYSCALE)
    shown = f" (here {len(np.unique(pixels))} values from {pixels.min()} to {pixels.max()})"
    return (
        f"{path}: a label in a lossy format, JPEG or WebP: compression changes the values{shown}; export the labels "
        "again as PNG, or set each pixel to the nearest class with `snap=True`, which is a guess along borders"
    )


def read_grey(path: Path) -> Mask:
    """A label file's values as they are stored, lossy ones too: uint8 (H, W).

    Raises:
        DataError: not decodable, or coloured.
    """
    data = file_bytes(path)
    raw = _label_pixels(path, data, False)
    if raw.ndim == 3 and (raw[..., :1] == raw[..., :3]).all():
        raw = raw[..., 0]
    if raw.ndim != 2 or raw.dtype != np.uint8:
        raise DataError(f"{path}: expected a grey label file of 8 bits, got {raw.dtype} {raw.shape}")
    return np.ascontiguousarray(raw, np.uint8)


def _turned(path: Path, label: Path, frame: Frame, mask: Mask, exif: str) -> str:
    """What EXIF has to do with sizes that differ; nothing where it has none."""
    turn = orientation(file_bytes(path))
    if (own := orientation(file_bytes(label))) >= 5 and exif == "upright":
        return f"; EXIF orientation {own} of the label itself turns it: write the label files without EXIF"
    if turn < 5 or frame.shape[:2] != mask.shape[::-1]:
        return ""
    drawn, other = ("without it", "stored") if exif == "upright" else ("as viewers show the image", "upright")
    return (
        f"; EXIF orientation {turn} of the image says {MEANINGS[turn]}, and the label was drawn {drawn}: read such labels "
        f"with `exif='{other}'`"
    )


def _label_pixels(path: Path, data: bytes, indices: bool, turn: bool = True) -> npt.NDArray[np.generic]:
    """Pixels as stored: of a file with a palette the indices or the colours, of a grey one of few bits the raw values.

    Args:
        path: For the error's text.
        data: The file's content.
        indices: Whether it has a palette whose indices count.
        turn: Turn them as the label file's own EXIF orientation says, which OpenCV does for TIFF alone.
    """
    header = tiff_header(data)
    if indices:
        image = decode(path, palette_as_numbers(data), cv2.IMREAD_UNCHANGED, len(data))
        image = image if image.ndim == 2 else image[..., 0]  # all three channels are the same
    elif (
        header is not None
        and header.bands == 1
        and header.bits in (1, 2, 4)
        and not (header.bits == 4 and header.colour_map)
    ):
        image = _few_bits(path, data, header.bits, header.colour_map)
    else:
        image, step = decode(path, data, cv2.IMREAD_UNCHANGED), grey_step(data)
        image = image if step == 1 else np.asarray(image // step, np.uint8)
    if header is not None and header.extra and image.ndim == 2:
        raise DataError(f"{path}: the label has {header.bands} bands; expected class numbers in one, or three colours")
    if image.ndim == 3 and image.shape[2] == 4:
        _check_alpha(image, path)
    image = _narrow(image, path)
    return upright(image, orientation(data)) if turn and header is None else image


def _check_alpha(image: npt.NDArray[np.generic], path: Path) -> None:
    """Refuses labels that say something in the alpha channel, which isn't read.

    Raises:
        DataError: one colour throughout under an alpha channel that varies, or a colour both opaque and transparent.
    """
    alpha, colours = image[..., 3], image[..., :3].astype(np.int64)
    if (alpha == alpha.flat[0]).all():
        return
    if (colours == colours[0, 0]).all():
        raise DataError(
            f"{path}: the label is drawn in its alpha channel alone, which is not read (its colour is the same everywhere): "
            "save the alpha channel as grey, as in: magick mogrify -alpha extract *.png"
        )
    packed = colours[..., 2] << 32 | colours[..., 1] << 16 | colours[..., 0]
    both = np.intersect1d(packed[alpha == 0], packed[alpha != 0])
    if both.size:
        colour = tuple(int(both[0]) >> shift & 0xFFFF for shift in (32, 16, 0))
        raise DataError(
            f"{path}: colour {colour} (red, green, blue) is opaque in some pixels and transparent in others, and the alpha "
            "channel is not read: give transparent pixels a colour of their own, as in: magick mogrify -background "
            "black -alpha remove *.png"
        )


def _few_bits(path: Path, data: bytes, bits: int, coloured: bool) -> npt.NDArray[np.uint8]:
    """The values of a TIFF label of 1, 2 or 4 bits.

    Raises:
        DataError: it is packed in a way that is not read.
    """
    image = few_bits(data)
    if image is not None:
        return image
    if bits == 1 and not coloured:
        return np.asarray(decode(path, data, cv2.IMREAD_UNCHANGED) // 255, np.uint8)  # as PNG's of one bit
    raise DataError(f"{path}: the label is a TIFF of {bits} bits a pixel, packed in a way that is not read; save it as PNG")


def _narrow(image: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.generic]:
    """Deeper pixels as 8 bits, where they hold nothing that needs more.

    Raises:
        DataError: they hold more.
    """
    if image.dtype == np.uint8:
        return image
    narrow = image.astype(np.uint8)
    if (narrow == image).all():
        return narrow
    if image.dtype == np.uint16 and not (image % _WIDENED).any():  # PNG's way to write 8 bits as 16
        return np.asarray(image // _WIDENED, np.uint8)
    raise DataError(
        f"{path}: label values are {image.dtype} from {image.min()} to {image.max()}; class numbers go up to 255: instance "
        "numbers, depth or probabilities are no classes; export the classes"
    )


def _size(image: npt.NDArray[np.generic]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
