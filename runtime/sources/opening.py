"""Opens sources by name; imports only the module of the requested source."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import Any

from ...core.errors import SourceError
from .base import Source
from .options import CameraOptions, LiveOptions, PlaybackOptions, VideoOptions
from .table import SCHEME, SCHEMES, camera_number, names_files, redact, simulated_fps


def open_source(
    source: str | Path | int,
    camera: CameraOptions | None = None,
    live: LiveOptions | None = None,
    video: VideoOptions | None = None,
    playback: PlaybackOptions | None = None,
) -> Source:
    """Opens a source by name.

    >>> with open_source("street.mp4") as source:
    ...     next(iter(source)).image_bgr.shape
    (64, 96, 3)

    Args:
        source: ``0`` or ``/dev/video0`` (camera), an image file, a folder of images (sorted by name), a video file, or
            an address of :data:`SCHEMES`: ``rtsp://HOST/PATH``, ``http://HOST/PATH``, ``csi://0`` (Jetson),
            ``gst://PIPELINE``. ``camera:30`` is a simulated camera that shows drawn streets.
        camera: Size, rate and pixel format of a camera.
        live: Time limits for cameras and streams.
        video: Decoder, and fields, of videos and network streams.
        playback: Rate and repetition of files.

    Raises:
        SourceError: the source is missing, empty or not readable; or it is live, and ``playback`` is for files.
    """
    text = str(source)
    if playback is not None and playback != PlaybackOptions():
        if not names_files(text):
            raise SourceError(
                f"source {redact(text)}: `loop` and `play_fps` are for files; a camera or a stream has a rate of its own"
            )
        return _of(".paced.playing", "PlayedSource", lambda: open_source(text, camera, live, video), playback)
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
    fps = simulated_fps(text)
    if fps is not None:
        return _of(".paced.simulated", "open_simulated", fps, camera)
    number = camera_number(text)
    if number is not None:
        return _of(".devices", "open_camera", text, number, camera, live)
    return _of(".files", "open_file", text, video)


def _of(module: str, function: str, *arguments: Any) -> Source:
    source: Source = getattr(import_module(module, __package__), function)(*arguments)
    return source
