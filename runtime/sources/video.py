"""Video files, read with PyAV, or with OpenCV on machines without it."""

from __future__ import annotations

import subprocess
import sys
import threading
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from ...core.errors import SourceError
from ..frame.colours import BT601, Colours, Image
from .base import Source, SourceFrame, logger, quiet_opencv
from .options import VideoOptions

#: A frame, its time in seconds, its pixel format and its colours.
Found = tuple[Image, "float | None", str, Colours]


class VideoSource(Source):
    """A video file. Delivers every frame, as fast as the reader takes them."""

    def __init__(self, text: str, fps: float | None, count: int | None) -> None:
        super().__init__(text, fps, count)
        self._stated = True
        # Held during a read, because closing a decoder during a read crashes the process.
        self._reading = threading.Lock()

    def __iter__(self) -> Iterator[SourceFrame]:
        stem = Path(self.text).stem or "frame"
        index = 0
        while True:
            with self._reading:
                found = self._read()
                now = perf_counter()
            if found is None:
                break
            image, time_s, pixel_format, colours = found
            yield SourceFrame(image, index, f"{stem}_{index:06d}", now, 0, pixel_format, time_s, colours)
            index += 1
        if not index:
            raise SourceError(f"source {self.text}: not one frame can be decoded; {self._why_nothing()}")
        if self.corrupt:
            logger.warning("seg-edge: %s: %d damaged packets were skipped", self.text, self.corrupt)
        check_count(self.text, index, self.count if self._stated else None)

    def close(self) -> None:
        # A read from a dead network drive may hang forever. Then the video stays open, so that close() does not hang.
        if self._reading.acquire(timeout=0.1):
            try:
                self._release()
            finally:
                self._reading.release()

    @abstractmethod
    def _read(self) -> Found | None:
        """The next frame; None at the end."""

    @abstractmethod
    def _release(self) -> None:
        """Closes the video. May be called twice."""

    def _why_nothing(self) -> str:
        return "the video is damaged: convert or replace it"


class OpenCvVideoSource(VideoSource):
    """A video file, read by OpenCV. It has one rate, and OpenCV's colours."""

    def __init__(self, text: str) -> None:
        with quiet_opencv():
            self._capture = cv2.VideoCapture(text)
            opened = self._capture.isOpened()
        if not opened:
            self._capture.release()
            raise cannot_open(text, "not a video, damaged, or in a format that this OpenCV can't decode")
        count = self._positive(cv2.CAP_PROP_FRAME_COUNT)
        super().__init__(text, self._positive(cv2.CAP_PROP_FPS), round(count) if count else None)
        if _unfilled(text):
            self._capture.release()
            raise SourceError(
                f"source {text}: this OpenCV ({cv2.__version__}) can't convert its frames (interlaced, or colours that it "
                "doesn't know) and would show one constant image; install PyAV: pip install av"
            )
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC))
        fourcc = "".join(chr(code >> shift & 0x7F) for shift in (0, 8, 16, 24)).strip("\0") or None
        self.video = {"reader": f"OpenCV {cv2.__version__}", "decoder": None, "codec": fourcc, "pixel_format": "bgr"}

    def _read(self) -> Found | None:
        more, image = self._capture.read()
        return (np.asarray(image, np.uint8), None, "bgr", BT601) if more else None

    def _release(self) -> None:
        self._capture.release()

    def _why_nothing(self) -> str:
        codec = (self.video or {}).get("codec")
        return f"the video is damaged, or this OpenCV has no decoder for its codec ({codec}): install PyAV (pip install av)"

    def _positive(self, prop: int) -> float | None:
        value = self._capture.get(prop)
        return float(value) if np.isfinite(value) and value > 0 else None


class AvVideoSource(VideoSource):
    """A video file, read with PyAV: every frame with its time, upright, deinterlaced, in the colours of the stream."""

    def __init__(self, text: str, options: VideoOptions) -> None:
        from .libav.reader import CannotOpen, Reader, Unsupported

        try:
            self._reader = Reader(f"file:{text}", decoder=options.decoder, weave=options.weave)
        except CannotOpen as error:
            raise cannot_open(text, str(error) if error.final else f"not a video, or damaged ({error})") from error
        self._errors = (CannotOpen, Unsupported)
        super().__init__(text, self._reader.fps, self._reader.count)
        self._stated = self._reader.stated
        self._pictures = iter(self._reader)
        self._closed = False
        self._hear()

    def _read(self) -> Found | None:
        if self._closed:
            return None
        try:
            picture = next(self._pictures, None)
        except self._errors as error:
            raise SourceError(f"source {self.text}: {error}") from error
        finally:
            self.corrupt = self._reader.corrupt
        if self._reader.take_change():
            self._hear()
        if picture is None:
            return None
        return picture.image, picture.time_s, picture.pixel_format, Colours(picture.matrix, picture.full_range)

    def _release(self) -> None:
        if not self._closed:
            self._closed = True
            self._reader.close()

    def _why_nothing(self) -> str:
        return f"the video is damaged ({(self.video or {}).get('codec')}): convert or replace it"

    def _hear(self) -> None:
        self.video = self._reader.describe()
        for note in self._reader.notes:
            logger.warning("seg-edge: source %s: %s", self.text, note)
        self._reader.notes.clear()


class WebpSource(VideoSource):
    """An animated WebP, read by OpenCV: FFmpeg up to 8.1 has no decoder for it. All frames are in memory."""

    def __init__(self, text: str) -> None:
        if not hasattr(cv2, "imreadanimation"):
            raise cannot_open(text, f"an animated WebP, which OpenCV {cv2.__version__} can't decode; 4.11 and later can")
        with quiet_opencv():
            fine, animation = cv2.imreadanimation(text)
        if not fine:
            raise cannot_open(text, "a damaged WebP")
        images, durations = animation.frames, np.asarray(animation.durations, np.float64).ravel() / 1e3
        total_s = float(durations.sum())
        super().__init__(text, len(images) / total_s if total_s > 0 else None, len(images))
        times = np.concatenate([[0.0], np.cumsum(durations)])
        self._pictures = iter([(np.asarray(image, np.uint8), float(t)) for image, t in zip(images, times, strict=False)])
        self.video = {
            "reader": f"OpenCV {cv2.__version__}", "decoder": "libwebp", "codec": "webp", "pixel_format": "bgr",
        }  # fmt: skip

    def _read(self) -> Found | None:
        found = next(self._pictures, None)
        if found is None:
            return None
        image, time_s = found
        return np.ascontiguousarray(image[..., :3]), time_s, "bgr", BT601  # without the transparency

    def _release(self) -> None:
        self._pictures = iter([])


def cannot_open(text: str, reason: str) -> SourceError:
    """The error for a file that can't be opened as a video."""
    return SourceError(
        f"source {text}: can't be opened as a video ({Path(text).stat().st_size} bytes): {reason}; try to play it, or "
        "convert it to mp4"
    )


def check_count(text: str, delivered: int, stated: int | None) -> None:
    """Warns about a truncated video. Containers often state a frame or two too many; damaged files lack many more."""
    if stated and delivered < 0.98 * stated - 2:
        logger.warning(
            "seg-edge: %s ended after %d of the %d frames that it states; it may be damaged", text, delivered, stated
        )


#: Reads one frame in a process of its own. FFmpeg says there, and only there, that it can't convert the frames.
_TRIAL = """
import os, sys
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "16"
import cv2
capture = cv2.VideoCapture(sys.argv[1])
for _ in range(3):
    capture.read()
"""


def _unfilled(text: str) -> bool:
    """Whether OpenCV returns frames that it has not filled.

    From 4.13 on, FFmpeg's scaler refuses interlaced frames, and some colour spaces, and ``read()`` still says yes.
    """
    if tuple(int(part) for part in cv2.__version__.split(".")[:2]) < (4, 13):
        return False
    words: list[Any] = [sys.executable, "-c", _TRIAL, text]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    said = done.stdout.lower()  # releases of OpenCV differ in where they write
    return "cannot convert" in said or "unsupported" in said or "not supported" in said
