"""Sends overlays to an RTSP or RTMP server with ffmpeg."""

from __future__ import annotations

from time import perf_counter

from ...core.errors import SinkError
from ..sources.feed import PIPE_BYTES
from ..sources.table import redact
from .base import DEFAULT_FPS, Frame, Sink, fitted, logger
from .ffmpeg import Encoder, codec_options, encoder

_FORMATS = {"rtsp": ["-f", "rtsp", "-rtsp_transport", "tcp"], "rtmp": ["-f", "flv"]}
#: Seconds after which a connection counts as established.
_PROOF_S = 3.0
_LONGEST_PAUSE_S = 10.0


class PushSink(Sink):
    """Sends H.264 to a server.

    If the network is slow or the server is unreachable, frames are dropped (``dropped``); the run is never delayed.

    The address, including a password, is visible on ffmpeg's command line.

    Args:
        url: ``rtsp://…``, ``rtsps://…``, ``rtmp://…`` or ``rtmps://…``.
        fps: Frame rate that the source states.

    Raises:
        SinkError: ffmpeg is not installed. During the run: the first connection failed.
    """

    def __init__(self, url: str, fps: float | None = None) -> None:
        super().__init__(redact(url))
        codec = encoder()
        if codec is None:
            raise SinkError(f"sink {self.text}: needs ffmpeg, which is not installed; apt-get install ffmpeg")
        self._codec, version = codec
        self.about = f"{self._codec} by ffmpeg {version}"
        self._url, self._fps = url, fps or DEFAULT_FPS
        scheme = url.partition("://")[0].lower()
        self._format = _FORMATS["rtsp" if scheme.startswith("rtsp") else "rtmp"]
        self._encoder: Encoder | None = None
        self._size_hw = (0, 0)
        self._taken, self._since_s = 0, 0.0
        self._proven = False
        self._pause_s = 0.0
        self._next_s = 0.0

    def write(self, frame_bgr: Frame) -> None:
        if self._encoder is None:
            if perf_counter() < self._next_s:
                self.dropped += 1
                return
            self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
            output = [*codec_options(self._codec, self._fps, gop_s=1), *self._format, self._url]
            self._encoder = Encoder(self._size_hw, self._fps, True, output)
            self._taken, self._since_s = 0, perf_counter()
        try:
            # Wait at most for the duration of a frame, because the next frame is newer.
            if self._encoder.write(fitted(frame_bgr, self._size_hw, self.text, True), 1 / self._fps):
                self._taken += frame_bgr.nbytes
                # The pipe buffers frames while ffmpeg is still connecting, so the first frames prove nothing.
                if self._taken > 2 * PIPE_BYTES and perf_counter() > self._since_s + _PROOF_S:
                    self._proven, self._pause_s = True, 0.0
            else:
                self.dropped += 1
        except BrokenPipeError:
            self._lose(self._encoder)

    def close(self) -> None:
        if self._encoder is not None:
            finished, reason = self._encoder.close(0.8), self._encoder.why()
            self._encoder = None
            # A short run may end before the connection counts as established, or before it has failed.
            if not finished and not self._proven:
                raise SinkError(
                    f"sink {self.text}: nothing could be sent: {redact(reason)}; check the address and the server"
                )

    def _lose(self, lost: Encoder) -> None:
        self._encoder = None
        lost.close(0.2)
        reason = redact(lost.why())
        if not self._proven:
            raise SinkError(f"sink {self.text}: nothing could be sent: {reason}; check the address and the server")
        self.dropped += 1
        self._pause_s = min(2 * self._pause_s or 0.5, _LONGEST_PAUSE_S)
        self._next_s = perf_counter() + self._pause_s
        logger.warning("seg-edge: sink %s: lost: %s; again in %.1f s", self.text, reason, self._pause_s)
