"""Frames of a video file as images, for annotations that name frames by their number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from ...core.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


class VideoFrames:
    """Decodes a video in the order of its frames.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._capture: cv2.VideoCapture | None = None
        self._next = 0

    def frame(self, number: int) -> Callable[[], bytes]:
        """What gives a frame as a PNG file. Asked in rising order, every frame is decoded once.

        Raises:
            DataError: when called: the file can't be decoded, or ends before.
        """
        return lambda: self._read(number)

    def _read(self, number: int) -> bytes:
        # Frames are counted, not sought: seeking is off by some frames in many files.
        if self._capture is None or number < self._next:
            self._capture, self._next = cv2.VideoCapture(str(self.path)), 0
        while self._next < number and self._capture.grab():
            self._next += 1
        done, pixels = self._capture.read()
        if not done or self._next != number:
            raise DataError(f"{self.path}: frame {number} can't be decoded; the video has {self._next} frames")
        self._next += 1
        return cv2.imencode(".png", pixels)[1].tobytes()
