"""GStreamer pipelines and CSI cameras: ``gst-launch-1.0 … ! fdsink`` writes frames to a pipe.

This works with any build of OpenCV (PyPI's has no GStreamer), and a pipeline that hangs can be killed like any process.
``gst_stream.py`` describes the format of the data in the pipe.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
from time import perf_counter

import numpy as np

from ...core.errors import SourceError
from .feed import About, Feed, FeedFrame, FeedLost, Wake
from .gst_stream import FORMATS, HEADER, MAX_TEXT, MTU, Caps, NotFrames, Packet
from .options import CameraOptions
from .table import redact

TOOL = "gst-launch-1.0"
# Frames are BGR, or in a camera's or decoder's format that the kernels support, whatever their colours; videoconvert passes
# these through, and converts all others to BGR. GStreamer pads the planes of odd sides in ways of its own.
_NAMES = ",".join(name for name in FORMATS if name != "BGR")
_RAW = f"format=(string){{{_NAMES}}},width=(int)[2,16384,2],height=(int)[2,16384,2]"
#: Elements at the end of every pipeline, which write the frames to a pipe.
TAIL = (
    f'! videoconvert ! "video/x-raw,format=BGR;video/x-raw,{_RAW}" ! rtpgstpay mtu={MTU} ! rtpstreampay ! fdsink sync=false'
)
#: Error messages of gst-launch-1.0, without its source file names and line numbers.
_TROUBLE = re.compile(r"(?:ERROR|WARNING): (?:(?:from element|pipeline could not be constructed:?) ?)?(.*)")


def csi_pipeline(number: int, options: CameraOptions) -> str:
    """The pipeline for a CSI camera on a Jetson: NVIDIA's capture and colour conversion, then plain memory."""
    width, height = options.size_wh or (1280, 720)
    return (
        f"nvarguscamerasrc sensor-id={number} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate={round(options.fps or 30)}/1,"
        f"format={options.pixel_format or 'NV12'} ! nvvidconv ! video/x-raw,format=BGRx"
    )


class GstFeed(Feed):
    """A GStreamer pipeline. The stream states size and format, which may change at any frame.

    Args:
        text: The name given by the user, for errors.
        pipeline: The pipeline in gst-launch's syntax, without a sink.
        wake: Ends every wait.

    Raises:
        SourceError: gst-launch-1.0 is not installed, or the pipeline has an unclosed quotation.
    """

    FINAL = "erroneous pipeline"

    def __init__(self, text: str, pipeline: str, wake: Wake) -> None:
        tool = shutil.which(TOOL)
        if tool is None:
            raise SourceError(f"source {redact(text)}: {TOOL} is not installed; apt-get install gstreamer1.0-tools")
        try:
            words = shlex.split(f"{pipeline} {TAIL}")
        except ValueError as error:
            raise SourceError(f"source {redact(text)}: the pipeline can't be read ({error}); close the quotation") from error
        self._caps: Caps | None = None
        self._header = bytearray(HEADER.size)
        self._packet: Packet | None = None  # the first packet of the next frame, if its header was read already
        # SIGINT lets the camera's daemon close its session.
        super().__init__(lambda fd: [tool, *words, f"fd={fd}"], wake, goodbye=signal.SIGINT)

    def opened(self, until_s: float) -> About:
        caps, self._packet = self._begin(until_s)
        return About(caps.fps, None, (caps.width, caps.height))

    def next(self, until_s: float) -> FeedFrame:
        caps, packet = self._begin(until_s)
        self._packet = None
        data = np.empty(caps.size, np.uint8)
        view, filled = data.data, 0
        # The rest of a frame follows immediately, unless the process hangs.
        until_s = max(until_s, perf_counter() + 1)
        try:
            while True:
                piece = view[filled : filled + packet.length]
                packet.check(len(piece), filled)
                if packet.last:
                    self._fill(until_s, piece)
                    break
                self._fill(until_s, piece, memoryview(self._header))  # and the header of the next packet
                filled += len(piece)
                packet = Packet.parse(self._header).after(packet)
        except NotFrames as error:
            raise FeedLost(str(error)) from error
        now = perf_counter()
        if filled + len(piece) != caps.size:
            raise FeedLost(f"a frame of {filled + len(piece)} bytes, where {caps} has {caps.size}")
        return FeedFrame(caps.image(data), now, caps.pixel_format, None, caps.colours)

    def _begin(self, until_s: float) -> tuple[Caps, Packet]:
        """Reads the caps before a frame, and the header of its first packet."""
        if self._packet is not None and self._caps is not None:
            return self._caps, self._packet
        while True:
            self._fill(until_s, memoryview(self._header))
            try:
                packet = Packet.parse(self._header)
                if packet.is_event:
                    self._text(packet.length, until_s)
                    continue
                if packet.has_caps:
                    length = self._number(packet, until_s)
                    self._caps = Caps.parse(self._text(packet.take(length), until_s))
            except NotFrames as error:
                raise FeedLost(str(error)) from error
            if self._caps is None:
                raise FeedLost("its frames begin without their caps")
            return self._caps, packet

    def _number(self, packet: Packet, until_s: float) -> int:
        """Reads a length in groups of seven bits, highest first; all groups but the last have the eighth bit set."""
        number, byte = 0, bytearray(1)
        while True:
            packet.take(1)
            self._fill(until_s, memoryview(byte))
            number = number << 7 | byte[0] & 0x7F
            if byte[0] < 0x80 or number > MAX_TEXT:
                return number

    def _text(self, length: int, until_s: float) -> str:
        text = bytearray(length)
        self._fill(until_s, memoryview(text))
        return text.rstrip(b"\0").decode(errors="replace")

    def _heard(self, line: str) -> None:
        if trouble := _TROUBLE.match(line):
            self.messages.append(trouble[1])
