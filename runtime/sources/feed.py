"""A connection to a live source: a child process writes frames to a pipe. Reads have deadlines and can be cancelled."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from ..frame.colours import BT601, Colours, Image, frame_bytes, frame_of
from . import grabber

#: Seconds that a connection's process gets to exit before it is killed.
GOODBYE_S = 0.4
#: Buffer size of pipes. Larger buffers need privileges; the default of 64 KiB needs a system call for every 64 KiB.
PIPE_BYTES = 1 << 20
#: Maximum width and height, so that invalid data in the pipe can't cause a huge allocation.
MAX_SIDE = 16384
_MAX_TEXT = 1 << 16
#: Seconds that a process gets to load its library, in addition to the time for the connection.
_STARTUP_S = 60.0


def grow_pipe(fd: int) -> None:
    """Sets the buffer of a pipe to the largest size that needs no privileges, if the system supports it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


#: Seconds to wait for the last messages of a process that has closed its pipe.
_LAST_WORDS_S = 0.3


class FeedLost(Exception):
    """The connection is lost; ``str(error)`` states the reason.

    Args:
        why: The reason.
        silent: The connection is open, but no frame arrived in time.
        final: Another attempt would fail in the same way.
        ended: The stream has stated its end.
    """

    def __init__(self, why: str, *, silent: bool = False, final: bool = False, ended: bool = False) -> None:
        super().__init__(why)
        self.silent, self.final, self.ended = silent, final, ended


class Cancelled(Exception):
    """Another thread cancelled the wait."""


class Wake:
    """A flag that ends the waits of another thread: polls include its pipe. Once set, it stays set."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        self.is_set = False

    def set(self) -> None:
        if not self.is_set:
            self.is_set = True
            os.write(self._write, b"x")

    def sleep(self, seconds: float) -> None:
        """Waits for the given time.

        Raises:
            Cancelled: the flag is set, or is set during the wait.
        """
        if select.select([self.fd], [], [], max(seconds, 0))[0]:
            raise Cancelled

    def close(self) -> None:
        """Closes the pipe. Call this only when no thread waits any more."""
        os.close(self.fd)
        os.close(self._write)


@dataclass(frozen=True)
class About:
    """Properties of a connection.

    Attributes:
        fps: Frames per second, or None.
        count: Number of frames; None if unknown.
        size_wh: Width and height, pixels; zeros if unknown.
        fourcc: The format of a camera, or None.
        live: The stream has no end.
        stated: The container states ``count``; otherwise it is an estimate.
        segment_s: Seconds of video that a server publishes at once (HLS); 0 for a continuous stream.
        video: See :class:`.Source`.
    """

    fps: float | None = None
    count: int | None = None
    size_wh: tuple[int, int] = (0, 0)
    fourcc: str | None = None
    live: bool = True
    stated: bool = True
    segment_s: float = 0.0
    video: dict[str, Any] | None = None


class FeedFrame(NamedTuple):
    """A received frame and its arrival time. The image is in ``pixel_format``, with contiguous rows.

    ``time_s`` is the presentation time in seconds since the connection's start, or None.
    """

    image: Image
    captured_s: float
    pixel_format: str = "bgr"
    time_s: float | None = None
    colours: Colours = BT601


class Feed(ABC):
    """A child process and the pipe that it writes frames to.

    The child runs in its own session, so that Ctrl-C in a terminal doesn't reach it.

    Args:
        command: Returns the command line, given the file descriptor to write to.
        wake: Ends every wait.
        config: Sent as one line of JSON to the standard input, which stays open: the child exits when it is closed.
            None: no standard input.
        env: Environment variables in addition to those of this process.
        goodbye: Signal that asks the child to exit; None: closing its pipes is enough.
    """

    #: Prefix of messages after which further attempts are useless.
    FINAL: ClassVar[str] = ""

    def __init__(
        self,
        command: Callable[[int], list[str]],
        wake: Wake,
        *,
        config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        goodbye: signal.Signals | None = None,
    ) -> None:
        self._wake, self._goodbye = wake, goodbye
        #: Number of damaged packets, the details of the video and remarks for the user, as far as the process said so.
        self.corrupt = 0
        self.video: dict[str, Any] | None = None
        self.notes: list[str] = []
        #: Seconds from the start of the process until it began to connect.
        self.startup_s = 0.0
        self.messages: deque[str] = deque(maxlen=20)
        self._fd, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                command(write),
                stdin=subprocess.DEVNULL if config is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(write,),
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        except BaseException:
            os.close(self._fd)
            raise
        finally:
            os.close(write)
        self._open = True
        grow_pipe(self._fd)
        assert self._process.stdout is not None
        self._said = self._process.stdout.fileno()
        self._partial = b""
        self._poll = select.poll()
        for fd in (self._fd, self._said):
            os.set_blocking(fd, False)
        for fd in (self._fd, self._said, wake.fd):
            self._poll.register(fd, select.POLLIN)
        if config is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # the child has exited; reading reports it
                self._process.stdin.write(json.dumps(config).encode() + b"\n")
                self._process.stdin.flush()

    @abstractmethod
    def opened(self, until_s: float) -> About:
        """Waits until the connection is open.

        Raises:
            FeedLost: the connection failed, or ``until_s`` (``perf_counter``) has passed.
            Cancelled: another thread ended the wait.
        """

    @abstractmethod
    def next(self, until_s: float) -> FeedFrame:
        """The next frame. Raises as :meth:`opened` does."""

    def close(self) -> None:
        """Ends the process. May be called twice."""
        if not self._open:
            return
        self._open = False
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._goodbye is not None:
            self._process.send_signal(self._goodbye)
        os.close(self._fd)
        try:
            self._process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _fill(self, until_s: float, *views: memoryview) -> None:
        """Fills the views one after the other. Raises as :meth:`opened` does."""
        left = list(views)
        while left:
            if self._ready(until_s):
                read = os.readv(self._fd, left)
                if not read:
                    self._end()
                while left and read >= len(left[0]):
                    read -= len(left.pop(0))
                if left:
                    left[0] = left[0][read:]

    def _ready(self, until_s: float) -> bool:
        """Waits for the pipe. True: it has data or has ended; False: the process wrote a message instead."""
        left_s = until_s - perf_counter()
        ready = {fd for fd, _ in self._poll.poll(max(1e3 * left_s, 0))}
        if self._wake.fd in ready:
            raise Cancelled
        if self._said in ready:
            self._listen()
        if not ready and left_s <= 0:
            raise FeedLost("no frame in time", silent=True)
        return self._fd in ready

    def _end(self) -> NoReturn:
        # Frames and messages use two pipes, so the end of the frames may be seen before the reason.
        until_s = perf_counter() + _LAST_WORDS_S
        while self._said >= 0 and select.select([self._said], [], [], max(until_s - perf_counter(), 0))[0]:
            self._listen()
        reason = self.messages[-1] if self.messages else "its process ended"
        raise FeedLost(reason, final=reason.startswith(self.FINAL) if self.FINAL else False)

    def _listen(self) -> None:
        """Reads the messages of the process, line by line."""
        if self._said < 0:
            return
        try:
            data = os.read(self._said, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._poll.unregister(self._said)
            self._said = -1
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text:
                self._heard(text)

    def _heard(self, line: str) -> None:
        self.messages.append(line)


class GrabberFeed(Feed):
    """A camera or stream that a ``grabber.py`` process reads.

    Args:
        address: Number of a camera, or address of a stream. It is sent through a pipe, so that a password does not
            appear in process lists.
        backend: Name of an OpenCV backend (``"CAP_FFMPEG"``, ``"CAP_V4L2"``, ``"CAP_ANY"``); ``"libav"`` is PyAV.
        wake: Ends every wait.
        parameters: Parameters for opening: OpenCV's names → values.
        properties: Properties that are set after opening: OpenCV's names → values.
        retry: Skip a limited number of frames that fail to decode.
        raw: Don't convert frames that the device delivers as NV12 or YUYV.
        about: Further settings for PyAV, see ``libav/grab.py``.
    """

    def __init__(
        self,
        address: int | str,
        backend: str,
        wake: Wake,
        *,
        parameters: Mapping[str, float] | None = None,
        properties: Mapping[str, float] | None = None,
        retry: bool = False,
        raw: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        script = str(Path(grabber.__file__))
        super().__init__(
            lambda fd: [sys.executable, script, str(fd)],
            wake,
            config={
                "reader": "libav" if backend == "libav" else "opencv",
                "address": address,
                "backend": backend,
                "parameters": dict(parameters or {}),
                "properties": dict(properties or {}),
                "retry": retry,
                "raw": raw,
                **(about or {}),
            },
            # 16 is AV_LOG_ERROR: these messages contain the reason why a server refuses.
            env={"OPENCV_FFMPEG_LOGLEVEL": "16", "OPENCV_LOG_LEVEL": "SILENT", "PYTHONUNBUFFERED": "1"},
        )
        self._header = bytearray(grabber.HEADER.size)
        self._unfilled = False

    def opened(self, until_s: float) -> About:
        begun = perf_counter()
        try:
            self._record(grabber.READY, max(until_s, begun + _STARTUP_S))
        finally:
            # A busy machine may take seconds to load the library; the server has its time from now on.
            self.startup_s = perf_counter() - begun
        about = json.loads(self._record(grabber.OPENED, until_s + self.startup_s)[-1].tobytes())
        count, live = about["count"], about["live"]
        size_wh: tuple[int, int] = tuple(about["size_wh"])
        self.video = about["video"]
        return About(
            fps=about["fps"],
            count=round(count) if count else None,
            size_wh=size_wh,
            fourcc=about["fourcc"],
            live=live,
            stated=about.get("stated", True),
            segment_s=about.get("segment_s", 0.0),
        )

    def _heard(self, line: str) -> None:
        super()._heard(line)
        # FFmpeg's scaler in OpenCV 4.13 and later; its frames would be one constant image.
        self._unfilled = self._unfilled or "Cannot convert interlaced" in line

    def next(self, until_s: float) -> FeedFrame:
        if self._unfilled:
            raise FeedLost("this OpenCV can't convert interlaced video; install PyAV: pip install av", final=True)
        pixel_format, colours, size_hw, captured_s, time_s, body = self._record(grabber.FRAME, until_s)
        image = frame_of(body, pixel_format, *size_hw)
        return FeedFrame(image, captured_s, pixel_format, None if math.isnan(time_s) else time_s, colours)

    def _record(
        self, wanted: int, until_s: float
    ) -> tuple[str, Colours, tuple[int, int], float, float, npt.NDArray[np.uint8]]:
        self._fill(until_s, memoryview(self._header))
        magic, kind, code, matrix, full, height, width, captured_s, time_s, corrupt, length = grabber.HEADER.unpack(
            self._header
        )
        known = code < len(grabber.FORMATS) and matrix < len(grabber.MATRICES)
        if magic != grabber.MAGIC or max(height, width) > MAX_SIDE or not known:
            raise FeedLost("its process wrote something else than frames")
        pixel_format = grabber.FORMATS[code]
        fits = length == frame_bytes(pixel_format, height, width) if kind == grabber.FRAME else length <= _MAX_TEXT
        if not fits or not length:
            raise FeedLost("its process wrote something else than frames")
        body = np.empty(length, np.uint8)
        # The rest of a record follows immediately, unless the process hangs.
        self._fill(max(until_s, perf_counter() + 1), body.data)
        if kind == wanted:
            self.corrupt = max(corrupt, self.corrupt)
            colours = Colours(grabber.MATRICES[matrix], bool(full))
            return pixel_format, colours, (height, width), captured_s, time_s, body
        if kind == grabber.INFO:
            told = json.loads(body.tobytes())
            self.video = told["video"]
            self.notes += told["notes"]
            return self._record(wanted, until_s)
        self._listen()
        reason = body.tobytes().decode(errors="replace")
        said = list(self.messages)[-1:] if kind == grabber.FAILED else []
        why = ": ".join([reason, *(line for line in said if line not in reason)])
        raise FeedLost(why, final=kind == grabber.REFUSED, ended=kind == grabber.ENDED)
