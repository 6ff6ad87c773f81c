"""GStreamer on this machine: its tools, the elements that sources need, and the packages that contain them."""

from __future__ import annotations

import shutil
from typing import Any

from .system import works

LAUNCH, INSPECT = "gst-launch-1.0", "gst-inspect-1.0"
#: Debian package that contains both tools.
TOOLS_PACKAGE = "gstreamer1.0-tools"
#: Elements at the end of every ``gst://`` and ``csi://`` pipeline, which pass the frames on → their package in Debian
#: and Ubuntu (the base of JetPack).
ELEMENTS = {
    "fdsink": "libgstreamer1.0-0",
    "videoconvert": "gstreamer1.0-plugins-base",
    "rtpgstpay": "gstreamer1.0-plugins-good",
    "rtpstreampay": "gstreamer1.0-plugins-good",
}


def missing() -> list[dict[str, Any]] | None:
    """The missing elements of :data:`ELEMENTS`: ``{element, package}``; None without ``gst-launch-1.0``."""
    if shutil.which(LAUNCH) is None:
        return None
    return [{"element": name, "package": package} for name, package in ELEMENTS.items() if not has(name)]


def has(element: str) -> bool:
    """Whether an element is installed; False without ``gst-inspect-1.0``."""
    return works([INSPECT, "--exists", element])
