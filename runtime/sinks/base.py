"""The base class of sinks, and two simple sinks: no output, and a callback."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import SinkError
from ...core.labels import Labels

if TYPE_CHECKING:
    from ..frame.result import Result

logger = logging.getLogger(__name__)

Frame = npt.NDArray[np.uint8]

#: Frame rate of a recording if the source states none.
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class Run:
    """Information for a sink about the run.

    Attributes:
        labels: The classes.
        stats: Returns the current statistics.
        pause: Pauses the run (True) or resumes it (False), from any thread; None where that isn't possible.
    """

    labels: Labels
    stats: Callable[[], dict[str, Any]]
    pause: Callable[[bool], None] | None = None


class Sink(ABC):
    """Receives results one after the other, in the thread that opened the sink.

    Attributes:
        text: The name given by the user, without a password.
        about: Description for messages; may be empty.
        mask, overlay: Whether the sink needs masks and overlays; the pipeline computes nothing else.
        stop: The user has requested a stop (closed the window), or the reader of the output has exited.
        dropped: Number of results that were skipped because the reader was late.
    """

    mask = False
    overlay = True

    def __init__(self, text: str) -> None:
        self.text = text
        self.about = ""
        self.stop = False
        self.dropped = 0

    def start(self, run: Run) -> None:  # noqa: B027  # not every sink needs it
        """Called once, before the first result."""

    def take(self, result: Result) -> None:
        """Takes a result. Its arrays are reused afterwards.

        Raises:
            SinkError: the result can't be written.
        """
        assert result.overlay_bgr is not None
        self.write(result.overlay_bgr)

    @abstractmethod
    def write(self, frame_bgr: Frame) -> None:
        """Takes a frame, uint8 (H, W, 3), C-contiguous; the sink does not keep it.

        Raises:
            SinkError: the frame can't be written.
        """

    def close(self) -> None:  # noqa: B027  # not every sink needs it
        """Finishes the output. May be called twice.

        Raises:
            SinkError: the output can't be finished.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NullSink(Sink):
    """Discards all frames, to measure the speed of the other stages."""

    def write(self, frame_bgr: Frame) -> None:
        pass


class CallbackSink(Sink):
    """Calls a function with every result. The arrays are reused afterwards; copy them to keep them.

    Args:
        function: The function; called in the thread that runs the pipeline.
        mask, overlay: Whether the function needs masks and overlays.
    """

    def __init__(self, function: Callable[[Result], None], *, mask: bool = True, overlay: bool = False) -> None:
        super().__init__("callback")
        self.mask, self.overlay = mask, overlay
        self._function = function

    def take(self, result: Result) -> None:
        self._function(result)

    def write(self, frame_bgr: Frame) -> None:
        raise TypeError("CallbackSink: takes results; call take")


def fitted(image: Frame, size_hw: tuple[int, int], text: str, live: bool) -> Frame:
    """Fits a frame or mask to the size of the output: unchanged if it has the size; scaled if the source is live.

    Raises:
        SinkError: the size differs, and the source is not live.
    """
    if image.shape[:2] == size_hw:
        return image
    (height, width), (h, w) = size_hw, image.shape[:2]
    if not live:
        raise SinkError(
            f"sink {text}: a frame is {w}x{h}, but the video is {width}x{height}: a video has one size; "
            "write images of several sizes with: seg-edge predict"
        )
    # Nearest for masks, because class numbers must not be averaged.
    rule = cv2.INTER_NEAREST_EXACT if image.ndim == 2 else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=rule), np.uint8)
