"""Where results go: a video file, a window, a browser, a server, a folder of images, another program, nowhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path

from ...core.errors import SinkError
from ..sources import redact
from .base import DEFAULT_FPS, CallbackSink, NullSink, Run, Sink
from .images import ImageFolderSink
from .mjpeg import MjpegSink
from .overwrite import refuse_overwrite, written_by
from .pipe import PipeSink
from .push import PushSink
from .several import MosaicSink, open_sinks
from .video import VIDEO_SUFFIXES, OpenCvVideoSink, RecordingSink, open_video
from .window import WindowSink

__all__ = [
    "DEFAULT_FPS",
    "SCHEMES",
    "VIDEO_SUFFIXES",
    "CallbackSink",
    "ImageFolderSink",
    "MjpegSink",
    "MosaicSink",
    "NullSink",
    "OpenCvVideoSink",
    "PipeSink",
    "PushSink",
    "RecordingSink",
    "Run",
    "Sink",
    "WindowSink",
    "open_sink",
    "open_sinks",
    "refuse_overwrite",
    "written_by",
]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://.*", re.IGNORECASE | re.DOTALL)

#: Scheme → what opens it, given the whole text and the source's frame rate.
SCHEMES: dict[str, Callable[[str, float | None], Sink]] = {
    "mjpeg": lambda text, _fps: MjpegSink(text),
    "rtmp": PushSink,
    "rtmps": PushSink,
    "rtsp": PushSink,
    "rtsps": PushSink,
}
_EXPECTED = (
    f"window, none, pipe:, a file name ending in {', '.join(VIDEO_SUFFIXES)}, a folder ending in /, or "
    f"{', '.join(name + '://' for name in SCHEMES)}"
)


def open_sink(text: str | Path, fps: float | None = None, live: bool = False) -> Sink:
    """Opens a sink by what it is called.

    Args:
        text: ``"window"``, ``"none"``, a file name ending in .mp4, .m4v or .mov, a folder (it exists, or its name ends in
            /), ``"pipe:"`` or ``"pipe:PATH"`` (raw masks), or an address of :data:`SCHEMES`.
        fps: Frame rate that a recording states; None is 30.
        live: The source is live: recordings keep its time, and a change of its size is scaled away.

    Raises:
        SinkError: unknown, or it can't be opened here.
    """
    name = str(text)
    if name == "none":
        return NullSink(name)
    if name == "window":
        return WindowSink(name)
    if name.startswith("pipe:"):
        return PipeSink(name, live)
    address = _SCHEME.fullmatch(name)
    if address:
        scheme = address[1].lower()
        if scheme in SCHEMES:
            return SCHEMES[scheme](name, fps)
        near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}://? " if near else ""
        raise SinkError(f"sink {redact(name)}: {scheme}:// is unknown; {hint}expected {_EXPECTED}")
    if Path(name).suffix.lower() in VIDEO_SUFFIXES:
        return open_video(name, fps, live)
    if name.endswith("/") or Path(name).is_dir():
        return ImageFolderSink(name)
    near = difflib.get_close_matches(name, ("window", "none", "pipe:"), n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    raise SinkError(f"sink {name}: unknown; {hint}expected {_EXPECTED}")
