"""Reports which features of seg-edge work on this machine, and why others don't. Needs the base install only."""

from __future__ import annotations

import platform
from importlib import import_module
from pathlib import Path
from typing import Any

from .engines.opening import engines
from .machine.disagreements import DISAGREEING, affecting
from .machine.gpu import MODULES, cuda, gpus, module_state, torch_build
from .machine.gstreamer import TOOLS_PACKAGE
from .machine.system import ROOT, machine, packages
from .machine.video import video


def doctor(root: Path = ROOT) -> dict[str, Any]:
    """The report that ``doctor --json`` writes.

    Args:
        root: Folder that contains ``proc``, ``sys``, ``etc`` and ``dev``.

    Returns:
        machine, python, isa, isas, isa_reason, engines, video, gpu, cuda, modules, torch, disagreements (installed package →
        names of rows of ``docs/disagreements.md``), abilities.
    """
    report: dict[str, Any] = {
        "machine": machine(root),
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "packages": packages(),
        },
        **kernel_sets(),
        "engines": [
            {"name": row.name, "available": row.available, "reason": row.reason, "version": row.version} for row in engines()
        ],
        "video": video(root),
        "gpu": gpus(root),
        "cuda": cuda(root),
        "modules": [module_state(name) for name in MODULES],
        "torch": torch_build(),
        "disagreements": affecting(packages(DISAGREEING)),
    }
    return report | {"abilities": abilities(report)}


def kernel_sets() -> dict[str, Any]:
    """``isa``: instruction set of the kernels; ``isas``: sets that this CPU supports; ``isa_reason``: load error."""
    try:
        kernels: Any = import_module(".frame.kernels", __package__)
    except Exception as error:  # an extension built for another machine may raise anything; SEG_EDGE_ISA may be invalid
        text = " ".join(str(error).split())
        return {
            "isa": None,
            "isas": [],
            "isa_reason": f"the C kernels don't load ({text}); install seg-edge again on this machine",
        }
    return {"isa": kernels.isa(), "isas": list(kernels.available_isas()), "isa_reason": ""}


def abilities(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The user-level features, in order: ``name``, ``available``, ``text`` (how it works, or the reason and remedy)."""
    seen, installed = report["video"], report["python"]["packages"]
    engine = next((row for row in report["engines"] if row["available"]), None)
    no_opencv = seen["opencv_reason"]
    window = seen["gui"] and seen["display"]
    if seen["gui"]:
        no_window = "no display (DISPLAY and WAYLAND_DISPLAY are not set); write to a file instead"
    else:
        no_window = (
            no_opencv or "OpenCV was built without windows (headless); pip install opencv-python, or write to a file instead"
        )
    usable = [camera["path"] for camera in seen["cameras"] if camera["readable"]]
    if seen["cameras"] and not usable:
        no_camera = f"{seen['cameras'][0]['path']} is there, but this user may not open it; add the user to the group video"
    else:
        no_camera = "no /dev/video* here"
    return [
        _ability("train", _missing(installed, ("torch", "torchvision", "lightning"), "train"), _torch_text(report)),
        _ability("export", _missing(installed, ("torch", "onnx", "onnxsim"), "export"), f"onnx {installed.get('onnx')}"),
        _ability(
            "run a model",
            report["isa_reason"] or no_opencv or (None if engine else "no engine is available; see engines"),
            f"{engine['name']} {engine['version']}, kernels {report['isa']}" if engine else "",
        ),
        _ability(
            "read and write video files",
            no_opencv
            or (None if seen["pyav"] or seen["opencv_ffmpeg"] else f"{seen['pyav_reason']}, if it is built for it"),
            _video_text(seen),
        ),
        _ability(
            "recordings that survive a kill",
            None if seen["pyav"] or seen["ffmpeg"] else "needs PyAV (pip install av); OpenCV records only for a clean end",
            _video_text(seen) if seen["pyav"] else f"ffmpeg {seen['ffmpeg']}",
        ),
        _ability(
            "RTSP and RTMP push",
            None if seen["ffmpeg"] else "ffmpeg is not installed (Debian: apt-get install ffmpeg)",
            f"ffmpeg {seen['ffmpeg']}",
        ),
        _ability(
            "hardware video decoding",
            None if any(row["available"] for row in seen["decoders"]) else _no_decoder(seen),
            ", ".join(row["name"] for row in seen["decoders"] if row["available"]),
        ),
        _ability(
            "csi:// and gst:// sources",
            no_gstreamer(seen),
            f"gst-launch-1.0 {seen['gst_launch']}",
        ),
        _ability("cameras", no_opencv or (None if usable else no_camera), ", ".join(usable)),
        _ability("show a window", None if window else no_window, f"{seen['gui']} on {seen['display']}"),
    ]


def _video_text(seen: dict[str, Any]) -> str:
    if not seen["pyav"]:
        return "OpenCV with FFmpeg; variable rates and interlaced video need PyAV (pip install av)"
    return f"PyAV {seen['pyav']}" + (f" with FFmpeg {seen['pyav_ffmpeg']}" if seen["pyav_ffmpeg"] else "")


def _no_decoder(seen: dict[str, Any]) -> str:
    if not seen["pyav"]:
        return "needs PyAV: pip install av"
    return "; ".join(f"{row['name']}: {row['reason']}" for row in seen["decoders"])


def no_gstreamer(seen: dict[str, Any]) -> str | None:
    """Why ``gst://`` and ``csi://`` sources can't be read, and the packages to install; None if they can be read."""
    if not seen["gst_launch"]:
        return f"gst-launch-1.0 is not installed (Debian: apt-get install {TOOLS_PACKAGE})"
    missing = seen["gst_missing"]
    if not missing:
        return None
    elements = ", ".join(row["element"] for row in missing)
    packages = " ".join(dict.fromkeys(row["package"] for row in missing))
    return f"GStreamer elements are missing: {elements} (Debian: apt-get install {packages})"


def _ability(name: str, why_not: str | None, how: str) -> dict[str, Any]:
    return {"name": name, "available": not why_not, "text": why_not or how}


def _missing(installed: dict[str, str], needed: tuple[str, ...], extra: str) -> str | None:
    absent = [name for name in needed if name not in installed]
    return f"not installed: {', '.join(absent)}; pip install 'seg-edge[{extra}]'" if absent else None


def _torch_text(report: dict[str, Any]) -> str:
    torch = report["torch"] or {"version": None, "cuda": None}
    on = f"CUDA {torch['cuda']} build" if torch["cuda"] else "CPU build"
    return (
        f"torch {torch['version']}, {on}, {'on the GPU' if torch['cuda'] and report['cuda']['available'] else 'on the CPU'}"
    )
