"""Sources that are read from files: a video, a folder of images, one image."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from urllib.parse import unquote

import cv2
import numpy as np

from ...core.errors import DataError, SourceError
from ...datasets.dataset import read_image
from ...datasets.layouts import IMAGE_SUFFIXES, list_images
from .base import Source, SourceFrame, logger, quiet_opencv
from .options import CameraOptions, LiveOptions


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
                image = read_image(path)
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


class VideoSource(Source):
    """A video file. Delivers every frame, as fast as the reader takes them."""

    def __init__(self, text: str) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(text)
            opened = self._capture.isOpened()
        if not opened:
            self._capture.release()
            raise SourceError(
                f"source {text}: can't be opened as a video ({Path(text).stat().st_size} bytes): not a video, damaged, or "
                "in a format that this OpenCV can't decode; try to play it, or convert it to mp4"
            )
        count = self._positive(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(text, self._positive(cv2.CAP_PROP_FPS), round(count) if count else None)
        # Held during a read, because releasing a capture during a read crashes the process.
        self._reading = threading.Lock()

    def __iter__(self) -> Iterator[SourceFrame]:
        stem = Path(self.text).stem or "frame"
        index = 0
        while True:
            with self._reading:
                more, image = self._capture.read()
                now = perf_counter()
            if not more:
                break
            yield SourceFrame(np.asarray(image, np.uint8), index, f"{stem}_{index:06d}", now)
            index += 1
        if not index:
            raise SourceError(
                f"source {self.text}: not one frame can be decoded; the video is damaged: convert or replace it"
            )
        check_count(self.text, index, self.count)

    def close(self) -> None:
        # A read from a dead network drive may hang forever. Then the capture stays open, so that close() does not hang.
        if self._reading.acquire(timeout=0.1):
            try:
                self._capture.release()
            finally:
                self._reading.release()

    def _positive(self, prop: int) -> float | None:
        value = self._capture.get(prop)
        return float(value) if np.isfinite(value) and value > 0 else None


def check_count(text: str, delivered: int, stated: int | None) -> None:
    """Warns about a truncated video. Containers often state a frame or two too many; damaged files lack many more."""
    if stated and delivered < 0.98 * stated - 2:
        logger.warning(
            "seg-edge: %s ended after %d of the %d frames that it states; it may be damaged", text, delivered, stated
        )


def open_file(text: str) -> Source:
    """Opens a video, an image or a folder of images.

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
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(text, [path])
    return VideoSource(text)


def open_file_address(_text: str, rest: str, _camera: CameraOptions, _live: LiveOptions) -> Source:
    """Opens ``file:///PATH``. Raises as :func:`open_file` does."""
    return open_file(unquote(rest))


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
