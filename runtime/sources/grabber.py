"""The program that holds a camera or stream: reads it with OpenCV, writes every frame to a pipe. Run as a script.

A driver or a network library that hangs, or crashes on a damaged stream, can't be stopped inside a process; a process can
always be killed. So everything live is read by this one, and the runtime supervises it (``feed.py``, ``live.py``).

It gets one line of JSON on standard input and writes records to the file descriptor that is its argument: HEADER, then
``length`` bytes. It imports nothing of seg_edge, so that it starts in the time that OpenCV takes.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from typing import Any

#: magic, kind, pixel format, height, width, captured (``time.perf_counter``: one clock for all processes of a machine),
#: length.
HEADER = struct.Struct("<4sBBxxIIdQ")
MAGIC = b"SegF"
OPENED, FRAME, FAILED = 1, 2, 3
#: Pixel formats, by their number in a record.
FORMATS = ("bgr", "nv12", "yuyv")
#: What a camera may deliver that needs no conversion here: OpenCV's name → ours. The network's resize reads it as it is.
RAW = {"NV12": "nv12", "YUYV": "yuyv", "YUY2": "yuyv"}
#: Seconds from the parent's leaving to the end of this process, whatever its driver does.
GRACE_S = 0.3
#: Frames that fail to decode one after the other until the connection counts as lost.
_MISSES = 30


def shape(pixel_format: str, height: int, width: int) -> tuple[int, ...]:
    """Shape of the array that holds an image."""
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
) -> None:
    """Writes one record. ``body`` is any C-contiguous buffer; it is not copied."""
    view = memoryview(body).cast("B")
    code = FORMATS.index(pixel_format)
    parts = [memoryview(HEADER.pack(MAGIC, kind, code, *size_hw, captured_s, len(view))), view]
    while parts:
        written = os.writev(fd, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]


def grab(fd: int, config: dict[str, Any], leaving: threading.Event) -> None:
    """Opens what ``config`` says (address, backend, parameters, properties) and sends frames until it ends."""
    import cv2
    import numpy as np

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
    about = {
        "fps": positive(cv2.CAP_PROP_FPS),
        "count": positive(cv2.CAP_PROP_FRAME_COUNT),
        "size_wh": size_hw[::-1],
        "fourcc": fourcc,
    }
    send(fd, OPENED, json.dumps(about).encode())
    # Files and streams are decoded to BGR anyway; a camera's own format is taken as it is, where we can read it.
    raw = RAW.get(fourcc or "") if config["raw"] else None
    if raw is not None and not capture.set(cv2.CAP_PROP_CONVERT_RGB, 0):
        raw = None
    image, misses = None, 0
    try:
        while not leaving.is_set():
            more, image = capture.read(image)  # into the last frame's memory: it has been written
            now = time.perf_counter()
            if more and raw is not None and not _is_raw(image, raw, size_hw):
                # Not what the driver said, or padded rows: OpenCV knows how to read it.
                raw, image = None, None
                capture.set(cv2.CAP_PROP_CONVERT_RGB, 1)
            elif more:
                misses = 0
                send(fd, FRAME, image, size_hw if raw else (image.shape[0], image.shape[1]), now, raw or "bgr")
            elif not config["retry"] or (misses := misses + 1) > _MISSES:
                send(fd, FAILED, b"ended")
                return
    finally:
        capture.release()  # a server learns of our leaving


def _is_raw(image: Any, pixel_format: str, size_hw: tuple[int, int]) -> bool:
    """Whether OpenCV's unconverted frame holds the image as it is read here; it may have an axis of one."""
    even = size_hw[1] % 2 == 0 and (pixel_format == "yuyv" or size_hw[0] % 2 == 0)
    expected = shape(pixel_format, *size_hw)
    return even and image.dtype == "uint8" and image.shape in (expected, (*expected, 1))


def _watch_parent(leaving: threading.Event) -> None:
    sys.stdin.buffer.read()  # until the parent closes it, or is gone
    leaving.set()
    time.sleep(GRACE_S)
    os._exit(0)


def main() -> None:
    sys.path.pop(0)  # this folder: its files would hide modules of the same names
    config = json.loads(sys.stdin.buffer.readline())
    leaving = threading.Event()
    threading.Thread(target=_watch_parent, args=(leaving,), daemon=True).start()
    try:
        grab(int(sys.argv[1]), config, leaving)
    except BrokenPipeError:
        pass  # the parent has left
    os._exit(0)  # the watcher sits in a read that would hold up the interpreter's end


if __name__ == "__main__":
    main()
