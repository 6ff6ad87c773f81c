"""Reads a video: every frame with its time, upright. One class for files and for network streams."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import av

from . import hardware
from .network import SEGMENTED
from .picture import HDR, MATRICES, PRIMARIES, Converter, Look, Picture, Unsupported, look_of, orientation, picture_of
from .sidedata import display_matrix

#: Damaged packets in a row after which reading ends.
_MOST_DAMAGED = 1000
#: The same before the first frame, of what the demuxer can't read.
_MOST_AT_START = 20
#: Threads of the decoder for live streams. Each thread delays the frames by one.
_LIVE_THREADS = 4
#: A time stamp that steps back by more seconds belongs to another clock: the times go on from the last frame.
_BACK_S = 0.001
#: PyAV 16 passes "no time" on as a number below.
_NO_TIME = -(1 << 62)
_RAW = ("h264", "hevc", "vvc", "m4v", "mpegvideo", "obu")
_TIME_BASE = 1_000_000  # AV_TIME_BASE
_ATTACHED = 0x400  # AV_DISPOSITION_ATTACHED_PIC


class CannotOpen(Exception):
    """The video can't be opened; ``str(error)`` states the reason.

    Attributes:
        final: Another attempt would fail in the same way.
        invalid: The data are there, but FFmpeg does not recognize them.
    """

    def __init__(self, reason: str, *, final: bool = False, invalid: bool = False) -> None:
        super().__init__(reason)
        self.final, self.invalid = final, invalid


class Reader:
    """An open video.

    Args:
        address: A file or the address of a stream.
        options: Options of FFmpeg's demuxer and protocols.
        container: Name of the demuxer; None recognizes it.
        decoder: ``"software"``, or a hardware decoder of ``hardware.DECODERS``.
        weave: Leave interlaced frames as they are.
        live: Keep the delay of decoding short.

    Attributes:
        fps: Frames per second, or None.
        count: Number of frames that the container states, or that follow from its duration; None if unknown.
        stated: ``count`` is the container's own number of this stream, not of a longer sound, say.
        finite: The video has an end.
        corrupt: Number of packets that could not be decoded.
        notes: What a user should know, such as a missing hardware decoder; read and cleared by the caller.

    Raises:
        CannotOpen: the reason.
    """

    def __init__(
        self,
        address: str,
        *,
        options: Mapping[str, str] | None = None,
        container: str | None = None,
        decoder: str = "software",
        weave: bool = False,
        live: bool = False,
    ) -> None:
        self.corrupt = 0
        self.notes: list[str] = []
        self._weave, self._live = weave, live
        accelerated, note = hardware.accelerate(decoder)
        if note:
            self.notes.append(note)
        more: dict[str, Any] = {} if accelerated is None else {"hwaccel": accelerated}
        try:
            self._container = av.open(address, format=container, options=dict(options or {}), **more)
        except (av.FFmpegError, OSError, ValueError) as error:
            invalid = isinstance(error, av.error.InvalidDataError)
            raise CannotOpen(reason_of(error), final=_is_final(error), invalid=invalid) from error
        try:
            self._stream = self._choose()
            self._context = self._decoder(decoder, accelerated is not None)
        except BaseException:
            self._container.close()
            raise
        for stream in self._container.streams:
            if stream is not self._stream and hasattr(stream, "discard"):
                stream.discard = type(stream.discard)["all"]  # or a playlist's demuxer loads all of its variants
        self._start_s = (self._container.start_time or 0) / _TIME_BASE
        self.stated = bool(self._stream.frames or self._stream.duration)
        self.fps, self.count, self.finite = self._measure()
        self._look: Look | None = None
        self._converter: Converter | None = None
        self._colours: tuple[int, int] = (2, 0)
        self._interlaced = False
        self._turned: bytes | None = None
        self._turn: tuple[str, ...] = ()
        self._other, self._changed = False, False
        self._offset_s = 0.0
        self._last_s: float | None = None

    @property
    def name(self) -> str:
        """Name of the demuxer, such as ``"hls"`` or ``"mov,mp4,m4a,3gp,3g2,mj2"``."""
        return str(self._container.format.name)

    def describe(self) -> dict[str, Any]:
        """The ``video`` part of ``run --json``; colours and fields are those of the last frame."""
        context, look = self._context, self._look
        pixel_format = look.pixel_format if look else context.format and context.format.name
        return {
            "reader": f"PyAV {av.__version__}",
            "decoder": self._decoder_name,
            "hardware": bool(getattr(context, "is_hwaccel", False)) or self._decoder_name.endswith("_v4l2m2m"),
            "codec": self._codec_name,
            "pixel_format": pixel_format,
            "size": list(look.shown_wh[::-1]) if look else None,
            "matrix": MATRICES[look.matrix][0] if look else None,
            "range": ("full" if look.full_range else "limited") if look else None,
            "primaries": PRIMARIES.get(int(context.color_primaries), "untagged"),
            "transfer": HDR.get(int(context.color_trc), "sdr"),
            "deinterlaced": look.interlaced if look else False,
        }

    def __iter__(self) -> Iterator[Picture]:
        """Yields every frame that can be decoded.

        Raises:
            Unsupported: the frames can't be converted.
            CannotOpen: the connection was lost.
        """
        for frame in self._decoded():
            self._adapt(frame)
            if self._other:
                yield from self._pull(None)
                self._other = False
                self._renew(frame)
            yield from self._pull(frame)
        if self._converter is not None:
            yield from self._pull(None)

    def take_change(self) -> bool:
        """Whether :meth:`describe` or ``notes`` have changed since the last call."""
        changed, self._changed = self._changed or bool(self.notes), False
        return changed

    def close(self) -> None:
        """Closes the video. May be called twice."""
        self._container.close()

    def _choose(self) -> Any:
        videos = [stream for stream in self._container.streams if stream.type == "video"]
        if not videos:
            raise CannotOpen("there is no video in it", final=True)
        moving = [stream for stream in videos if not stream.disposition.value & _ATTACHED] or videos
        best = self._container.streams.best("video")
        return best if best in moving else moving[0]

    def _decoder(self, decoder: str, accelerated: bool) -> Any:
        context = self._stream.codec_context
        tag = getattr(context, "codec_tag", None) or getattr(self._stream, "codec_tag", None) or "unknown"
        if context is None:
            raise CannotOpen(f"there is no decoder here for its codec ({tag!r})", final=True)
        self._codec_name = str(context.codec.canonical_name if hasattr(context.codec, "canonical_name") else context.name)
        if decoder == "v4l2m2m":
            made, note = hardware.v4l2m2m(context)
            self.notes += [note] if note else []
            context = made or context
        context.thread_type = "AUTO"
        if self._live:
            context.thread_count = min(os.cpu_count() or 1, _LIVE_THREADS)
        self._decoder_name = str(context.name)
        if decoder in hardware.DEVICES and accelerated and not getattr(context, "is_hwaccel", True):
            self.notes.append(f"{decoder} does not decode {self._codec_name}: decoding in software")
        return context

    def _measure(self) -> tuple[float | None, int | None, bool]:
        """Frame rate, number of frames, and whether there is an end."""
        stream, container = self._stream, self._container
        # A raw stream has no times; its demuxer states 25 per second, whatever the stream itself says.
        rate = stream.guessed_rate if self.name in _RAW else stream.average_rate or stream.guessed_rate
        fps = float(rate) if rate else None
        duration_s = None
        if stream.duration and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif container.duration:
            duration_s = container.duration / _TIME_BASE
        count: int | None = stream.frames or None
        if fps and duration_s:
            by_duration = round(duration_s * fps)
            # Edit lists cut frames off, which the container's number includes.
            if count is None or count > 1.02 * by_duration + 2:
                count = by_duration
        finite = container.duration is not None or bool(stream.frames)
        if self.name.split(",")[0] not in SEGMENTED:  # whose size is that of the playlist
            finite = finite or container.size > 0
        return fps, count or None, finite

    def _decoded(self) -> Iterator[Any]:
        damaged = 0
        for packet in self._packets():
            try:
                frames = self._context.decode(packet)
            except EOFError:
                break
            except av.FFmpegError:
                self.corrupt += 1
                damaged += 1
                if damaged > _MOST_DAMAGED:
                    break
                continue
            if frames:
                damaged = 0
            yield from frames
        yield from self._rest()

    def _rest(self) -> Iterator[Any]:
        """The frames that the decoder still holds at the end."""
        for _ in range(_MOST_DAMAGED):
            try:
                yield from self._context.decode(None)
                return
            except EOFError:
                return
            except av.FFmpegError:
                self.corrupt += 1

    def _packets(self) -> Iterator[Any]:
        failures = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:  # the demuxer's last packet is empty
                        failures = 0
                        yield packet
                return
            except EOFError:
                return
            except av.FFmpegError as error:
                if not isinstance(error, av.error.InvalidDataError):
                    raise CannotOpen(reason_of(error)) from error
                failures += 1
                self.corrupt += 1
                if failures > (_MOST_DAMAGED if self._look else _MOST_AT_START):
                    return

    def _adapt(self, frame: Any) -> None:
        """Notes whether the frame needs other filters than the last one."""
        matrix = display_matrix(frame)
        if matrix != self._turned:
            self._turned = matrix
            turn = orientation(matrix)
            if turn is None:
                self.notes.append("its display matrix turns by an angle that is no multiple of 90°; shown as it is stored")
            self._turn = turn or ()
        if frame.interlaced_frame and not self._interlaced and not self._weave:
            self._interlaced = True
            self.notes.append("is interlaced: deinterlaced by FFmpeg's bwdif, one frame for two fields")
        look = self._look
        colours = (int(frame.colorspace), int(frame.color_range))
        if (
            look is None
            or (frame.width, frame.height, frame.format.name) != (look.width, look.height, look.pixel_format)
            or colours != self._colours
            or self._interlaced != look.interlaced
            or self._turn != look.turn
        ):
            self._other = True

    def _renew(self, frame: Any) -> None:
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        look = look_of(frame, Fraction(aspect) if aspect > 0 else Fraction(1), self._turn, self._interlaced)
        if self._look is None and int(self._context.color_trc) in HDR:
            name = HDR[int(self._context.color_trc)]
            self.notes.append(f"has a high dynamic range ({name}); shown without tone mapping, its colours are pale")
        self._changed = True
        self._look, self._colours = look, (int(frame.colorspace), int(frame.color_range))
        self._converter = Converter(look, frame.time_base or self._stream.time_base, self._colours)

    def _pull(self, frame: Any | None) -> Iterator[Picture]:
        if self._converter is None:
            return
        for shown in self._converter.convert(frame):
            yield picture_of(shown, self._converter.look, self._time_s(shown))

    def _time_s(self, frame: Any) -> float:
        """Seconds from the container's start; never less than for the frame before."""
        step_s = 1 / self.fps if self.fps else 0.04
        last_s = self._last_s
        if frame.pts is None or frame.pts < _NO_TIME:
            time_s = 0.0 if last_s is None else last_s + step_s
        else:
            base = frame.time_base or self._stream.time_base
            time_s = frame.pts * base.numerator / base.denominator - self._start_s + self._offset_s
            if last_s is not None and time_s < last_s - _BACK_S:
                self._offset_s += last_s + step_s - time_s
                time_s = last_s + step_s
        self._last_s = time_s if last_s is None else max(time_s, last_s)
        return self._last_s


def reason_of(error: BaseException) -> str:
    """An error of FFmpeg in a line, without the address."""
    text = str(getattr(error, "strerror", None) or error)
    log = getattr(error, "log", None)
    if log:
        said = " ".join(str(log[2]).split())
        text = said if text.lower() in said.lower() else f"{text} ({said})"
    return text


def _is_final(error: BaseException) -> bool:
    """Whether another attempt is useless: the server refuses this user."""
    return isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | av.error.ProtocolNotFoundError)


__all__ = ["CannotOpen", "Picture", "Reader", "Unsupported", "reason_of"]
