"""Results of frames, and the check of input frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.errors import UnknownNameError
from ..areas.areas import Areas
from . import kernels

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]
#: Output arrays for a mask and an overlay; None allocates one.
Outs = tuple["Mask | None", "Frame | None"]

#: Format → the expected layout, and the remedy for other arrays; both for errors.
_LAYOUTS = {
    "bgr": ("(H, W, 3), BGR", "use cv2.cvtColor for grey or BGRA frames"),
    "nv12": ("(3*H/2, W), NV12, H and W even", "pass pixel_format for frames of another format"),
    "yuyv": ("(H, W, 2), YUYV, W even", "pass pixel_format for frames of another format"),
}


class Painted(NamedTuple):
    """Mask, overlay, confidence and areas of one frame as :class:`Result` has them; None if not requested."""

    mask: Mask | None
    overlay_bgr: Frame | None
    confidence: Mask | None = None
    areas: Areas | None = None


@dataclass(frozen=True)
class Result:
    """Mask, overlay and areas of one frame.

    Attributes:
        frame: The input frame, uint8, in ``pixel_format``.
        mask: uint8 (H, W), one class number per pixel of the frame; None if not requested.
        overlay_bgr: uint8 (H, W, 3), the frame with the classes' colours blended in; None if not requested.
        stages_ms: Milliseconds of ``pre`` (frame to network input), ``engine``, and ``post`` (network output to mask
            and overlay). With several frames in flight also ``wait``, the time spent waiting for the previous frame.
        index: Number of the frame in its source, from 0.
        name: Name for output files.
        captured_s: Time at which the frame was in memory (``time.perf_counter``).
        origin: Number of the source if several are read together, else 0.
        pixel_format: See :func:`seg_edge.runtime.frame.kernels.resize`.
        time_s: Presentation time, in seconds from the start of the source; None if the source states none.
        confidence: uint8 (H, W), how sure the network is of each pixel's class, 0 to 255; None if the segmenter was opened
            without ``confidence``. It is that of the most probable class, also where ``min_confidence`` set another label.
        areas: Pixels of every class, in the frame and in its zones; None if not requested.
        computed: Whether the network computed this frame; False if the gate repeated the last mask.
    """

    frame: Frame
    mask: Mask | None
    overlay_bgr: Frame | None
    stages_ms: dict[str, float] = field(default_factory=dict)
    index: int = 0
    name: str = ""
    captured_s: float = 0.0
    origin: int = 0
    pixel_format: str = "bgr"
    time_s: float | None = None
    confidence: Mask | None = None
    areas: Areas | None = None
    computed: bool = True

    @cached_property
    def frame_bgr(self) -> Frame:
        """uint8 (H, W, 3): the frame itself if its format is BGR; otherwise converted on first access."""
        return self.frame if self.pixel_format == "bgr" else kernels.to_bgr(self.frame, self.pixel_format)

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the frame in memory to mask and overlay in memory."""
        return sum(self.stages_ms.values())


def check_frame(frame: Frame, pixel_format: str = "bgr") -> None:
    """Checks that the kernels support a frame. The messages are for callers of a Segmenter.

    Raises:
        UnknownNameError: the pixel format is unknown.
        TypeError: the frame is not a uint8 array.
        ValueError: the shape is wrong, or rows are not contiguous.
    """
    if pixel_format not in _LAYOUTS:
        raise UnknownNameError("pixel format", pixel_format, kernels.PIXEL_FORMATS)
    layout, remedy = _LAYOUTS[pixel_format]
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        got = frame.dtype if isinstance(frame, np.ndarray) else type(frame).__name__
        raise TypeError(f"Segmenter: frame must be a uint8 array {layout}, got {got}; pass frames as cameras deliver them")
    shape = frame.shape
    if pixel_format == "nv12":
        fits = frame.ndim == 2 and shape[0] % 3 == 0 and shape[1] % 2 == 0
        row: tuple[int, ...] = (1,)
    else:
        channels = 3 if pixel_format == "bgr" else 2
        fits = frame.ndim == 3 and shape[2] == channels and (channels == 3 or shape[1] % 2 == 0)
        row = (channels, 1)
    if not fits or not frame.size:
        raise ValueError(f"Segmenter: frame must be {layout}, got {shape}; {remedy}")
    if frame.strides[1:] != row:
        raise ValueError("Segmenter: frame must have contiguous rows, got a strided view; use np.ascontiguousarray(frame)")
