"""Where a frame lies in a network's input: all over it (stretched), or in its middle, undistorted (letterboxed)."""

from __future__ import annotations

from typing import NamedTuple

from ...core.spec import ModelSpec


class Window(NamedTuple):
    """A rectangle of whole pixels in an image of ``of_height`` × ``of_width``."""

    top: int
    left: int
    height: int
    width: int
    of_height: int
    of_width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the rectangle, to index an image with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def letterbox(frame_hw: tuple[int, int], size_hw: tuple[int, int]) -> Window:
    """The largest window with a frame's aspect ratio, in the middle; sides are rounded to nearest and at least 1.

    >>> letterbox((720, 1280), (352, 480))
    Window(top=41, left=0, height=270, width=480, of_height=352, of_width=480)
    """
    (frame_h, frame_w), (height, width) = frame_hw, size_hw
    if height * frame_w <= width * frame_h:  # the height limits
        inner_h, inner_w = height, max(1, (2 * frame_w * height + frame_h) // (2 * frame_h))
    else:
        inner_h, inner_w = max(1, (2 * frame_h * width + frame_w) // (2 * frame_w)), width
    return Window((height - inner_h) // 2, (width - inner_w) // 2, inner_h, inner_w, height, width)


def frame_window(spec: ModelSpec, frame_hw: tuple[int, int]) -> Window | None:
    """Where a frame lies in the input of a model; None where it fills it."""
    if spec.resize != "letterbox":
        return None
    window = letterbox(frame_hw, spec.input_hw)
    return None if window[2:4] == window[4:] else window
