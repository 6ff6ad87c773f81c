"""Position of a frame in the network's input: it fills the input (stretched), or lies in the middle (letterboxed)."""

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
        """Row and column slices of the rectangle, for indexing an image."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


def letterbox(frame_hw: tuple[int, int], size_hw: tuple[int, int]) -> Window:
    """The largest centred window with a frame's aspect ratio; sides are rounded to the nearest integer, at least 1.

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
    """The window of a frame in the input of a model; None if the frame fills the input."""
    if spec.resize != "letterbox":
        return None
    window = letterbox(frame_hw, spec.input_hw)
    return None if window[2:4] == window[4:] else window
