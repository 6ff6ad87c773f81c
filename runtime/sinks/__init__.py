"""Sinks of results: a video file, a window, a browser, a server, a folder of images, another program, or none."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import DEFAULT_FPS, CallbackSink, NullSink, Run, Sink
    from .images import ImageFolderSink
    from .mjpeg import MjpegSink
    from .opening import open_sink
    from .overwrite import refuse_overwrite, written_by
    from .pipe import PipeSink
    from .push import PushSink
    from .several import MosaicSink, open_sinks
    from .table import SCHEMES, VIDEO_SUFFIXES
    from .video import AvRecordingSink, OpenCvVideoSink, RecordingSink
    from .window import WindowSink

__all__ = [
    "AvRecordingSink",
    "CallbackSink",
    "DEFAULT_FPS",
    "ImageFolderSink",
    "MjpegSink",
    "MosaicSink",
    "NullSink",
    "OpenCvVideoSink",
    "PipeSink",
    "PushSink",
    "RecordingSink",
    "Run",
    "SCHEMES",
    "Sink",
    "VIDEO_SUFFIXES",
    "WindowSink",
    "open_sink",
    "open_sinks",
    "refuse_overwrite",
    "written_by",
]

# Loaded on first use: a run imports only the modules of its sinks.
_HOMES = {
    "AvRecordingSink": ".video",
    "CallbackSink": ".base",
    "DEFAULT_FPS": ".base",
    "ImageFolderSink": ".images",
    "MjpegSink": ".mjpeg",
    "MosaicSink": ".several",
    "NullSink": ".base",
    "OpenCvVideoSink": ".video",
    "PipeSink": ".pipe",
    "PushSink": ".push",
    "RecordingSink": ".video",
    "Run": ".base",
    "SCHEMES": ".table",
    "Sink": ".base",
    "VIDEO_SUFFIXES": ".table",
    "WindowSink": ".window",
    "open_sink": ".opening",
    "open_sinks": ".several",
    "refuse_overwrite": ".overwrite",
    "written_by": ".overwrite",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
