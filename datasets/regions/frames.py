"""Frames of a video file as images, for annotations that name frames by their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


class VideoFrames:
    """Decodes a video in the order of its frames: each as it is stored, upright, interlaced ones with both of their fields.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._frames: Iterator[npt.NDArray[np.uint8]] | None = None
        self._next = 0

    def frame(self, number: int) -> Callable[[], bytes]:
        """What gives a frame as a PNG file. Asked in rising order, every frame is decoded once.

        Raises:
            DataError: when called: the file can't be decoded, or ends before.
        """
        return lambda: self._read(number)

    def _read(self, number: int) -> bytes:
        # Frames are counted, not sought: seeking is off by some frames in many files.
        if self._frames is None or number < self._next:
            self._frames, self._next = _decode(self.path), 0
        for pixels in self._frames:
            self._next += 1
            if self._next > number:
                return cv2.imencode(".png", pixels)[1].tobytes()
        raise DataError(f"{self.path}: frame {number} can't be decoded; the video has {self._next} frames")


def _decode(path: Path) -> Iterator[npt.NDArray[np.uint8]]:
    """BGR images. PyAV, as annotation tools use it: OpenCV gives constant images for interlaced video from 4.13 on."""
    try:
        import av
    except ImportError:
        capture = cv2.VideoCapture(str(path))
        more, pixels = capture.read()
        while more:
            yield np.asarray(pixels, np.uint8)
            more, pixels = capture.read()
        return
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                return
            stream: Any = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                turns = round(getattr(frame, "rotation", 0) / 90)  # counter-clockwise, of the display matrix
                if frame.interlaced_frame:
                    frame = _woven(frame, stream.time_base)
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="bgr24"), turns))
    except av.FFmpegError as error:
        raise DataError(f"{path}: the video can't be decoded ({error.strerror}); convert or replace it") from error


def _woven(frame: Any, time_base: Any) -> Any:
    """An interlaced frame called progressive, as ``seg-edge run --weave`` and the ffmpeg program convert it: else FFmpeg's
    scaler takes it for two images, one a field, and other rows share their chroma.
    """
    import av.filter

    graph = av.filter.Graph()
    colours = f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    form = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={time_base}:{colours}"
    nodes = [graph.add("buffer", form), graph.add("setfield", "mode=prog"), graph.add("buffersink")]
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull()
