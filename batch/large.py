"""Images that shall not lie in memory as a whole: read and written in strips, through libvips."""

from __future__ import annotations

import mmap
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import DataError, InputError
from ..core.labels import Labels
from ..datasets.encodings.png import PngWriter
from ..datasets.imagefiles.header import HeaderError, read_header
from ..runtime.frame.counting import count_mask
from .options import PredictOptions

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..runtime.frame.result import Frame
    from ..runtime.tiled import TiledSegmenter
    from .store import Store

#: More pixels than this are read in strips: 67 megapixels are 200 MB as a frame.
LARGE = 1 << 26
#: Formats that are written in strips.
STREAMED = ("mask", "palette", "csv")
_BIG_TIFF = (b"II+\0", b"MM\0+")


def is_large(path: str) -> bool:
    """Whether a local file is a PNG or TIFF of more than :data:`LARGE` pixels.

    Raises:
        OSError: it can't be read.
    """
    if not path.lower().endswith((".png", ".tif", ".tiff")):
        return False
    with open(path, "rb") as file:
        if file.read(4) in _BIG_TIFF:
            return True
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                height, width = read_header(data).size_hw  # type: ignore[arg-type]  # TIFF's tags may lie at its end
        except (HeaderError, ValueError):  # what can't be read is said by the decoder
            return False
    return height * width > LARGE


class VipsRows:
    """The rows of a local image, decoded as they are asked for.

    Args:
        path: A PNG or TIFF with 8 bits per channel.

    Raises:
        InputError: pyvips is missing.
        DataError: the image is of another kind.
    """

    def __init__(self, path: str) -> None:
        try:
            import pyvips
        except (ImportError, OSError) as error:
            raise InputError(
                f"{path}: more than {LARGE >> 20} Mi pixels are read in strips by pyvips; pip install 'seg-edge[tiles]'"
            ) from error
        pyvips.cache_set_max(0)  # it would keep the images of earlier files
        self._error, self._path, self._at = pyvips.Error, path, 0
        try:
            self._image: Any = pyvips.Image.new_from_file(path, access="sequential", fail_on="truncated")
        except pyvips.Error as error:
            raise DataError(f"{path}: can't be read ({_line(error)}); is it whole?") from error
        image = self._image
        if image.format != "uchar" or image.bands > 4 or image.interpretation == "cmyk":
            raise DataError(
                f"{path}: expected 8 bits per channel, grey or RGB, got {image.bands} channels of {image.format} "
                f"({image.interpretation}); convert it"
            )
        if image.get_typeof("orientation") and image.get("orientation") != 1:
            raise DataError(f"{path}: is turned by its orientation {image.get('orientation')}; save it upright")
        self.size_hw = (image.height, image.width)
        self._region: Any = pyvips.Region.new(image)

    def read(self, count: int) -> Frame:
        """See :class:`.Rows`.

        Raises:
            DataError: the file is damaged there.
        """
        width, bands = self._image.width, self._image.bands
        try:
            data = self._region.fetch(0, self._at, width, count)
        except self._error as error:
            raise DataError(f"{self._path}: can't be read from row {self._at} on ({_line(error)}); is it whole?") from error
        self._at += count
        pixels: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8).reshape(count, width, bands)
        # Alpha is dropped, as OpenCV's decoders drop it.
        return pixels[..., 2::-1] if bands > 2 else np.broadcast_to(pixels[..., :1], (count, width, 3))


def write_large(
    tiled: TiledSegmenter, path: str, name: str, options: PredictOptions, labels: Labels, store: Store
) -> tuple[tuple[int, int], npt.NDArray[np.uint64], dict[str, str]]:
    """Segments a large image, and writes its files in strips.

    Returns:
        Height and width; the pixels of each value, uint64 (256,); format → path of its file.

    Raises:
        InputError: a format needs the whole mask at once; a file can't be written.
        DataError: the image can't be read.
    """
    whole = [form for form in options.formats if form not in STREAMED]
    if whole:
        raise DataError(
            f"{path}: has more than {LARGE >> 20} Mi pixels, for which the formats {', '.join(STREAMED)} and confidence are "
            f"written, not {', '.join(whole)}"
        )
    rows = VipsRows(path)
    height, width = rows.size_hw
    counts = np.zeros((1, 256), np.uint64)
    with ExitStack() as files:
        writers: list[tuple[PngWriter, bool]] = []
        outputs: dict[str, str] = {}
        for form, folder in (("mask", "masks"), ("palette", "palette"), ("confidence", "confidence")):
            if form in options.formats or (form == "confidence" and options.confidence is not None):
                outputs[form] = f"{folder}/{name}.png"
                file = files.enter_context(store.writing(outputs[form]))
                colours = labels.palette_bgr[:, ::-1] if form == "palette" else None
                writers.append((PngWriter(file, height, width, colours), form == "confidence"))
        for strip in tiled.strips(rows):
            count_mask(strip.mask, counts)
            for writer, sure in writers:
                part = strip.confidence if sure else strip.mask
                assert part is not None
                writer.add(part)
        for writer, _sure in writers:
            writer.close()
    return rows.size_hw, counts[0], outputs


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
