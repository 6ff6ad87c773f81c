"""GStreamer pipelines and CSI cameras: ``gst-launch-1.0 … ! fdsink`` writes raw BGR frames to a pipe.

It works with any build of OpenCV (PyPI's has no GStreamer), and a pipeline that hangs is killed as any other process.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
from time import perf_counter, sleep

import numpy as np
import numpy.typing as npt

from ...core.errors import SourceError
from .feed import About, Feed, FeedLost, Wake
from .options import CameraOptions

TOOL = "gst-launch-1.0"
_TAIL = "! videoconvert ! video/x-raw,format=BGR ! fdsink sync=false name=segedge"
_CAPS = re.compile(r"/GstFdSink:segedge\.GstPad:sink: caps = video/x-raw.*")
_FIELD = re.compile(r"\b(width|height|framerate)=\((?:int|fraction)\)(\d+(?:/\d+)?)")
#: What gst-launch-1.0 says about a pipeline that can't run, without its own file names and line numbers.
_TROUBLE = re.compile(r"(?:ERROR|WARNING): (?:(?:from element|pipeline could not be constructed:?) ?)?(.*)")

# gst-launch's word of a new size comes on another pipe than the frames, moments after the first one is written. No camera
# outruns it: its frames lie further apart. A pipeline that isn't paced can; its frames wait for that word.
_OUTRUN_S, _WORD_S = 0.005, 0.02


def csi_pipeline(number: int, options: CameraOptions) -> str:
    """The pipeline of a CSI camera on a Jetson: NVIDIA's capture and its colour conversion, then plain memory."""
    width, height = options.size_wh or (1280, 720)
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={round(options.fps or 30)}/1,"
        f"format={options.pixel_format or 'NV12'} ! nvvidconv ! video/x-raw,format=BGRx"
    )


class GstFeed(Feed):
    """A GStreamer pipeline. A change of its frames' size ends the connection; the next one has the new size.

    Args:
        text: What the user called it; only for errors.
        pipeline: In gst-launch's syntax, up to the last element before the frames are taken.
        wake: Ends every wait.

    Raises:
        SourceError: gst-launch-1.0 is not installed, or the pipeline has an open quotation.
    """

    FINAL = "erroneous pipeline"

    def __init__(self, text: str, pipeline: str, wake: Wake) -> None:
        tool = shutil.which(TOOL)
        if tool is None:
            raise SourceError(f"source {text}: {TOOL} is not installed; apt-get install gstreamer1.0-tools")
        try:
            words = shlex.split(f"{pipeline} {_TAIL}")
        except ValueError as error:
            raise SourceError(f"source {text}: the pipeline can't be read ({error}); close the quotation") from error
        self._size_wh: tuple[int, int] | None = None
        self._changed = False
        self._last_s = float("-inf")
        self._fps: float | None = None
        # -v prints the frames' size, before the first of them is written. SIGINT lets the camera's daemon close its session.
        super().__init__(lambda fd: [tool, "-v", *words, f"fd={fd}"], wake, goodbye=signal.SIGINT)

    def opened(self, until_s: float) -> About:
        while self._size_wh is None:
            # Data and what is said about them come on two pipes: the end of the first may be seen before the reason.
            if self._ready(until_s):
                self._listen()
                if self._size_wh is None and self._process.poll() is not None:
                    self._end()
        return About(self._fps, None, self._size_wh)

    def next(self, until_s: float) -> tuple[npt.NDArray[np.uint8], float]:
        if self._size_wh is None:
            self.opened(until_s)
        assert self._size_wh is not None
        width, height = self._size_wh
        stride = (3 * width + 3) & ~3  # GStreamer's rows begin at multiples of four bytes
        rows = np.empty((height, stride), np.uint8)
        self._fill(rows.data.cast("B"), until_s)
        now = perf_counter()
        if now - self._last_s < _OUTRUN_S:
            sleep(_WORD_S)
        self._listen()
        self._last_s = perf_counter()
        if self._changed:
            raise FeedLost("the size of its frames has changed")
        if stride != 3 * width:
            rows = np.ascontiguousarray(rows[:, : 3 * width])
        return rows.reshape(height, width, 3), now

    def _heard(self, line: str) -> None:
        if _CAPS.search(line):
            found = dict(_FIELD.findall(line))
            if "width" in found and "height" in found:
                size_wh = int(found["width"]), int(found["height"])
                self._changed = self._size_wh not in (None, size_wh)
                self._size_wh = size_wh
                over, _, under = found.get("framerate", "0/1").partition("/")
                self._fps = int(over) / int(under or 1) or None
        elif trouble := _TROUBLE.match(line):
            self.messages.append(trouble[1])
