"""What a user may say about a camera or stream beside its address."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.errors import InputError

_SIZE = re.compile(r"(\d{1,5})[xX×](\d{1,5})")


@dataclass(frozen=True)
class CameraOptions:
    """How a camera of this machine shall deliver. What it can't do it answers with the nearest that it can.

    Attributes:
        size_wh: Width and height in pixels; None is the camera's own.
        fps: Frames per second; None is the camera's own.
        pixel_format: Four letters as ``v4l2-ctl --list-formats`` prints them (``"MJPG"``, ``"YUYV"``); None: the camera's.

    Raises:
        InputError: a value that no camera can have.
    """

    size_wh: tuple[int, int] | None = None
    fps: float | None = None
    pixel_format: str | None = None

    def __post_init__(self) -> None:
        if self.size_wh is not None and min(self.size_wh) < 1:
            raise InputError(f"--camera-size: expected WIDTHxHEIGHT in pixels such as 1280x720, got {self.size_wh}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise InputError(f"--camera-fps: expected frames per second above 0, got {self.fps}")
        if self.pixel_format is not None and not re.fullmatch(r"[A-Z0-9]{3}[A-Z0-9 ]", self.pixel_format):
            raise InputError(
                f"--camera-format: expected four letters such as MJPG, YUYV or NV12, got {self.pixel_format!r}; "
                "v4l2-ctl --list-formats-ext prints a camera's"
            )

    @classmethod
    def parse(cls, size: str | None = None, fps: float | None = None, pixel_format: str | None = None) -> CameraOptions:
        """From what was typed: ``"1280x720"`` (width x height, as cameras state it), 30.0, ``"mjpg"``.

        Raises:
            InputError: see the class.
        """
        match = _SIZE.fullmatch(size.strip()) if size is not None else None
        if size is not None and match is None:
            raise InputError(f"--camera-size: expected WIDTHxHEIGHT in pixels such as 1280x720, got {size!r}")
        size_wh = (int(match[1]), int(match[2])) if match else None
        return cls(size_wh, fps, pixel_format.upper() if pixel_format else None)


@dataclass(frozen=True)
class LiveOptions:
    """How a live source is supervised, seconds.

    Attributes:
        stall_s: Without a frame for so long, the connection is given up and made anew.
        start_s: The first connection is tried for so long; infinity waits for ever.
        attempt_s: One attempt gets so long from its beginning to its first frame.
        longest_pause_s: Attempts follow each other after 0.25 s, then twice as long each time up to this, ± a quarter.

    Raises:
        InputError: a value that is not positive.
    """

    stall_s: float = 3.0
    start_s: float = 10.0
    attempt_s: float = 8.0
    longest_pause_s: float = 1.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InputError(f"{name}: expected seconds above 0, got {value}")
