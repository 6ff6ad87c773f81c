"""The base class of sources: frames, one after the other."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..frame import kernels

logger = logging.getLogger(__name__)

# OpenCV reads this once, when it first uses FFmpeg, so it can't be set around a call. A user's own setting stays.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


@dataclass(frozen=True)
class SourceFrame:
    """One frame.

    Attributes:
        image: uint8, each row contiguous, owned by the receiver; (H, W, 3), or as ``pixel_format`` says.
        index: Its number in the source, from 0.
        name: A name for files made from it, unique within the source.
        captured_s: ``time.perf_counter`` when it was in memory.
        origin: Number of its source where several are read together, else 0.
        pixel_format: ``"bgr"``, or what a camera or decoder delivers: ``"nv12"`` (3*H/2, W), ``"yuyv"`` (H, W, 2).
    """

    image: npt.NDArray[np.uint8]
    index: int
    name: str
    captured_s: float
    origin: int = 0
    pixel_format: str = "bgr"

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        return kernels.frame_hw(self.image, self.pixel_format)

    @cached_property
    def image_bgr(self) -> npt.NDArray[np.uint8]:
        """uint8 (H, W, 3): the image itself where it came as BGR; else converted, when first asked for."""
        return self.image if self.pixel_format == "bgr" else kernels.to_bgr(self.image, self.pixel_format)


class Source(ABC):
    """Frames, one after the other. Iterate it once, in one thread.

    Attributes:
        text: The name that the user gave, without a password.
        live: Frames come at their own pace, so a late reader must skip some.
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

    def health(self) -> list[dict[str, Any]]:
        """The state of each source: the ``sources`` of ``run --json``. May be called from any thread."""
        return [
            {
                "source": self.text,
                "state": "live" if self.live else "file",
                "reconnects": self.reconnects,
                "stalls": 0,
                "lost_s": 0.0,
                "size": None,
                "reason": None,
            }
        ]

    def cancel(self) -> None:  # noqa: B027  # a source that never waits long has nothing to wake
        """Ends the iteration as soon as it can. May be called from any thread, and twice."""

    def close(self) -> None:  # noqa: B027  # not every source holds something
        """Releases the device or file. May be called twice, and while another thread waits for a frame."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silences OpenCV: the SourceError says what the user needs to know."""
    log: Any = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
