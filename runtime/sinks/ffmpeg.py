"""FFmpeg's program as an encoder: raw frames go in by pipe, it writes or sends them."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import subprocess
from collections import deque
from functools import cache
from time import perf_counter

from ..machine.system import run
from ..sources.feed import grow_pipe
from .base import Frame

TOOL = "ffmpeg"


@cache
def encoder() -> tuple[str, str] | None:
    """The H.264 encoder (else the MPEG-4 one) of the installed ffmpeg, and its version; None where it is not installed."""
    if shutil.which(TOOL) is None:
        return None
    listed = run([TOOL, "-hide_banner", "-encoders"]) or ""
    names = set(re.findall(r"^ V\S* (\S+)", listed, re.MULTILINE))
    version = re.search(r"version (\d+(?:\.\d+)*)", run([TOOL, "-version"]) or "")
    name = next((name for name in ("libx264", "libopenh264", "mpeg4") if name in names), None)
    return (name, version[1] if version else "of unknown version") if name else None


def _version() -> tuple[int, ...]:
    codec = encoder()
    # A build from a repository has no number, and is newer than any.
    return tuple(map(int, re.findall(r"\d+", codec[1])[:2])) or (99,) if codec else ()


def codec_options(name: str, fps: float, gop_s: float) -> list[str]:
    """What an encoder is called with: no frame waits inside it, a key frame every ``gop_s`` seconds."""
    options = ["-c:v", name, "-g", str(max(round(fps * gop_s), 1))]
    if name == "libx264":
        return [*options, "-preset", "ultrafast", "-tune", "zerolatency", "-crf", "23"]
    return [*options, "-q:v", "4"] if name == "mpeg4" else [*options, "-b:v", "4M"]


class Encoder:
    """A running ffmpeg. It ends by itself when its input is closed, also because this process was killed.

    Args:
        size_hw: Of its frames.
        fps: Frames per second.
        live: Frames get the time at which they come; otherwise they are 1 / fps apart.
        output: Options behind the input's.
    """

    def __init__(self, size_hw: tuple[int, int], fps: float, live: bool, output: list[str]) -> None:
        height, width = size_hw
        # Times are stored in units of the stated rate: 1000 gives live frames milliseconds.
        clock = ["-use_wallclock_as_timestamps", "1", "-framerate", "1000"] if live else ["-framerate", f"{fps:.6g}"]
        words = [TOOL, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "bgr24"]
        words += ["-video_size", f"{width}x{height}", *clock, "-i", "pipe:0", "-an"]
        # Chroma of half the size needs even sides.
        words += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
        if live:
            # Frames that waited while ffmpeg started arrive within one millisecond; by default all but one were dropped.
            words += ["-fps_mode" if _version() >= (5, 1) else "-vsync", "passthrough"]
        words += output
        # A session of its own: Ctrl-C in a terminal goes to us, and we close its input.
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._fd, self._said = self._process.stdin.fileno(), self._process.stderr.fileno()
        grow_pipe(self._fd)
        os.set_blocking(self._fd, False)
        os.set_blocking(self._said, False)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._messages: deque[str] = deque(maxlen=5)
        self._rest: memoryview | None = None
        self._open = True

    def write(self, frame_bgr: Frame, patience_s: float) -> bool:
        """Hands a frame over, without a copy unless the reader takes only a part of it in time.

        Args:
            frame_bgr: uint8 (H, W, 3), C-contiguous.
            patience_s: How long to wait.

        Returns:
            False: the reader is late, and the frame was left out as a whole.

        Raises:
            BrokenPipeError: the process has ended.
        """
        self.why()  # what nobody reads ends up in its way: after 64 KiB of messages it would wait for ever
        until_s = perf_counter() + patience_s
        if self._rest is not None:
            self._rest = self._push(self._rest, until_s)
            if self._rest is not None:
                return False
        whole = frame_bgr.data.cast("B")
        rest = self._push(whole, until_s)
        if rest is not None and len(rest) == len(whole):
            return False
        self._rest = None if rest is None else memoryview(bytes(rest))
        return True

    def why(self) -> str:
        """What the process said last, in one line."""
        with contextlib.suppress(OSError):  # nothing new, or closed
            while data := os.read(self._said, 1 << 16):
                self._messages.extend(line.strip() for line in data.decode(errors="replace").splitlines() if line.strip())
        return "; ".join(list(self._messages)[-2:]) or "it ended without a word"

    def close(self, limit_s: float) -> bool:
        """Lets it finish; kills it after ``limit_s``. May be called twice.

        Returns:
            Whether it finished by itself, without an error.
        """
        if self._open:
            self._open = False
            until_s = perf_counter() + limit_s
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                if self._rest is not None:
                    self._push(self._rest, until_s - limit_s / 2)
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(max(until_s - perf_counter(), 0.1))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self.why()
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._said = -1
        return self._process.returncode == 0

    def _push(self, data: memoryview, until_s: float) -> memoryview | None:
        """Writes until ``until_s``; what is left, or None."""
        while True:
            left_ms = max(1e3 * (until_s - perf_counter()), 0)
            if not self._poll.poll(left_ms):
                return data
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._fd, data) :]
            if not data:
                return None
