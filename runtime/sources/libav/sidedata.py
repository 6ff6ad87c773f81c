"""What lies beside a frame's samples: its display matrix."""

from __future__ import annotations

from typing import Any

from av.sidedata import sidedata


def display_matrix(frame: Any) -> bytes | None:
    """The display matrix of a decoded frame, nine int32; None if it has none.

    ``frame.side_data`` is not used: it would keep the frame in a cycle of references, so that frames stay in memory until
    Python's collector runs (a hundred and more), and the decoder takes new memory for each.
    """
    data = sidedata.SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    return None if data is None else bytes(data)


def _unknown(cls: type[Any], value: int) -> Any:
    """A member for a kind of data that FFmpeg has and PyAV doesn't know."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member


# PyAV 18.1 names 28 kinds, FFmpeg 8.1 has more. Without this, a JPEG image with EXIF data ends the reading by a ValueError.
sidedata.Type._missing_ = classmethod(_unknown)  # type: ignore[method-assign, assignment]
