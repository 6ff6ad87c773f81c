"""Sources of frames: a camera, a stream, a GStreamer pipeline, a video file, a folder of images, one image."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Source, SourceFrame, quiet_opencv
    from .files import ImageSource
    from .live import LiveSource
    from .opening import open_source
    from .options import CameraOptions, LiveOptions, PlaybackOptions, VideoOptions
    from .table import SCHEMES, names_camera, names_files, redact, source_path
    from .video import VideoSource

__all__ = [
    "CameraOptions",
    "ImageSource",
    "LiveOptions",
    "LiveSource",
    "PlaybackOptions",
    "SCHEMES",
    "Source",
    "SourceFrame",
    "VideoOptions",
    "VideoSource",
    "names_camera",
    "names_files",
    "open_source",
    "quiet_opencv",
    "redact",
    "source_path",
]

# Loaded on first use: a run imports only the module of its source, and names need no OpenCV.
_HOMES = {
    "CameraOptions": ".options",
    "ImageSource": ".files",
    "LiveOptions": ".options",
    "LiveSource": ".live",
    "PlaybackOptions": ".options",
    "SCHEMES": ".table",
    "Source": ".base",
    "SourceFrame": ".base",
    "VideoOptions": ".options",
    "VideoSource": ".video",
    "names_camera": ".table",
    "names_files": ".table",
    "open_source": ".opening",
    "quiet_opencv": ".base",
    "redact": ".table",
    "source_path": ".table",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
