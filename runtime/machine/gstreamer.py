"""GStreamer on this machine: its tools, the elements that sources need, and the packages that bring them."""

from __future__ import annotations

import shutil
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


def missing() -> list[dict[str, Any]] | None:
    """The elements of :data:`ELEMENTS` that are not installed: ``{element, package}``; None without ``gst-launch-1.0``."""
    if shutil.which(LAUNCH) is None:
        return None
    return [{"element": name, "package": package} for name, package in ELEMENTS.items() if not has(name)]


def has(element: str) -> bool:
    """Whether an element is installed; False where ``gst-inspect-1.0``, which knows, is not."""
    return works([INSPECT, "--exists", element])
