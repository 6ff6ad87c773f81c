"""GStreamer on this machine: its tools, the elements that sources need, and the packages that bring them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

from .system import works

LAUNCH, INSPECT = "gst-launch-1.0", "gst-inspect-1.0"
#: Debian package that brings both tools.
TOOLS_PACKAGE = "gstreamer1.0-tools"
#: Element → Debian package (also of Ubuntu, which JetPack is built on): what takes the frames out of any ``gst://`` or
#: ``csi://`` pipeline.
ELEMENTS = {
    "fdsink": "libgstreamer1.0-0",
    "videoconvert": "gstreamer1.0-plugins-base",
    "rtpgstpay": "gstreamer1.0-plugins-good",
    "rtpstreampay": "gstreamer1.0-plugins-good",
}


def missing_elements(names: Iterable[str] = ELEMENTS) -> list[str]:
    """Elements that are not installed, in the order of ``names``; all of them where ``gst-inspect-1.0`` is missing."""
    if shutil.which(INSPECT) is None:
        return list(names)
    return [name for name in names if not works([INSPECT, "--exists", name])]


def gstreamer() -> dict[str, Any]:
    """The ``video.gst_missing`` part of ``doctor --json``: a list of ``{element, package}``; null without the tools."""
    if shutil.which(LAUNCH) is None:
        return {"gst_missing": None}
    return {"gst_missing": [{"element": name, "package": ELEMENTS[name]} for name in missing_elements()]}
