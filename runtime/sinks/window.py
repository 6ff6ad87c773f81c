"""A window on the desktop."""

from __future__ import annotations

import subprocess
import sys

import cv2

from ...core.errors import SinkError
from .base import Frame, Sink


class WindowSink(Sink):
    """A window on the desktop. Escape, ``q`` or the close button stops the run.

    Raises:
        SinkError: there is no display, or OpenCV was built without windows.
    """

    TITLE = "seg-edge"

    def __init__(self, text: str = "window") -> None:
        super().__init__(text)
        reason = _why_no_window()
        if reason:
            raise SinkError(
                f"sink window: can't be opened: {reason}; run on a desktop, or use `sink='out.mp4'` or `sink='none'`"
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


def _why_no_window() -> str | None:
    """Why no window can be opened; None if one can. Runs in another process, because Qt aborts without a display."""
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
