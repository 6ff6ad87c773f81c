"""Hardware decoders: a device of FFmpeg (CUDA, VAAPI) or a decoder of its own (V4L2 M2M)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel, hwdevices_available

#: Decoders with a device of FFmpeg: frames are decoded there and copied back.
DEVICES = ("cuda", "vaapi")
#: Names of hardware decoders that PyAV can use.
DECODERS = (*DEVICES, "v4l2m2m")


def state(decoder: str) -> str | None:
    """Why a hardware decoder can't be used here; None if it can be tried."""
    if decoder == "v4l2m2m":
        if "h264_v4l2m2m" not in av.codecs_available:
            return "this PyAV was built without it"
        return None if any(Path("/dev").glob("video1[0-9]")) else "there is no memory-to-memory device (/dev/video10 …)"
    if decoder not in hwdevices_available():
        return "this PyAV was built without it"
    if decoder == "vaapi":
        return None if any(Path("/dev/dri").glob("renderD*")) else "there is no /dev/dri/renderD*"
    return None if os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/nvhost-gpu") else "there is no NVIDIA GPU"


def accelerate(decoder: str) -> tuple[Any | None, str | None]:
    """The device for opening a video, and a note if there is none: the decoder falls back to software."""
    if decoder not in DEVICES:
        return None, None
    why_not = state(decoder)
    if why_not:
        return None, f"no {decoder} decoder: {why_not}; decoding in software"
    return HWAccel(decoder, allow_software_fallback=True), None


def v4l2m2m(context: Any) -> tuple[Any | None, str | None]:
    """A V4L2 M2M decoder for the stream of ``context``; None and a note if there is none."""
    name = f"{context.codec.canonical_name if hasattr(context.codec, 'canonical_name') else context.name}_v4l2m2m"
    why_not = state("v4l2m2m") or (None if name in av.codecs_available else f"there is no {name}")
    if why_not is None:
        try:
            made = av.CodecContext.create(name, "r")
            made.extradata = context.extradata
            made.open()
        except (av.FFmpegError, ValueError, OSError) as error:
            why_not = f"{name} does not start ({getattr(error, 'strerror', None) or error})"
        else:
            return made, None
    return None, f"no v4l2m2m decoder: {why_not}; decoding in software"
