"""The ``ffmpeg`` program as an encoder: it reads raw frames from a pipe, and writes or sends the video."""

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
    """Name of the installed ffmpeg's H.264 (else MPEG-4) encoder, and ffmpeg's version; None without ffmpeg."""
    if shutil.which(TOOL) is None:
        return None
    listed = run([TOOL, "-hide_banner", "-encoders"]) or ""
    names = set(re.findall(r"^ V\S* (\S+)", listed, re.MULTILINE))
    version = re.search(r"version (\d+(?:\.\d+)*)", run([TOOL, "-version"]) or "")
    name = next((name for name in ("libx264", "libopenh264", "mpeg4") if name in names), None)
    return (name, version[1] if version else "of unknown version") if name else None


def _version() -> tuple[int, ...]:
    codec = encoder()
    # A build from the repository has no version number, and counts as newer than all releases.
    return tuple(map(int, re.findall(r"\d+", codec[1])[:2])) or (99,) if codec else ()


def codec_options(name: str, fps: float, gop_s: float) -> list[str]:
    """Options of an encoder: no internal frame delay, a key frame every ``gop_s`` seconds."""
    options = ["-c:v", name, "-g", str(max(round(fps * gop_s), 1))]
    if name == "libx264":
        return [*options, "-preset", "ultrafast", "-tune", "zerolatency", "-crf", "23"]
    return [*options, "-q:v", "4"] if name == "mpeg4" else [*options, "-b:v", "4M"]


class Encoder:
    """A running ffmpeg process. It ends when its input is closed, even if this process was killed.

    Args:
        size_hw: Height and width of the frames.
        fps: Frames per second.
        live: Frames get their arrival time as timestamp; otherwise they are 1 / fps apart.
        output: Output options of ffmpeg.
    """

    def __init__(self, size_hw: tuple[int, int], fps: float, live: bool, output: list[str]) -> None:
        height, width = size_hw
        # The stated rate is the resolution of timestamps: 1000 is milliseconds, for live frames.
        clock = ["-use_wallclock_as_timestamps", "1", "-framerate", "1000"] if live else ["-framerate", f"{fps:.6g}"]
        words = [TOOL, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "bgr24"]
        words += ["-video_size", f"{width}x{height}", *clock, "-i", "pipe:0", "-an"]
        # Chroma has half the size, so the sides must be even.
        words += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
        if live:
            # Frames that wait for ffmpeg's start arrive within one millisecond; by default ffmpeg drops all but one.
            words += ["-fps_mode" if _version() >= (5, 1) else "-vsync", "passthrough"]
        words += output
        # Own session, so that Ctrl-C in a terminal reaches only this process, which then closes ffmpeg's input.
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
        """Writes a frame, without a copy unless ffmpeg reads only a part of it in time.

        Args:
            frame_bgr: uint8 (H, W, 3), C-contiguous.
            patience_s: Seconds to wait.

        Returns:
            False: ffmpeg is late, and the whole frame was skipped.

        Raises:
            BrokenPipeError: the process has ended.
        """
        self.why()  # read the messages: after 64 KiB of unread messages ffmpeg would block forever
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
        """The last messages of the process, in one line."""
        with contextlib.suppress(OSError):  # nothing new, or closed
            while data := os.read(self._said, 1 << 16):
                self._messages.extend(line.strip() for line in data.decode(errors="replace").splitlines() if line.strip())
        return "; ".join(list(self._messages)[-2:]) or "it ended without a word"

    def close(self, limit_s: float) -> bool:
        """Waits for ffmpeg to finish; kills it after ``limit_s``. May be called twice.

        Returns:
            Whether ffmpeg finished by itself, without an error.
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
        """Writes until ``until_s``; returns the unwritten rest, or None."""
        while True:
            left_ms = max(1e3 * (until_s - perf_counter()), 0)
            if not self._poll.poll(left_ms):
                return data
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(self._fd, data) :]
            if not data:
                return None
