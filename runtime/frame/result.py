"""Results of frames, and the check of input frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError, UnknownNameError
from ...core.options import check_name
from ..areas.areas import Areas
from . import kernels
from .colours import BT601, Colours, Image, plane_shapes, sample_type

if TYPE_CHECKING:
    from ..instances.components import Components

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
_OTHER = "pass pixel_format for frames of another format"


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
        frame: The input frame in ``pixel_format``, an array or a tuple of planes; :attr:`frame_bgr` is always an array.
        mask: uint8 (H, W), one class number per pixel of the frame; None if not requested.
        overlay_bgr: uint8 (H, W, 3), the frame with the classes' colours blended in; None if not requested.
        stages_ms: Milliseconds of ``pre`` (frame to network input), ``engine``, and ``post`` (network output to mask
            and overlay). With several frames in flight also ``wait``, the time spent waiting for the previous frame.
        index: Number of the frame in its source, from 0.
        name: Name for output files.
        captured_s: Time at which the frame was in memory (``time.perf_counter``).
        origin: Number of the source if several are read together, else 0.
        pixel_format, colours: See :func:`seg_edge.runtime.frame.kernels.resize`.
        time_s: Presentation time, in seconds from the start of the source; None if the source states none.
        confidence: uint8 (H, W), how sure the network is of each pixel's class, 0 to 255; None if the segmenter was opened
            without ``confidence``. It is that of the most probable class, also where ``min_confidence`` set another label.
        areas: Pixels of every class, in the frame and in its zones; None if not requested.
        computed: Whether the network computed this frame; False if the gate repeated the last mask.
        classes: Names of the classes.
    """

    frame: Image
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
    colours: Colours = BT601
    classes: tuple[str, ...] = ()

    @cached_property
    def frame_bgr(self) -> Frame:
        """uint8 (H, W, 3): the frame itself if its format is BGR; otherwise converted on first access."""
        return bgr_of(self.frame, self.pixel_format, self.colours)

    def components(self, name: str, *, min_area: int = 1, connectivity: int = 8) -> Components:
        """The connected parts of a class, the largest first, with areas, boxes and centroids.

        Args:
            name: The class.
            min_area, connectivity: See :func:`seg_edge.runtime.instances.components.components`.

        Raises:
            UnknownNameError: there is no such class.
            InputError: the result has no mask; another ``connectivity`` than 4 or 8.
        """
        from ..instances.components import components

        check_name("class", name, self.classes)
        if self.mask is None:
            raise InputError("Result.components: this result has no mask; ask for it with `mask=True`")
        number = self.classes.index(name)
        return components(self.mask, number, name, min_area=min_area, connectivity=connectivity)

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the frame in memory to mask and overlay in memory."""
        return sum(self.stages_ms.values())


def bgr_of(image: Image, pixel_format: str, colours: Colours) -> Frame:
    """uint8 (H, W, 3): the image itself if its format is BGR, else converted."""
    if pixel_format == "bgr" and not isinstance(image, tuple):
        return image
    return kernels.to_bgr(image, pixel_format, colours=colours)


def check_frame(frame: Image, pixel_format: str = "bgr") -> None:
    """Checks that the kernels support a frame. The messages are for callers of a Segmenter.

    Raises:
        UnknownNameError: the pixel format is unknown.
        TypeError: the frame is not a uint8 array, or not a tuple of planes.
        ValueError: the shape is wrong, or rows are not contiguous.
    """
    if pixel_format not in kernels.PIXEL_FORMATS:
        raise UnknownNameError("pixel format", pixel_format, kernels.PIXEL_FORMATS)
    if pixel_format not in _LAYOUTS or (pixel_format == "nv12" and isinstance(frame, tuple)):
        _check_planes(frame, pixel_format)
        return
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


def _check_planes(planes: Image, pixel_format: str) -> None:
    name, dtype = pixel_format.upper(), np.dtype(sample_type(pixel_format))
    if not isinstance(planes, tuple) or not all(isinstance(plane, np.ndarray) and plane.dtype == dtype for plane in planes):
        got = [str(getattr(plane, "dtype", type(plane).__name__)) for plane in planes] if isinstance(planes, tuple) else None
        raise TypeError(
            f"Segmenter: frame must be a tuple of {dtype} planes, {name}, got {got or type(planes).__name__}; {_OTHER}"
        )
    shapes = [plane.shape for plane in planes]
    expected = plane_shapes(pixel_format, *shapes[0]) if shapes and len(shapes[0]) == 2 and 0 not in shapes[0] else None
    if shapes != expected:
        raise ValueError(
            f"Segmenter: frame must be planes of {expected or '(H, W) and their chroma'}, {name}, got {shapes}; {_OTHER}"
        )
    if any(plane.strides[1] != dtype.itemsize for plane in planes):
        raise ValueError("Segmenter: planes must have contiguous rows, got a strided view; use np.ascontiguousarray(plane)")
