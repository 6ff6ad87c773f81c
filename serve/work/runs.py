"""Sources that the service segments itself, as ``seg-edge run`` does."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ...core.errors import InputError, SourceError
from ...runtime import Pipeline, PlaybackOptions, Segmenter, open_source
from ...runtime.sinks.mjpeg import LiveView
from ...runtime.sources import names_files

logger = logging.getLogger("seg_edge.serve")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: Files are played again and again: a video at its own rate, images at this one.
_IMAGES_FPS = 5.0
_CLOSE_S = 10.0


def name_sources(sources: Sequence[str]) -> dict[str, str]:
    """Names sources: ``NAME=ADDRESS``, or by their number.

    >>> name_sources(["0", "door=rtsp://camera/stream"])
    {'0': '0', 'door': 'rtsp://camera/stream'}

    Raises:
        InputError: two sources of one name.
    """
    named: dict[str, str] = {}
    for number, source in enumerate(sources):
        name, sign, address = source.partition("=")
        if not (sign and _NAME.fullmatch(name)):
            name, address = str(number), source
        if name in named:
            raise InputError(f"`sources`: two are called {name}; give one another name: NAME=ADDRESS")
        if not address:
            raise InputError(f"`sources`: {source!r} has no address; expected NAME=ADDRESS, such as door=rtsp://HOST/PATH")
        named[name] = address
    return named


class ServedRun:
    """One source through a model of its own, in a thread.

    Args:
        name: In addresses of the service.
        address: See :func:`seg_edge.open_source`; files are played again and again.
        segmenter: Closed with the run.

    Raises:
        SourceError: the source can't be opened.
    """

    def __init__(self, name: str, address: str, segmenter: Segmenter) -> None:
        self.name = name
        #: Why the run ended; None while it goes on, or where its source has ended.
        self.failure: Exception | None = None
        with ExitStack() as stack:
            stack.callback(segmenter.close)
            self._source = stack.enter_context(_opened(address))
            self.sink = LiveView(f"/v1/runs/{name}")
            stack.enter_context(self.sink)
            self._pipeline = Pipeline(self._source, segmenter, [self.sink])
            self._stack = stack.pop_all()
        self._thread = threading.Thread(target=self._run, name=f"run-{name}", daemon=True)
        self._thread.start()

    def about(self) -> dict[str, Any]:
        """The row of ``/v1/runs``."""
        stats = self._pipeline.stats()
        return {
            "name": self.name,
            "source": self._source.text,
            "state": "failed" if self.failure is not None else stats["state"],
            "error": None if self.failure is None else str(self.failure),
            "fps": stats["fps"],
            "frames": stats["frames_out"],
            "viewers": self.sink.view.viewers,
        }

    def hide(self) -> None:
        """Sends viewers away."""
        self.sink.view.show(None)

    def close(self) -> None:
        """Ends the run and closes what it used."""
        self._pipeline.stop()
        self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._stack.close()

    def _run(self) -> None:
        try:
            self._pipeline.run()
        except Exception as error:
            self.failure = error
            logger.error("run %s: %s", self.name, error)
        finally:
            self.hide()


def _opened(address: str) -> Any:
    if not names_files(address):
        return open_source(address)
    try:
        return open_source(address, playback=PlaybackOptions(loop=True, play_fps="native"))
    except SourceError:  # images have no times; what else is wrong is said again
        return open_source(address, playback=PlaybackOptions(loop=True, play_fps=_IMAGES_FPS))
