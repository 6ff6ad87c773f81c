"""Raw masks for other programs: ``pipe:`` (standard output) or ``pipe:PATH`` (a named pipe or file)."""

from __future__ import annotations

import errno
import os
import stat
import time
from time import perf_counter
from typing import TYPE_CHECKING

from ...core.errors import SinkError
from ..sources.feed import grow_pipe
from .base import Frame, Sink, fitted

if TYPE_CHECKING:
    from ..frame.result import Result

#: Seconds that the reader of a named pipe gets to open it.
_READER_S = 10.0


class PipeSink(Sink):
    """Writes class numbers: uint8, H x W bytes per frame, row by row, without a header.

    The run ends when the reader exits.

    Args:
        text: ``pipe:`` or ``pipe:PATH``.
        live: Scale masks of another size than the first (nearest) to the first size.

    Raises:
        SinkError: the path can't be opened, or no reader opens the named pipe within 10 s.
    """

    mask, overlay = True, False

    def __init__(self, text: str, live: bool = False) -> None:
        super().__init__(text)
        self.about = "raw masks, uint8, row by row"
        self._live = live
        self._size_hw: tuple[int, int] | None = None
        path = text.removeprefix("pipe:")
        self._fd = _open(text, path) if path else os.dup(1)
        grow_pipe(self._fd)

    def take(self, result: Result) -> None:
        assert result.mask is not None
        self.write(result.mask)

    def write(self, frame_bgr: Frame) -> None:
        if self._size_hw is None:
            self._size_hw = (frame_bgr.shape[0], frame_bgr.shape[1])
        left = fitted(frame_bgr, self._size_hw, self.text, self._live).data.cast("B")
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except BrokenPipeError:
            self.stop = True
        except OSError as error:
            raise SinkError(f"sink {self.text}: can't be written ({error.strerror}); free some space") from error

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open(text: str, path: str) -> int:
    until_s = perf_counter() + _READER_S
    while True:
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise SinkError(f"sink {text}: can't be opened ({error.strerror}); choose another path") from error
            if perf_counter() > until_s:
                raise SinkError(f"sink {text}: nobody opened the pipe for reading within {_READER_S:g} s") from error
            time.sleep(0.05)
            continue
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.set_blocking(fd, True)
        return fd
