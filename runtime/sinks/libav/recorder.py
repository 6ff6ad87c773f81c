"""Writes an MP4 file with the times of the frames, and the sound of a video beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
#: Resolution of the times, per second.
CLOCK = 90_000
_BT709, _LIMITED = 1, 1  # AVCOL_SPC_BT709 and its primaries and transfer; AVCOL_RANGE_MPEG
_TIME_BASE = 1_000_000


class CannotRecord(Exception):
    """The recording failed; ``str(error)`` states the reason."""


def codec() -> str | None:
    """PyAV's H.264 (else MPEG-4) encoder; None if it has none."""
    return next((name for name in ("libx264", "libopenh264", "mpeg4") if name in av.codecs_available), None)


class Recorder:
    """An MP4 file in fragments: what is on disk is playable at any time.

    Frames are BT.709, limited range, and say so.

    Args:
        path: The file; replaced.
        size_hw: Height and width of the frames. A column or row is added to odd sides.
        fps: Frames per second of the source; frames may have any times.
        fragment_s: Seconds of video per fragment.
        sound: A video whose sound is copied, or None.

    Raises:
        CannotRecord: the file can't be written; the video has no sound, or sound that MP4 can't hold.
    """

    def __init__(
        self, path: Path, size_hw: tuple[int, int], fps: float, fragment_s: float, sound: str | None = None
    ) -> None:
        name = codec()
        if name is None:
            raise CannotRecord("this PyAV has no video encoder")
        height, width = size_hw
        self._fps, self._last, self._failed = fps, -1, False
        self._sound = None if sound is None else Sound(sound)
        # Beside its sound, the first frame may be late, which only a later index can state.
        index = "empty_moov" if sound is None else "delay_moov"
        options = {
            "movflags": f"frag_keyframe+{index}+default_base_moof",
            "frag_duration": str(round(_TIME_BASE * fragment_s)),
            "flush_packets": "1",
        }
        try:
            # "file:", because a name may look like a protocol or an option.
            self._file = av.open(f"file:{path}", "w", format="mp4", container_options=options)
            self._stream: Any = self._file.add_stream(name, rate=Fraction(fps).limit_denominator(100_000))
            context: Any = self._stream.codec_context
            context.width, context.height = width + width % 2, height + height % 2
            context.pix_fmt, context.time_base = "yuv420p", Fraction(1, CLOCK)
            context.gop_size = max(round(fps), 1)
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
            if name == "libx264":
                context.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
            else:
                context.bit_rate = 4_000_000
            if self._sound is not None:
                self._copied = self._copy(self._sound)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise CannotRecord(_line(error)) from error
        self._graph = _to_yuv(width, height)

    def write(self, frame_bgr: Frame, time_s: float) -> None:
        """Writes a frame, uint8 (H, W, 3), C-contiguous, at a time; a frame is never before the last one.

        Raises:
            CannotRecord: the disk is full, say.
        """
        self._last = max(round(time_s * CLOCK), self._last + 1)
        frame = av.VideoFrame.from_numpy_buffer(frame_bgr, "bgr24")
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        try:
            self._graph.vpush(frame)
            self._put(self._graph.vpull())
        except (av.FFmpegError, OSError, ValueError) as error:
            self._failed = True
            raise CannotRecord(_line(error)) from error

    def close(self) -> None:
        """Finishes the file.

        Raises:
            CannotRecord: the end can't be written.
        """
        try:
            if not self._failed:
                self._put(None)
            self._file.close()
        except (av.FFmpegError, OSError, ValueError) as error:
            with suppress(Exception):
                self._file.close()
            if not self._failed:
                raise CannotRecord(_line(error)) from error
        finally:
            if self._sound is not None:
                self._sound.close()

    def _copy(self, sound: Sound) -> Any:
        try:
            return self._file.add_stream_from_template(sound.stream)
        except (av.FFmpegError, ValueError) as error:
            name = sound.stream.codec_context.name
            raise CannotRecord(f"sound in {name} doesn't fit into MP4; leave `copy_audio` out") from error

    def _put(self, frame: Any | None) -> None:
        if frame is not None:
            frame.pict_type = 0
        packets = self._stream.encode(frame)
        if self._sound is not None:
            for packet in self._sound.until(self._last / CLOCK + 1 / self._fps):
                packet.stream = self._copied
                self._file.mux_one(packet)
        for packet in packets:
            if not packet.duration:
                packet.duration = round(CLOCK / self._fps)
            self._file.mux_one(packet)


class Sound:
    """The sound of a video, as packets in order, without decoding it.

    Args:
        path: The video.

    Raises:
        CannotRecord: it has no sound.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = av.open(f"file:{path}")
        except (av.FFmpegError, OSError, ValueError) as error:
            raise CannotRecord(f"its sound can't be read ({_line(error)})") from error
        streams = self._file.streams.audio
        if not streams:
            self._file.close()
            raise CannotRecord("the source has no sound; leave `copy_audio` out")
        self.stream: Any = streams[0]
        self._start_s = (self._file.start_time or 0) / _TIME_BASE
        self._packets: Iterator[Any] = self._file.demux(self.stream)
        self._next: Any | None = None

    def until(self, time_s: float) -> Iterator[Any]:
        """Yields the packets before a time in seconds from the start of the video."""
        while True:
            if self._next is None:
                try:
                    self._next = next(self._packets, None)
                except (av.FFmpegError, OSError):
                    return
            packet = self._next
            if packet is None:
                return
            if packet.pts is None or not packet.size:
                self._next = None
                continue
            begins_s = float(packet.pts * packet.time_base) - self._start_s
            if begins_s >= time_s:
                return
            self._next = None
            if begins_s + float((packet.duration or 0) * packet.time_base) <= 0:
                continue  # what a decoder needs to warm up lies before the start
            shift = round(self._start_s / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            yield packet

    def close(self) -> None:
        self._file.close()


def _to_yuv(width: int, height: int) -> Any:
    graph = av.filter.Graph()
    nodes = [graph.add("buffer", f"video_size={width}x{height}:pix_fmt=bgr24:time_base=1/{CLOCK}")]
    if width % 2 or height % 2:  # chroma has half the size
        nodes.append(graph.add("pad", "ceil(iw/2)*2:ceil(ih/2)*2"))
    nodes += [
        graph.add("scale", "out_color_matrix=bt709:out_range=limited:flags=bicubic"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph


def _line(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
