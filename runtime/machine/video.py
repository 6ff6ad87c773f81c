"""Video input and output of this machine: OpenCV's build, GStreamer, FFmpeg, cameras, display."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

from . import gstreamer
from .system import ROOT, is_jetson, packages, read, run

#: Packages that install the module cv2; the first one that is there is kept.
OPENCV = ("opencv-contrib-python", "opencv-python", "opencv-contrib-python-headless", "opencv-python-headless")


def video(root: Path = ROOT) -> dict[str, Any]:
    """The ``video`` part of ``doctor --json``.

    Returns:
        opencv (version or null), opencv_reason and opencv_note (on several packages of it), backends (for video input), gui
        (window toolkit or null),
        opencv_gstreamer, opencv_ffmpeg, display, gst_launch and ffmpeg (versions or null), gst_missing (rows of
        :func:`.missing`, or null without gst_launch), cameras.
    """
    return {
        **opencv(root),
        **pyav(),
        "display": display(),
        "gst_launch": tool_version(gstreamer.LAUNCH, "--version"),
        "gst_missing": gstreamer.missing(),
        "ffmpeg": tool_version("ffmpeg", "-version"),
        "cameras": cameras(root),
    }


def pyav() -> dict[str, Any]:
    """PyAV, the reader of videos: ``pyav`` (version or null), ``pyav_reason``, ``pyav_ffmpeg``, ``decoders``.

    A row of ``decoders`` is a hardware decoder: name, available, reason.
    """
    try:
        av: Any = import_module("av")
        hardware: Any = import_module("..sources.libav.hardware", __package__)
    except ImportError as error:
        why = f"av can't be imported ({error}); pip install av; until then OpenCV reads videos, without times"
        return {"pyav": None, "pyav_reason": why, "pyav_ffmpeg": None, "decoders": []}
    states = {name: hardware.state(name) for name in hardware.DECODERS}
    return {
        "pyav": str(av.__version__),
        "pyav_reason": "",
        "pyav_ffmpeg": getattr(av, "ffmpeg_version_info", None),
        "decoders": [{"name": name, "available": not why, "reason": why or ""} for name, why in states.items()],
    }


def opencv(root: Path = ROOT) -> dict[str, Any]:
    """OpenCV's version, loadable video backends and build options; nulls and a reason if cv2 can't be imported."""
    board = is_jetson(root)
    try:
        cv2: Any = import_module("cv2")
    except ImportError as error:
        # Usually the build with windows on a machine without libGL.
        hint = "pip install opencv-python-headless instead, or install the library that is named"
        if board:
            hint = "sudo apt-get install python3-opencv, in an environment made with --system-site-packages (docs/jetson.md)"
        return {
            "opencv": None, "opencv_reason": f"cv2 can't be imported ({error}); {hint}",
            "opencv_note": opencv_note(board=board), "backends": [], "gui": None,
            "opencv_gstreamer": False, "opencv_ffmpeg": False,
        }  # fmt: skip
    registry = cv2.videoio_registry
    # getBackends() lists plugin backends even if their library is missing.
    names = [registry.getBackendName(backend) for backend in registry.getBackends() if registry.hasBackend(backend)]
    build = parse_build_information(cv2.getBuildInformation())
    return {
        "opencv": str(cv2.__version__),
        "opencv_reason": "",
        "opencv_note": opencv_note(board=board),
        "backends": list(dict.fromkeys(names)),
        "gui": build["gui"],
        "opencv_gstreamer": build["gstreamer"] or "GSTREAMER" in names,
        "opencv_ffmpeg": build["ffmpeg"] or "FFMPEG" in names,
    }


def opencv_note(installed: Collection[str] | None = None, *, board: bool = False) -> str:
    """What to do where several packages of OpenCV are installed, or pip's on a Jetson; empty where nothing is to be done.

    Args:
        installed: Names of packages; None looks which of OpenCV's are installed.
        board: This machine is a Jetson, whose own OpenCV has GStreamer and no package that pip knows.
    """
    names = sorted(name for name in OPENCV if name in (packages(OPENCV) if installed is None else installed))
    if board and names:
        return (
            f"{' and '.join(names)} hides JetPack's OpenCV, which has GStreamer; pip uninstall -y {' '.join(names)}, and "
            "see docs/jetson.md for an environment that uses JetPack's"
        )
    if len(names) < 2:
        return ""
    keep = next(name for name in OPENCV if name in names)
    return (
        f"{' and '.join(names)} are installed into the same folder, and which one is imported is chance; keep one: "
        f"pip uninstall -y {' '.join(names)} && pip install {keep}"
    )


def parse_build_information(text: str) -> dict[str, Any]:
    """Parses ``cv2.getBuildInformation()``: ``gui`` (toolkit or None), ``gstreamer`` and ``ffmpeg`` (bool)."""

    def value(key: str) -> str:
        match = re.search(rf"^\s*{re.escape(key)}:[ \t]*(\S*)", text, re.MULTILINE)
        return match[1] if match else ""

    gui = value("GUI")
    if not gui or gui.upper() in ("NONE", "NO"):
        # Some builds leave the line empty and list the toolkits below it.
        gui = next((key for key in ("QT", "GTK+", "Win32 UI", "Cocoa") if value(key).upper() == "YES"), "")
    return {"gui": gui or None, "gstreamer": value("GStreamer") == "YES", "ffmpeg": value("FFMPEG") == "YES"}


def display() -> str | None:
    """The display on which a window would open, or None."""
    if not sys.platform.startswith("linux"):
        return "native"
    return os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or None


def tool_version(tool: str, flag: str) -> str | None:
    """Version that a tool prints; ``"unknown"`` if the tool prints none, None if it is not installed."""
    if shutil.which(tool) is None:
        return None
    match = re.search(r"version\s+(\S+)", run([tool, flag]) or "")
    return match[1] if match else "unknown"


def cameras(root: Path = ROOT) -> list[dict[str, Any]]:
    """Video devices by number: ``path``, ``name`` (from the driver), ``readable`` (this user may open the device)."""
    rows = []
    for device in sorted((root / "dev").glob("video[0-9]*"), key=lambda path: (len(path.name), path.name)):
        name = read(root / "sys/class/video4linux" / device.name / "name")
        rows.append({"path": f"/dev/{device.name}", "name": name, "readable": os.access(device, os.R_OK | os.W_OK)})
    return rows
