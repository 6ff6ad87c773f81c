"""Where overlays go: a video file, a window, nowhere."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import numpy.typing as npt

from ...core.artifact import atomic_path
from ...core.errors import InputError, SinkError
from ..sources import quiet_opencv

Frame = npt.NDArray[np.uint8]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov")
#: Frame rate of a recording whose source states none.
DEFAULT_FPS = 30.0


class Sink(ABC):
    """Takes frames, one after the other, in the thread that opened it.

    Attributes:
        text: What the user called it.
        stop: The user asked to stop (closed the window).
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.stop = False

    @abstractmethod
    def write(self, frame_bgr: Frame) -> None:
        """Takes a frame, uint8 (H, W, 3); it is not kept.

        Raises:
            SinkError: it can't be written.
        """

    def close(self) -> None:  # noqa: B027  # not every sink has something to finish
        """Finishes the output. May be called twice.

        Raises:
            SinkError: the output can't be finished.
        """

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NullSink(Sink):
    """Takes frames and does nothing: what is left is the speed of everything else."""

    def write(self, frame_bgr: Frame) -> None:
        pass


class VideoSink(Sink):
    """An MP4 file (MPEG-4 part 2, which every OpenCV can write).

    It is written under a temporary name beside ``path`` and renamed by :meth:`close`, also after an error or Ctrl-C: a file
    of the final name is whole and playable. Without a single frame no file is made.

    Args:
        path: The file; an existing one is replaced at the end.
        fps: Frame rate that the file states.

    Raises:
        SinkError: the folder can't be written.
    """

    def __init__(self, path: str | Path, fps: float | None = None) -> None:
        super().__init__(str(path))
        self._fps = fps or DEFAULT_FPS
        self._closed = False
        self._writer: cv2.VideoWriter | None = None
        self._size_hw = (0, 0)
        self._target = ExitStack()
        if Path(path).is_dir():
            raise SinkError(f"sink {path}: this is a folder; expected a file name ending in {', '.join(VIDEO_SUFFIXES)}")
        try:
            self._path = self._target.enter_context(atomic_path(path))
        except InputError as error:
            raise SinkError(f"sink {error}") from error

    def write(self, frame_bgr: Frame) -> None:
        if self._writer is None:
            self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
            self._writer = self._create()
        if frame_bgr.shape[:2] != self._size_hw:
            (height, width), (h, w) = self._size_hw, frame_bgr.shape[:2]
            # OpenCV's writer would drop such a frame without a word.
            raise SinkError(
                f"sink {self.text}: a frame is {w}x{h}, but the video is {width}x{height}: a video has one size; "
                "write images of several sizes with: seg-edge predict"
            )
        self._writer.write(frame_bgr)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._writer.release()
            # The writer reports no failure, not even a full disk; a file without its index can't be opened.
            if not _playable(self._path):
                self._discard()
                raise SinkError(f"sink {self.text}: the video could not be finished (a full disk?); free some space")
            self._target.close()
        else:
            self._discard()

    def _discard(self) -> None:
        # Leaving with an error is how atomic_path is told to put no file there.
        self._target.__exit__(SinkError, SinkError("discarded"), None)

    def _create(self) -> cv2.VideoWriter:
        height, width = self._size_hw
        writer = cv2.VideoWriter(str(self._path), cv2.VideoWriter.fourcc(*"mp4v"), self._fps, (width, height))
        if not writer.isOpened():
            writer.release()
            raise SinkError(
                f"sink {self.text}: this OpenCV can't write MP4 video of {width}x{height}; install opencv-python from PyPI"
            )
        return writer


class WindowSink(Sink):
    """A window on the desktop. Escape, ``q`` or its close button stop the run.

    Raises:
        SinkError: there is no display, or this OpenCV was built without windows.
    """

    TITLE = "seg-edge"

    def __init__(self, text: str = "window") -> None:
        super().__init__(text)
        reason = _why_no_window()
        if reason:
            raise SinkError(
                f"sink window: can't be opened: {reason}; run on a desktop, or use --sink out.mp4 or --sink none"
            )
        cv2.namedWindow(self.TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        self._open = True
        self._sized = False

    def write(self, frame_bgr: Frame) -> None:
        if not self._sized:
            cv2.resizeWindow(self.TITLE, frame_bgr.shape[1], frame_bgr.shape[0])
            self._sized = True
        cv2.imshow(self.TITLE, frame_bgr)
        key = cv2.waitKey(1) & 0xFF
        if key in (27, ord("q")) or cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self.stop = True

    def close(self) -> None:
        if self._open:
            self._open = False
            cv2.destroyAllWindows()


def open_sink(text: str | Path, fps: float | None = None) -> Sink:
    """Opens a sink by what it is called.

    Args:
        text: ``"window"``, ``"none"``, or a file name ending in .mp4, .m4v or .mov.
        fps: Frame rate that a file states; None is 30.

    Raises:
        SinkError: unknown, or it can't be opened here.
    """
    name = str(text)
    if name == "none":
        return NullSink(name)
    if name == "window":
        return WindowSink(name)
    if Path(name).suffix.lower() in VIDEO_SUFFIXES:
        return VideoSink(name, fps)
    raise SinkError(f"sink {name}: unknown; expected window, none, or a file name ending in {', '.join(VIDEO_SUFFIXES)}")


def _playable(path: Path) -> bool:
    with quiet_opencv():
        capture = cv2.VideoCapture(str(path))
        opened = capture.isOpened()
    capture.release()
    return opened


def _why_no_window() -> str | None:
    """None if a window can be opened, else why not. Asked in another process: without a display Qt aborts its own."""
    probe = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
    try:
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the display does not answer ({type(error).__name__})"
    if done.returncode == 0:
        return None
    if "not implemented" in done.stderr:
        return "this OpenCV was built without windows (an opencv-python-headless package?)"
    return "there is no display"
