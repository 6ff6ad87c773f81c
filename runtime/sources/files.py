"""Sources that are read from files: a video, a folder of images, one image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from urllib.parse import unquote

from ...core.errors import DataError, SourceError
from ...datasets.imagefiles.pixels import DeepImageError, read_image
from ...datasets.layouts import IMAGE_SUFFIXES, list_images
from .base import Source, SourceFrame, logger
from .options import CameraOptions, LiveOptions, VideoOptions
from .video import AvVideoSource, OpenCvVideoSource, WebpSource

#: Bytes that are read. Headers of colour profiles may stand before the mark.
_HEAD = 1 << 20


class ImageSource(Source):
    """Image files, in order.

    An image that can't be decoded is skipped, counted and logged. If no image can be decoded, iterating raises a
    SourceError.

    Args:
        text: The name given by the user.
        paths: The files, with unique stems.
    """

    def __init__(self, text: str, paths: list[Path]) -> None:
        super().__init__(text, count=len(paths))
        self._paths = paths

    def __iter__(self) -> Iterator[SourceFrame]:
        index = 0
        for path in self._paths:
            try:
                image = read_image(path, self.value_range)
            except DeepImageError as error:
                low, high = (f"{end:.9g}" for end in error.values)
                raise SourceError(
                    f"{path}: the image has more than 8 bits, with values from {low} to {high}, and this model was trained "
                    f"on images of 8 bits: train it on such images with a range such as {low}:{high}, or map the range that "
                    "matters to 0..255 first"
                ) from error
            except DataError as error:
                if len(self._paths) == 1:
                    raise SourceError(str(error)) from error
                self.corrupt += 1
                logger.warning("seg-edge: skipped: %s", error)
                continue
            yield SourceFrame(image, index, path.stem, perf_counter())
            index += 1
        if not index:
            raise SourceError(f"source {self.text}: none of its {len(self._paths)} images can be decoded; replace them")


def open_file(text: str, options: VideoOptions | None = None) -> Source:
    """Opens a video, an image or a folder of images. An animated image is a video.

    Raises:
        SourceError: the path is missing, empty or not readable.
    """
    path = Path(text)
    if path.is_dir():
        return ImageSource(text, _folder(path))
    if not path.exists():
        raise SourceError(
            f"source {text}: no such file or folder; expected a camera number, a video, an image, a folder of images or the "
            "address of a stream"
        )
    options = options or VideoOptions()
    if path.suffix.lower() in IMAGE_SUFFIXES and not _is_moving(path):
        return ImageSource(text, [path])
    if path.suffix.lower() == ".webp":
        return WebpSource(text)
    return AvVideoSource(text, options) if options.with_pyav else OpenCvVideoSource(text)


def open_file_address(_text: str, rest: str, _camera: CameraOptions, _live: LiveOptions, video: VideoOptions) -> Source:
    """Opens ``file:///PATH``. Raises as :func:`open_file` does."""
    return open_file(unquote(rest), video)


def _folder(path: Path) -> list[Path]:
    try:
        images = list_images(path)
    except OSError as error:
        raise SourceError(f"source {path}: the folder can't be read ({error.strerror}); check its permissions") from error
    if not images:
        raise SourceError(f"source {path}: no images in this folder; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
    stems: dict[str, Path] = {}
    for image in images:
        other = stems.setdefault(image.stem, image)
        if other != image:
            raise SourceError(
                f"source {path}: {other.name} and {image.name} have one name, so their results would too; rename one"
            )
    return images


def _is_moving(path: Path) -> bool:
    """Whether a file with an image's suffix is an animation (WebP, PNG, AVIF), so that it is read as a video."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        return bool(head[20] & 2)  # the flag "animation"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        # The chunk acTL must stand before the image data.
        return b"acTL" in head[: max(head.find(b"IDAT"), 0)]
    return head[4:12] == b"ftypavis"
