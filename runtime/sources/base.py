"""The base class of sources, and the frames that they deliver."""

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

from ..frame.colours import BT601, Colours, Image, frame_hw
from ..frame.result import bgr_of

logger = logging.getLogger(__name__)

# OpenCV reads this variable once, when it first uses FFmpeg, so it can't be set around a call. A user's setting is
# kept.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET


@dataclass(frozen=True)
class SourceFrame:
    """A frame from a source.

    Attributes:
        image: An array, or a tuple of the decoder's planes, which are read-only; rows are contiguous. See ``pixel_format``.
            :attr:`image_bgr` is always an array.
        index: Number of the frame in the source, from 0.
        name: Name for output files, unique within the source.
        captured_s: Time at which the frame was in memory (``time.perf_counter``).
        origin: Number of the source if several are read together, else 0.
        pixel_format, colours: See :func:`seg_edge.runtime.frame.kernels.resize`.
        time_s: Presentation time, in seconds from the start of the source; None if the source states none. Of a live
            source, it goes on over new connections by the time that passed.
    """

    image: Image
    index: int
    name: str
    captured_s: float
    origin: int = 0
    pixel_format: str = "bgr"
    time_s: float | None = None
    colours: Colours = BT601

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image, pixels."""
        return frame_hw(self.image, self.pixel_format)

    @cached_property
    def image_bgr(self) -> npt.NDArray[np.uint8]:
        """uint8 (H, W, 3): the image itself if its format is BGR; otherwise converted on first access."""
        return bgr_of(self.image, self.pixel_format, self.colours)


class Source(ABC):
    """An iterable of frames. Iterate only once, in one thread.

    Attributes:
        text: The name given by the user, without a password.
        live: Frames arrive in real time, so a slow reader must skip frames.
        fps: Frame rate that the source states, or None.
        count: Number of frames that the source will deliver; None if unknown.
        corrupt: Number of frames so far that could not be decoded.
        reconnects: Number of times that a lost connection was restored.
        value_range: Of images deeper than 8 bits: the values that become 0 and 255. The pipeline sets the model's.
        video: Reader, decoder, codec, pixel format and colours of a video (``run --json``); None for other sources.
    """

    live = False

    def __init__(self, text: str, fps: float | None = None, count: int | None = None) -> None:
        self.text = text
        self.fps = fps
        self.count = count
        self.corrupt = 0
        self.reconnects = 0
        self.value_range: tuple[float, float] | None = None
        self.video: dict[str, Any] | None = None

    @abstractmethod
    def __iter__(self) -> Iterator[SourceFrame]:
        """Yields frames until the source ends.

        Raises:
            SourceError: the source stopped delivering, or no frame could be decoded.
        """

    def health(self) -> list[dict[str, Any]]:
        """The state of the source: its rows in ``sources`` of ``run --json``. May be called from any thread."""
        return [
            {
                "source": self.text,
                "state": "live" if self.live else "file",
                "reconnects": self.reconnects,
                "stalls": 0,
                "lost_s": 0.0,
                "size": None,
                "reason": None,
                "video": self.video,
            }
        ]

    def cancel(self) -> None:  # noqa: B027  # not needed by sources that never wait long
        """Ends the iteration as soon as possible. May be called from any thread, and twice."""

    def close(self) -> None:  # noqa: B027  # not every source holds a resource
        """Releases the device or file. May be called twice, and while another thread waits for a frame."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silences OpenCV's log, because the SourceError contains the information for the user."""
    log: Any = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
