"""The head-up display: statistics of the run, drawn into the overlay."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from ..areas.areas import Areas
    from .result import Result

#: Seconds between updates of the text; faster updates would be hard to read.
PERIOD_S = 0.5
#: Font scale for a frame of 720 rows, in OpenCV's unit (1 is about 22 pixels).
_SCALE_720 = 0.7
_LEAST_SCALE = 0.3


class Hud:
    """Draws two lines into the upper left corner, and a line for the areas of the frame and of each zone.

    Args:
        about: The constant part of the text: engine and device.
    """

    def __init__(self, about: str) -> None:
        self._about = about
        self._lines: tuple[str, ...] = (about,)
        self._since_s: float | None = None
        self._count = 0
        self._latency_ms = self._age_ms = 0.0

    def draw(self, result: Result, now_s: float, frames_in: int, dropped: int, reconnects: int) -> None:
        """Draws into ``result.overlay_bgr``, in place.

        Args:
            result: A result with an overlay, uint8 (H, W, 3), C-contiguous, writable.
            now_s: Current time (``time.perf_counter``).
            frames_in, dropped, reconnects: Totals so far.
        """
        assert result.overlay_bgr is not None
        if self._since_s is None:
            self._since_s = now_s
        else:
            self._count += 1
            self._latency_ms += result.latency_ms
            self._age_ms += 1e3 * (now_s - result.captured_s)
        elapsed_s = now_s - self._since_s
        if self._count and elapsed_s >= PERIOD_S:
            n = self._count
            first = f"{n / elapsed_s:.1f} FPS  latency {self._latency_ms / n:.1f} ms  age {self._age_ms / n:.0f} ms"
            second = f"dropped {dropped} of {frames_in}"
            if reconnects:
                second += f"  reconnects {reconnects}"
            self._lines = (first, f"{second}  {self._about}")
            self._since_s, self._count, self._latency_ms, self._age_ms = now_s, 0, 0.0, 0.0
        write_lines(result.overlay_bgr, (*self._lines, *area_lines(result.areas)))


def area_lines(areas: Areas | None) -> tuple[str, ...]:
    """For each zone, up to ten of them, the shares of its largest classes."""
    if areas is None:
        return ()
    lines = []
    for zone, shares in zip(areas.zones[:10], areas.shares, strict=False):
        largest = sorted(np.flatnonzero(shares), key=lambda number: -shares[number])[:3]
        lines.append(f"{zone}: " + (", ".join(f"{areas.classes[c]} {100 * shares[c]:.1f} %" for c in largest) or "nothing"))
    return tuple(lines)


def write_lines(frame_bgr: npt.NDArray[np.uint8], lines: tuple[str, ...]) -> None:
    """Draws white text with a dark edge, legible on any image, in place; smaller, and in more lines, on a narrow frame."""
    height, width = frame_bgr.shape[:2]
    scale = max(_SCALE_720 * height / 720, _LEAST_SCALE)
    widest = max((_span(line, scale) for line in lines), default=0)
    if widest > width:
        scale = max(scale * width / widest, _LEAST_SCALE)
        lines = tuple(part for line in lines for part in _broken(line, scale, width))
    for i, line in enumerate(lines):
        letters, edge, above = _letters(line, scale)
        top = max(round(32 * scale * (i + 1)) - above, 0)
        left = round(12 * scale)
        rows, columns = min(letters.shape[0], height - top), min(letters.shape[1], width - left)
        if rows <= 0 or columns <= 0:
            return
        part = frame_bgr[top : top + rows, left : left + columns]
        # White on the edge, the edge on the frame: the edge covers its letters entirely.
        cv2.multiply(part, cv2.merge([255 - edge[:rows, :columns]] * 3), part, 1 / 255)
        cv2.add(part, cv2.merge([letters[:rows, :columns]] * 3), part)


def _span(line: str, scale: float) -> int:
    """Columns that a line takes, its margin included."""
    return int(_letters(line, scale)[0].shape[1]) + round(12 * scale)


@lru_cache(64)
def _broken(line: str, scale: float, width: int) -> tuple[str, ...]:
    """A line in parts that fit into the width, broken between words; a word that doesn't fit stays whole."""
    parts: list[str] = []
    for word in line.split(" "):
        longer = f"{parts[-1]} {word}" if parts else word
        if parts and _span(longer, scale) <= width:
            parts[-1] = longer
        else:
            parts.append(word)
    return tuple(part.strip() for part in parts if part.strip())


@lru_cache(256)
def _letters(text: str, scale: float) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]:
    """Coverage of a text's letters and of their edge, and the rows above its base line.

    The edge is grown from the letters. OpenCV 5 draws thicker text wider, so that a thick text is no edge of a thin one.
    """
    thick, around = max(round(2 * scale), 1), max(round(3 * scale), 1)
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    above = high + around + thick
    letters = np.zeros((above + below + around + thick, wide + 2 * (around + thick)), np.uint8)
    cv2.putText(letters, text, (around + thick, above), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    return letters, np.asarray(cv2.dilate(letters, kernel), np.uint8), above
