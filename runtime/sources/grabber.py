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

#: magic, kind, height, width, captured (``time.perf_counter``: one clock for all processes of a machine), length.
HEADER = struct.Struct("<4sBxxxIIdQ")
MAGIC = b"SegF"
OPENED, FRAME, FAILED = 1, 2, 3
#: Seconds from the parent's leaving to the end of this process, whatever its driver does.
GRACE_S = 0.3
#: Frames that fail to decode one after the other until the connection counts as lost.
_MISSES = 30


def send(fd: int, kind: int, body: Any, size_hw: tuple[int, int] = (0, 0), captured_s: float = 0.0) -> None:
    """Writes one record. ``body`` is any C-contiguous buffer; it is not copied."""
    view = memoryview(body).cast("B")
    parts = [memoryview(HEADER.pack(MAGIC, kind, *size_hw, captured_s, len(view))), view]
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

    fourcc = int(positive(cv2.CAP_PROP_FOURCC) or 0)
    about = {
        "fps": positive(cv2.CAP_PROP_FPS),
        "count": positive(cv2.CAP_PROP_FRAME_COUNT),
        "size_wh": [int(positive(p) or 0) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)],
        "fourcc": "".join(chr(fourcc >> shift & 0x7F) for shift in (0, 8, 16, 24)) if fourcc else None,
    }
    send(fd, OPENED, json.dumps(about).encode())
    image, misses = None, 0
    try:
        while not leaving.is_set():
            more, image = capture.read(image)  # into the last frame's memory: it has been written
            now = time.perf_counter()
            if more:
                misses = 0
                send(fd, FRAME, image, (image.shape[0], image.shape[1]), now)
            elif not config["retry"] or (misses := misses + 1) > _MISSES:
                send(fd, FAILED, b"ended")
                return
    finally:
        capture.release()  # a server learns of our leaving


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
