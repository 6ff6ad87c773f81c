"""Where frames come from: a camera, a stream, a GStreamer pipeline, a video file, a folder of images, one image."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from ...core.errors import SourceError
from .base import Source, SourceFrame, quiet_opencv, redact
from .devices import camera_number, open_camera, open_csi, open_gst
from .files import ImageSource, VideoSource, open_file, open_file_address
from .live import LiveSource
from .options import CameraOptions, LiveOptions
from .streams import open_stream

__all__ = [
    "SCHEMES",
    "CameraOptions",
    "ImageSource",
    "LiveOptions",
    "LiveSource",
    "Source",
    "SourceFrame",
    "VideoSource",
    "names_camera",
    "names_files",
    "open_source",
    "quiet_opencv",
    "redact",
    "source_path",
]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)

#: Scheme → what opens it, given the whole text, what stands behind ``://``, and the options.
SCHEMES: dict[str, Callable[[str, str, CameraOptions, LiveOptions], Source]] = {
    "csi": open_csi,
    "file": open_file_address,
    "gst": open_gst,
    "http": open_stream,
    "https": open_stream,
    "rtmp": open_stream,
    "rtsp": open_stream,
    "rtsps": open_stream,
    "udp": open_stream,
}


def open_source(source: str | Path | int, camera: CameraOptions | None = None, live: LiveOptions | None = None) -> Source:
    """Opens a source by what it is called.

    Args:
        source: ``0`` or ``/dev/video0`` (camera), an image file, a folder of images (sorted by name), a video file, or an
            address of :data:`SCHEMES`: ``rtsp://HOST/PATH``, ``http://HOST/PATH``, ``csi://0`` (Jetson), ``gst://PIPELINE``.
        camera: Size, rate and pixel format of a camera.
        live: How a camera or stream is supervised.

    Raises:
        SourceError: missing, empty, or not readable; nothing is printed beside it.
    """
    text = str(source)
    camera, live = camera or CameraOptions(), live or LiveOptions()
    address = _SCHEME.fullmatch(text)
    if address:
        scheme = address[1].lower()
        if scheme not in SCHEMES:
            near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}://? " if near else ""
            raise SourceError(
                f"source {redact(text)}: {scheme}:// is unknown; {hint}expected a camera number, a video, an image, "
                f"a folder or {', '.join(name + '://' for name in SCHEMES)}"
            )
        return SCHEMES[scheme](text, address[2], camera, live)
    number = camera_number(text)
    if number is not None:
        return open_camera(text, number, camera, live)
    return open_file(text)


def names_files(source: str | Path | int) -> bool:
    """Whether :func:`open_source` would read files, which wait for whoever is late; else frames come at their own pace.

    Nothing is opened; whether it exists shows when it is.
    """
    return source_path(source) is not None


def names_camera(source: str | Path | int) -> bool:
    """Whether :class:`CameraOptions` mean something to it: a camera of this machine."""
    return camera_number(str(source)) is not None or str(source).lower().startswith("csi://")


def source_path(source: str | Path | int) -> Path | None:
    """The file or folder that a source's name means, whether it exists or not; None for a camera or a stream."""
    text = str(source)
    address = _SCHEME.fullmatch(text)
    if address:
        return Path(unquote(address[2])) if address[1].lower() == "file" else None
    return Path(text) if camera_number(text) is None else None
