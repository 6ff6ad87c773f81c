"""The grabber's loop with PyAV: opens a stream and sends its frames to the parent process."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import av
import numpy as np

from .network import SEGMENTED, Pace, options_for, segment_s
from .reader import CannotOpen, Picture, Reader, Unsupported

#: Kinds of records, as in ``grabber.py``.
OPENED, FRAME, FAILED, READY, INFO, ENDED, REFUSED = range(1, 8)

#: Demuxers whose time stamps are invented.
_TIMELESS = ("mpjpeg", "mjpeg")


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
        reader, pictures = _started(address, config)
    except (CannotOpen, Unsupported) as error:
        final = isinstance(error, Unsupported) or error.final
        send(fd, REFUSED if final else FAILED, str(error).encode())
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
        pace = Pace(length_s, leaving.wait) if length_s else None
        try:
            _send_frames(send, fd, reader, pictures, pace, leaving)
        except (CannotOpen, Unsupported) as error:
            send(fd, REFUSED if isinstance(error, Unsupported) else FAILED, str(error).encode())
            return
    finally:
        reader.close()  # tells a server that the client leaves
    if leaving.is_set():
        return
    ended = reader.finite or (segmented and _has_ended(address))
    send(fd, ENDED if ended else FAILED, b"ended")


def _send_frames(
    send: Callable[..., None],
    fd: int,
    reader: Reader,
    pictures: Iterator[Picture],
    pace: Pace | None,
    leaving: threading.Event,
) -> None:
    for picture in pictures:
        now = time.perf_counter()
        if reader.take_change():
            send(fd, INFO, json.dumps({"video": reader.describe(), "notes": reader.notes}).encode())
            reader.notes.clear()
        if pace is not None:
            pace.wait(picture.time_s)
            now = time.perf_counter()
        if leaving.is_set():
            return
        parts = picture.image if isinstance(picture.image, tuple) else (picture.image,)
        body = [part if part.flags.c_contiguous else np.ascontiguousarray(part) for part in parts]
        # Motion JPEG has no times: its demuxer counts frames, at an assumed rate.
        stamp = math.nan if reader.name in _TIMELESS and not reader.finite else picture.time_s
        colours = picture.matrix, picture.full_range
        send(fd, FRAME, body, parts[0].shape[:2], now, picture.pixel_format, stamp, reader.corrupt, *colours)


def _started(address: str, config: dict[str, Any]) -> tuple[Reader, Iterator[Picture]]:
    """An open stream and its pictures, the first of which is there already.

    Raises:
        CannotOpen: there is no stream, or nothing in it can be decoded.
        Unsupported: its colours can't be converted.
    """
    settings: dict[str, Any] = {"decoder": config["decoder"], "weave": config["weave"], "live": True}
    try:
        return _first(Reader(address, options=options_for(address), **settings))
    except CannotOpen as error:
        # Cameras whose parts are called "image/jpg" are not recognized: take the JPEG images out of the stream.
        if not address.lower().startswith("http") or not error.invalid:
            raise
        try:
            return _first(Reader(address, options=options_for(address), container="mjpeg", **settings))
        except CannotOpen:
            raise error from None


def _first(reader: Reader) -> tuple[Reader, Iterator[Picture]]:
    try:
        pictures = iter(reader)
        first = next(pictures, None)
        if first is None:
            raise CannotOpen("nothing in it can be decoded", invalid=True)
    except BaseException:
        reader.close()
        raise
    return reader, chain([first], pictures)


def _has_ended(address: str) -> bool:
    """Whether a playlist that was live has stated its end meanwhile."""
    try:
        again = Reader(address, options=options_for(address))
    except CannotOpen:
        return False
    try:
        return again.finite
    finally:
        again.close()
