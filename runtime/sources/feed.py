"""One connection to a live source: a process that writes frames to a pipe, read with deadlines and always stoppable."""

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

from . import grabber

#: Seconds that a connection's process gets to say goodbye before it is killed.
GOODBYE_S = 0.4
#: A pipe's own buffer: larger ones need privileges, smaller ones cost a system call for every 64 KiB.
PIPE_BYTES = 1 << 20
#: Larger sides are not accepted: a process that writes something else must not cause a huge allocation.
MAX_SIDE = 16384
_MAX_TEXT = 1 << 16


def grow_pipe(fd: int) -> None:
    """Gives a pipe the largest buffer that needs no privileges, where the system can."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


#: Seconds in which a process that has closed its pipe may still say why.
_LAST_WORDS_S = 0.3


class FeedLost(Exception):
    """The connection is gone; ``str(error)`` says why.

    Args:
        silent: The connection stands, but nothing came in time.
        final: Another attempt would fail in the same way.
    """

    def __init__(self, why: str, *, silent: bool = False, final: bool = False) -> None:
        super().__init__(why)
        self.silent, self.final = silent, final


class Cancelled(Exception):
    """Somebody else ended the wait."""


class Wake:
    """Ends waits of another thread: a pipe that polls include. Once set it stays set."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        self.is_set = False

    def set(self) -> None:
        if not self.is_set:
            self.is_set = True
            os.write(self._write, b"x")

    def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Cancelled: it was or is set.
        """
        if select.select([self.fd], [], [], max(seconds, 0))[0]:
            raise Cancelled

    def close(self) -> None:
        """Only when nobody waits any more."""
        os.close(self.fd)
        os.close(self._write)


@dataclass(frozen=True)
class About:
    """What a connection says about its frames: ``fps`` or None; ``count`` of a stream that has an end; ``fourcc``."""

    fps: float | None = None
    count: int | None = None
    size_wh: tuple[int, int] = (0, 0)
    fourcc: str | None = None


class FeedFrame(NamedTuple):
    """A frame as it came: uint8 in ``pixel_format``, rows contiguous, owned by the receiver; and when it was in memory."""

    image: npt.NDArray[np.uint8]
    captured_s: float
    pixel_format: str = "bgr"


class Feed(ABC):
    """A child process in a session of its own (Ctrl-C in a terminal doesn't reach it) and the pipe that it writes frames to.

    Args:
        command: The process, given the file descriptor that it shall write to.
        wake: Ends every wait.
        config: A line for its standard input, which stays open: the child ends when it is closed. None: no standard input.
        env: Variables beside this process's own.
        goodbye: The signal that asks it to end; None: closing its pipes does.
    """

    #: The beginning of a message after which further attempts are useless.
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
            with contextlib.suppress(BrokenPipeError):  # it died at once; reading says so
                self._process.stdin.write(json.dumps(config).encode() + b"\n")
                self._process.stdin.flush()

    @abstractmethod
    def opened(self, until_s: float) -> About:
        """Waits until the connection stands.

        Raises:
            FeedLost, Cancelled: it will not; ``until_s`` (``perf_counter``) passed; another thread ended the wait.
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
        """Reads until the views are full, one after the other."""
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
        """Waits until the pipe has data or ends; False: the process wrote a message instead."""
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
        # Frames and words come on two pipes: the end of the first may be seen before the reason.
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
    """What OpenCV opens, in a ``grabber.py`` process.

    Args:
        address: A camera's number or a stream's address. It travels by pipe: a password shows in no list of processes.
        backend: Name of an OpenCV backend (``"CAP_FFMPEG"``, ``"CAP_V4L2"``, ``"CAP_ANY"``).
        wake: Ends every wait.
        parameters: For opening, OpenCV's names → values. properties: set after opening.
        retry: A frame that fails to decode is passed over, a few times.
        raw: Frames that the device delivers as NV12 or YUYV are not converted.
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
    ) -> None:
        script = str(Path(grabber.__file__))
        super().__init__(
            lambda fd: [sys.executable, script, str(fd)],
            wake,
            config={
                "address": address,
                "backend": backend,
                "parameters": dict(parameters or {}),
                "properties": dict(properties or {}),
                "retry": retry,
                "raw": raw,
            },
            # 16 is AV_LOG_ERROR: why a server refuses is in these lines.
            env={"OPENCV_FFMPEG_LOGLEVEL": "16", "OPENCV_LOG_LEVEL": "SILENT", "PYTHONUNBUFFERED": "1"},
        )
        self._header = bytearray(grabber.HEADER.size)

    def opened(self, until_s: float) -> About:
        about = json.loads(self._record(grabber.OPENED, until_s)[-1].tobytes())
        count = about["count"]
        return About(about["fps"], round(count) if count else None, tuple(about["size_wh"]), about["fourcc"])

    def next(self, until_s: float) -> FeedFrame:
        pixel_format, size_hw, captured_s, body = self._record(grabber.FRAME, until_s)
        return FeedFrame(body.reshape(grabber.shape(pixel_format, *size_hw)), captured_s, pixel_format)

    def _record(self, wanted: int, until_s: float) -> tuple[str, tuple[int, int], float, npt.NDArray[np.uint8]]:
        self._fill(until_s, memoryview(self._header))
        magic, kind, code, height, width, captured_s, length = grabber.HEADER.unpack(self._header)
        if magic != grabber.MAGIC or max(height, width) > MAX_SIDE or code >= len(grabber.FORMATS):
            raise FeedLost("its process wrote something else than frames")
        pixel_format = grabber.FORMATS[code]
        fits = (
            length == math.prod(grabber.shape(pixel_format, height, width)) if kind == grabber.FRAME else length <= _MAX_TEXT
        )
        if not fits or not length:
            raise FeedLost("its process wrote something else than frames")
        body = np.empty(length, np.uint8)
        # The rest of a record that has begun comes at once, or the process hangs.
        self._fill(max(until_s, perf_counter() + 1), body.data)
        if kind == wanted:
            return pixel_format, (height, width), captured_s, body
        self._listen()
        reason = body.tobytes().decode(errors="replace")
        raise FeedLost(": ".join([reason, *list(self.messages)[-1:]]))
