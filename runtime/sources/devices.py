"""Opens local cameras, by number or device file, and GStreamer pipelines."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...core.errors import SourceError
from .base import logger
from .feed import Feed, GrabberFeed, Wake
from .gst import GstFeed, csi_pipeline
from .live import LiveSource
from .options import CameraOptions, LiveOptions, VideoOptions
from .table import redact


def open_camera(text: str, number: int, options: CameraOptions, live: LiveOptions) -> LiveSource:
    """Opens a camera. If the camera is unplugged later, the source waits for its return.

    Raises:
        SourceError: the camera does not exist, is in use, or the user lacks the permission.
    """
    device = Path(f"/dev/video{number}")
    linux = Path("/dev").is_dir()
    if linux and not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(_why_no_camera(text, device))
    # The pixel format goes first, because the available sizes and rates depend on it.
    properties: dict[str, float] = {}
    if options.pixel_format:
        properties["CAP_PROP_FOURCC"] = sum(ord(letter) << 8 * i for i, letter in enumerate(options.pixel_format))
    if options.size_wh:
        properties["CAP_PROP_FRAME_WIDTH"], properties["CAP_PROP_FRAME_HEIGHT"] = options.size_wh
    if options.fps:
        properties["CAP_PROP_FPS"] = options.fps

    def connect(wake: Wake) -> Feed:
        # Backends of other systems don't describe their raw frames reliably.
        return GrabberFeed(number, "CAP_V4L2" if linux else "CAP_ANY", wake, properties=properties, retry=True, raw=linux)

    def knock(_wake: Wake) -> str | None:
        return None if not linux or device.exists() else f"{device} is not there"

    source = LiveSource(text, connect, knock=knock, options=live, why_not=lambda _reason: _why_no_camera(text, device))
    about = source.about
    given = {"size_wh": about.size_wh, "fps": about.fps, "pixel_format": about.fourcc}
    for name, wanted in vars(options).items():
        if wanted is not None and given[name] is not None and wanted != given[name]:
            logger.warning("seg-edge: source %s: asked for %s %s, the camera gives %s", text, name, wanted, given[name])
    return source


def open_csi(text: str, rest: str, options: CameraOptions, live: LiveOptions, video: VideoOptions) -> LiveSource:
    """Opens ``csi://N``, a camera on a CSI port of a Jetson.

    Raises:
        SourceError: the number is invalid, GStreamer is missing, or the pipeline does not start.
    """
    if not re.fullmatch(r"\d{1,2}", rest):
        raise SourceError(f"source {text}: expected the camera's number, such as csi://0")
    return open_gst(text, csi_pipeline(int(rest), options), options, live, video)


def open_gst(text: str, pipeline: str, _options: CameraOptions, live: LiveOptions, _video: VideoOptions) -> LiveSource:
    """Opens ``gst://PIPELINE``, any GStreamer pipeline that delivers video.

    Raises:
        SourceError: GStreamer is missing, or the pipeline does not start.
    """

    def connect(wake: Wake) -> Feed:
        return GstFeed(text, pipeline, wake)

    def why_not(reason: str) -> str:
        hint = "; it comes with JetPack, on a Jetson" if "nvarguscamerasrc" in reason else ""
        if 'element "rtp' in reason:  # elements that this package appends, see gst_stream.py
            hint = "; apt-get install gstreamer1.0-plugins-good"
        trial = f"try it: gst-launch-1.0 -v {redact(pipeline)} ! fakesink"
        return f"source {redact(text)}: the GStreamer pipeline does not start: {reason}{hint}; {trial}"

    return LiveSource(text, connect, options=live, why_not=why_not)


def _why_no_camera(text: str, device: Path) -> str:
    if device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return f"source {text}: no permission for {device}; add this user to its group (sudo usermod -aG video $USER)"
    names = sorted(path.name for path in Path("/dev").glob("video*"))
    has = f"this machine has {', '.join('/dev/' + name for name in names)}" if names else "this machine has no /dev/video*"
    number = device.name.removeprefix("video")
    busy = "it is in use by another program, or not a capture device" if device.exists() else "no such camera"
    return f"source {text}: camera {number} can't be opened: {busy} ({has}); pass another `source`"
