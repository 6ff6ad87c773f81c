"""Script that reads a camera with OpenCV, or a stream with PyAV or OpenCV, and writes every frame to a pipe.

A driver or network library may hang, or crash on a damaged stream. A thread can't be stopped then, but a process can be
killed. Therefore this process reads all live sources, and the runtime supervises it (``feed.py``, ``live.py``).

The script reads one line of JSON from standard input. It writes records to the file descriptor in its argument: HEADER,
then ``length`` bytes. It does not import seg_edge, so that it starts as fast as the reader's library loads.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

#: magic, kind, pixel format, matrix, 1 for full range, height, width, captured (``time.perf_counter``: one clock for all
#: processes of a machine), presentation time in seconds (NaN: unknown), number of damaged packets so far, length.
HEADER = struct.Struct("<4sBBBBIIddIQ")
MAGIC = b"SegF"
#: READY: the library is loaded, the connection begins. INFO: JSON with ``video`` and ``notes``. ENDED: the stream's own
#: end. REFUSED: as FAILED, and another attempt would fail in the same way.
OPENED, FRAME, FAILED, READY, INFO, ENDED, REFUSED = range(1, 8)
#: Pixel formats and matrices, as in ``frame/colours.py``; a record holds the index. Planes follow each other.
FORMATS = ("bgr", "nv12", "yuyv", "i420", "i422", "i444", "i010", "i210", "i410", "i012", "i212", "i412", "p010")
MATRICES = ("bt601", "bt709", "bt2020", "smpte240m", "fcc")
#: Camera formats that are not converted here, because the network's resize reads them: OpenCV's name → ours.
RAW = {"NV12": "nv12", "YUYV": "yuyv", "YUY2": "yuyv"}
#: ``VIDIOC_G_FMT`` and its ``struct v4l2_format`` (linux/videodev2.h): bytes, and where colorspace, encoding and
#: quantization of a video capture lie.
_G_FMT, _FORMAT_BYTES, _CAPTURE, _AT = 0xC0D05604, 208, 1, (32, 44, 48)
#: v4l2_ycbcr_encoding → matrix, and v4l2_colorspace → matrix where the encoding is "default".
_ENCODINGS = {1: "bt601", 2: "bt709", 3: "bt601", 4: "bt709", 5: "bt601", 6: "bt2020", 8: "smpte240m"}
_DEFAULTS = {2: "smpte240m", 3: "bt709", 10: "bt2020", 12: "bt709"}
_JPEG, _FULL_RANGE = 7, 1
#: Seconds from the parent's exit to the forced end of this process.
GRACE_S = 0.3
#: Consecutive decoding failures after which the connection counts as lost.
_MISSES = 30


def shape(pixel_format: str, height: int, width: int) -> tuple[int, ...]:
    """Shape of the array that a camera delivers for an image of ``height`` × ``width`` pixels."""
    if pixel_format == "nv12":
        return height * 3 // 2, width
    return height, width, 3 if pixel_format == "bgr" else 2


def send(
    fd: int,
    kind: int,
    body: Any,
    size_hw: tuple[int, int] = (0, 0),
    captured_s: float = 0.0,
    pixel_format: str = "bgr",
    time_s: float = float("nan"),
    corrupt: int = 0,
    matrix: str = "bt601",
    full_range: bool = False,
) -> None:
    """Writes one record. ``body`` is any C-contiguous buffer, or a list of them, and is not copied."""
    views = [memoryview(part).cast("B") for part in (body if isinstance(body, list) else [body])]
    codes = FORMATS.index(pixel_format), MATRICES.index(matrix), int(full_range)
    length = sum(map(len, views))
    parts = [memoryview(HEADER.pack(MAGIC, kind, *codes, *size_hw, captured_s, time_s, corrupt, length)), *views]
    while parts:
        written = os.writev(fd, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]


def grab(fd: int, config: dict[str, Any], leaving: threading.Event) -> None:
    """Opens the source that ``config`` describes (see ``GrabberFeed``) and sends frames until the source ends."""
    import cv2
    import numpy as np

    send(fd, READY, b"{}")
    backend = getattr(cv2, config["backend"])
    parameters = [number for name, value in config["parameters"].items() for number in (getattr(cv2, name), int(value))]
    capture = cv2.VideoCapture(config["address"], backend, parameters)
    if not capture.isOpened():
        send(fd, FAILED, b"can't be opened")
        return
    for name, value in config["properties"].items():
        capture.set(getattr(cv2, name), value)

    def positive(prop: int) -> float | None:
        value = capture.get(prop)
        return value if np.isfinite(value) and value > 0 else None

    code = int(positive(cv2.CAP_PROP_FOURCC) or 0)
    fourcc = "".join(chr(code >> shift & 0x7F) for shift in (0, 8, 16, 24)) if code else None
    size_hw = (int(positive(cv2.CAP_PROP_FRAME_HEIGHT) or 0), int(positive(cv2.CAP_PROP_FRAME_WIDTH) or 0))
    count = positive(cv2.CAP_PROP_FRAME_COUNT)
    about = {
        "fps": positive(cv2.CAP_PROP_FPS),
        "count": count,
        "live": count is None,
        "video": {
            "reader": f"OpenCV {getattr(cv2, '__version__', '')}",
            "decoder": None,
            "codec": fourcc,
            "pixel_format": None,
        },
        "size_wh": size_hw[::-1],
        "fourcc": fourcc,
    }
    send(fd, OPENED, json.dumps(about).encode())
    # Files and streams are always decoded to BGR. A camera's format is passed through if the kernels can read it.
    raw = RAW.get(fourcc or "") if config["raw"] else None
    if raw is not None and not capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        raw = None
    colours = camera_colours(f"/dev/video{config['address']}") if raw else ("bt601", False)
    image, misses = None, 0
    try:
        while not leaving.is_set():
            more, image = capture.read(image)  # reuses the memory of the last frame, which has been sent
            now = time.perf_counter()
            if more and raw is not None and not _is_raw(image, raw, size_hw):
                # The frame differs from the stated format, or has padded rows: let OpenCV convert it.
                raw, image = None, None
                capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
            elif more:
                misses = 0
                shown_hw = size_hw if raw else (image.shape[0], image.shape[1])
                send(fd, FRAME, image, shown_hw, now, raw or "bgr", matrix=colours[0], full_range=colours[1])
            elif not config["retry"] or (misses := misses + 1) > _MISSES:
                send(fd, FAILED, b"ended")
                return
    finally:
        capture.release()  # tells a server that the client leaves


def camera_colours(device: str) -> tuple[str, bool]:
    """Matrix of a camera's frames, and whether their range is full; BT.601, limited, where its driver can't be asked."""
    try:
        import fcntl

        file = os.open(device, os.O_RDWR | os.O_NONBLOCK)
        try:
            answer = bytearray(struct.pack("=I", _CAPTURE).ljust(_FORMAT_BYTES, b"\0"))
            fcntl.ioctl(file, _G_FMT, answer)
        finally:
            os.close(file)
    except (ImportError, OSError):
        return "bt601", False
    return stated_colours(bytes(answer))


def stated_colours(answer: bytes) -> tuple[str, bool]:
    """The same of a ``struct v4l2_format``, with the kernel's rules for what is "default"."""
    colorspace, encoding, quantization = (int.from_bytes(answer[at : at + 4], sys.byteorder) for at in _AT)
    matrix = _ENCODINGS.get(encoding) or _DEFAULTS.get(colorspace, "bt601")
    return matrix, quantization == _FULL_RANGE or (quantization == 0 and colorspace == _JPEG)


def _is_raw(image: Any, pixel_format: str, size_hw: tuple[int, int]) -> bool:
    """Whether an unconverted frame has the expected layout; OpenCV may add an axis of size 1."""
    even = size_hw[1] % 2 == 0 and (pixel_format == "yuyv" or size_hw[0] % 2 == 0)
    expected = shape(pixel_format, *size_hw)
    return even and image.dtype == "uint8" and image.shape in (expected, (*expected, 1))


def _watch_parent(leaving: threading.Event) -> None:
    sys.stdin.buffer.read()  # returns when the parent closes the pipe or exits
    leaving.set()
    time.sleep(GRACE_S)
    os._exit(0)


def _grabber(config: dict[str, Any]) -> Callable[[int, dict[str, Any], threading.Event], None]:
    if config["reader"] == "opencv":
        return grab
    # The folder libav as a package of its own, without importing the packages around it.
    from importlib.util import module_from_spec, spec_from_file_location

    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "libav")
    spec = spec_from_file_location("libav", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["libav"] = module
    spec.loader.exec_module(module)
    function: Callable[[int, dict[str, Any], threading.Event], None] = partial(import_module("libav.grab").grab, send)
    return function


def main() -> None:
    sys.path.pop(0)  # this folder, whose files would hide modules with the same names
    config = json.loads(sys.stdin.buffer.readline())
    leaving = threading.Event()
    threading.Thread(target=_watch_parent, args=(leaving,), daemon=True).start()
    try:
        _grabber(config)(int(sys.argv[1]), config, leaving)
    except BrokenPipeError:
        pass  # the parent has exited
    os._exit(0)  # the watcher thread blocks in a read, which would delay a normal exit


if __name__ == "__main__":
    main()
