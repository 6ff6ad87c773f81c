"""Opens sources by name; imports only the module of the requested source."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import Any

from ...core.errors import SourceError
from .base import Source
from .options import CameraOptions, LiveOptions, VideoOptions
from .table import SCHEME, SCHEMES, camera_number, redact


def open_source(
    source: str | Path | int,
    camera: CameraOptions | None = None,
    live: LiveOptions | None = None,
    video: VideoOptions | None = None,
) -> Source:
    """Opens a source by name.

    >>> with open_source("street.mp4") as source:
    ...     next(iter(source)).image_bgr.shape
    (64, 96, 3)

    Args:
        source: ``0`` or ``/dev/video0`` (camera), an image file, a folder of images (sorted by name), a video file, or
            an address of :data:`SCHEMES`: ``rtsp://HOST/PATH``, ``http://HOST/PATH``, ``csi://0`` (Jetson),
            ``gst://PIPELINE``.
        camera: Size, rate and pixel format of a camera.
        live: Time limits for cameras and streams.
        video: Decoder, and fields, of videos and network streams.

    Raises:
        SourceError: the source is missing, empty or not readable.
    """
    text = str(source)
    camera, live, video = camera or CameraOptions(), live or LiveOptions(), video or VideoOptions()
    address = SCHEME.fullmatch(text)
    if address:
        scheme = address[1].lower()
        if scheme not in SCHEMES:
            near = difflib.get_close_matches(scheme, SCHEMES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}://? " if near else ""
            raise SourceError(
                f"source {redact(text)}: {scheme}:// is unknown; {hint}expected a camera number, a video, an image, "
                f"a folder or {', '.join(name + '://' for name in SCHEMES)}"
            )
        module, function = SCHEMES[scheme]
        return _of(module, function, text, address[2], camera, live, video)
    number = camera_number(text)
    if number is not None:
        return _of(".devices", "open_camera", text, number, camera, live)
    return _of(".files", "open_file", text, video)


def _of(module: str, function: str, *arguments: Any) -> Source:
    source: Source = getattr(import_module(module, __package__), function)(*arguments)
    return source
