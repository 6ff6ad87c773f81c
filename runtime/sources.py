"""Where frames come from: a camera, a video file, a folder of images, one image."""

from __future__ import annotations

import logging
import os
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..core.dataset import IMAGE_SUFFIXES, list_images, read_image
from ..core.errors import DataError, SourceError

logger = logging.getLogger(__name__)

# OpenCV reads this once, when it first uses FFmpeg, so it can't be set around a call. A user's own setting stays.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,3})")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class SourceFrame:
    """One frame.

    Attributes:
        image_bgr: uint8 (H, W, 3), C-contiguous; the receiver's.
        index: Its number in the source, from 0.
        name: A name for files made from it, unique within the source.
        captured_s: ``time.perf_counter`` when it was in memory.
    """

    image_bgr: npt.NDArray[np.uint8]
    index: int
    name: str
    captured_s: float


class Source(ABC):
    """Frames, one after the other. Iterate it once, in one thread.

    Attributes:
        text: What the user called it.
        live: Frames come whether or not anybody takes them, so a late reader must skip some.
        fps: Frames per second that it states, or None.
        count: Frames that it will deliver, or None where that isn't known.
        corrupt: Frames that could not be decoded so far.
        reconnects: Times the source was lost and found again.
    """

    live = False

    def __init__(self, text: str, fps: float | None = None, count: int | None = None) -> None:
        self.text = text
        self.fps = fps
        self.count = count
        self.corrupt = 0
        self.reconnects = 0

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Yields frames until the source ends.

        Raises:
            SourceError: it stopped delivering, or not one frame could be decoded.
        """

    def close(self) -> None:  # noqa: B027  # not every source holds something
        """Lets go of the device or file. May be called twice, and while another thread waits for a frame."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ImageSource(Source):
    """Image files, in order. One that can't be decoded is counted, named on stderr and left out, unless none can.

    Args:
        text: What the user called them.
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


class CaptureSource(Source):
    """What ``cv2.VideoCapture`` opens.

    Args:
        text: What the user called it.
        address: A file name or a camera's number.
    """

    def __init__(self, text: str, address: str | int) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(address)
            opened = self._capture.isOpened()
        if not opened:
            self._capture.release()
            raise SourceError(self._why_not(text))
        super().__init__(text, self._positive(cv2.CAP_PROP_FPS), self._frame_count())
        # Held while a frame is read: releasing a capture under a reader's feet crashes the process.
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
        self._ended(index)

    def close(self) -> None:
        # A reader that hangs in its driver keeps the capture until the process ends; waiting for it would hang us too.
        if self._reading.acquire(timeout=0.1):
            try:
                self._capture.release()
            finally:
                self._reading.release()

    @abstractmethod
    def _why_not(self, text: str) -> str:
        """The error line for a capture that can't be opened; called before the base is set up."""

    @abstractmethod
    def _ended(self, delivered: int) -> None:
        """Called when no further frame came; raises if that is an error."""

    def _frame_count(self) -> int | None:
        return None

    def _positive(self, prop: int) -> float | None:
        value = self._capture.get(prop)
        return float(value) if np.isfinite(value) and value > 0 else None


class VideoSource(CaptureSource):
    """A video file: every frame, as fast as they are taken."""

    def __init__(self, text: str) -> None:
        super().__init__(text, text)

    def _why_not(self, text: str) -> str:
        return (
            f"source {text}: can't be opened as a video ({Path(text).stat().st_size} bytes): not a video, damaged, or in a "
            "format that this OpenCV can't decode; try to play it, or convert it to mp4"
        )

    def _frame_count(self) -> int | None:
        count = self._positive(cv2.CAP_PROP_FRAME_COUNT)
        return round(count) if count else None

    def _ended(self, delivered: int) -> None:
        if not delivered:
            raise SourceError(
                f"source {self.text}: not one frame can be decoded; the video is damaged: convert or replace it"
            )
        # Containers often state a frame or two too many; a video that lost its tail lacks far more.
        if self.count and delivered < 0.98 * self.count - 2:
            logger.warning(
                "seg-edge: %s ended after %d of the %d frames that it states; it may be damaged",
                self.text,
                delivered,
                self.count,
            )


class CameraSource(CaptureSource):
    """A camera of the machine, by number."""

    live = True

    def __init__(self, text: str, number: int) -> None:
        self._number = number
        super().__init__(text, number)

    def _why_not(self, text: str) -> str:
        found = sorted(path.name for path in Path("/dev").glob("video*"))
        device = Path(f"/dev/video{self._number}")
        if device.exists() and not os.access(device, os.R_OK | os.W_OK):
            return f"source {text}: no permission for {device}; add this user to its group (sudo usermod -aG video $USER)"
        has = (
            f"this machine has {', '.join('/dev/' + name for name in found)}" if found else "this machine has no /dev/video*"
        )
        busy = "it is in use by another program, or not a capture device" if device.exists() else "no such camera"
        return f"source {text}: camera {self._number} can't be opened: {busy} ({has}); pass another --source"

    def _ended(self, delivered: int) -> None:
        raise SourceError(
            f"source {self.text}: the camera stopped delivering after {delivered} frames; check its cable and power"
        )


def open_source(source: str | Path | int) -> Source:
    """Opens a source by what it is called.

    Args:
        source: ``0`` or ``/dev/video0`` (camera), an image file, a folder of images (sorted by name), or a video file.

    Raises:
        SourceError: missing, empty, or not readable; nothing is printed beside it.
    """
    text = str(source)
    camera = _CAMERA.fullmatch(text)
    path = Path(text)
    if camera and not path.is_file():
        return CameraSource(text, int(camera[1]))
    if _SCHEME.match(text):
        raise SourceError(
            f"source {text}: this kind of address is unknown; expected a camera number, a video, an image or a folder"
        )
    if path.is_dir():
        return ImageSource(text, _folder(path))
    if not path.exists():
        raise SourceError(
            f"source {text}: no such file or folder; expected a camera number, a video, an image or a folder of images"
        )
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageSource(text, [path])
    return VideoSource(text)


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


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Keeps OpenCV from printing: what the user must know is in the SourceError."""
    log: Any = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
