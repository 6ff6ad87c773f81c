"""The grabber's loop with PyAV: opens a stream and sends its frames to the parent process."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import av
import numpy as np

from .network import SEGMENTED, Pace, options_for, segment_s
from .reader import CannotOpen, Reader, Unsupported

#: Kinds of records, as in ``grabber.py``.
OPENED, FRAME, FAILED, READY, INFO, ENDED, REFUSED = range(1, 8)


def grab(send: Callable[..., None], fd: int, config: dict[str, Any], leaving: threading.Event) -> None:
    """Opens ``config["address"]`` and sends its frames until it ends.

    Args:
        send: ``grabber.send``.
        fd: File descriptor of the pipe.
        config: ``address``, ``decoder``, ``weave``.
        leaving: The parent leaves.
    """
    send(fd, READY, b"{}")
    av.logging.set_level(None)
    address = config["address"]
    try:
        reader = _open(address, config)
    except CannotOpen as error:
        send(fd, REFUSED if error.final else FAILED, str(error).encode())
        return
    try:
        segmented = reader.name.split(",")[0] in SEGMENTED
        length_s = segment_s(address) if segmented and not reader.finite else 0.0
        about = {
            "fps": reader.fps,
            "count": reader.count if reader.finite else None,
            "stated": reader.stated,
            "live": not reader.finite,
            "size_wh": (0, 0),
            "fourcc": None,
            "segment_s": length_s,
            "video": reader.describe(),
        }
        send(fd, OPENED, json.dumps(about).encode())
        pace = Pace(length_s, leaving) if length_s else None
        try:
            _send_frames(send, fd, reader, pace, leaving)
        except (CannotOpen, Unsupported) as error:
            send(fd, REFUSED if isinstance(error, Unsupported) else FAILED, str(error).encode())
            return
    finally:
        reader.close()  # tells a server that the client leaves
    if leaving.is_set():
        return
    ended = reader.finite or (segmented and _has_ended(address, config))
    send(fd, ENDED if ended else FAILED, b"ended")


def _send_frames(send: Callable[..., None], fd: int, reader: Reader, pace: Pace | None, leaving: threading.Event) -> None:
    for image, time_s in reader:
        now = time.perf_counter()
        if reader.take_change():
            send(fd, INFO, json.dumps({"video": reader.describe(), "notes": reader.notes}).encode())
            reader.notes.clear()
        if pace is not None:
            pace.wait(time_s)
            now = time.perf_counter()
        if leaving.is_set():
            return
        body = image if image.flags.c_contiguous else np.ascontiguousarray(image)
        send(fd, FRAME, body, image.shape[:2], now, "bgr", time_s, reader.corrupt)


def _open(address: str, config: dict[str, Any]) -> Reader:
    settings: dict[str, Any] = {"decoder": config["decoder"], "weave": config["weave"], "live": True}
    options = options_for(address)
    try:
        return Reader(address, options=options, **settings)
    except CannotOpen as error:
        # Cameras whose parts are called "image/jpg" are not recognized: take the JPEG images out of the stream.
        if not address.lower().startswith("http") or "Invalid data" not in str(error):
            raise
        try:
            return Reader(address, options=options, container="mjpeg", **settings)
        except CannotOpen:
            raise error from None


def _has_ended(address: str, config: dict[str, Any]) -> bool:
    """Whether a playlist that was live has stated its end meanwhile."""
    try:
        again = _open(address, {**config, "decoder": "software"})
    except CannotOpen:
        return False
    try:
        return again.finite
    finally:
        again.close()
