"""C kernels for pre- and post-processing: resize frames, convert logits to masks, overlays or confidence, blend masks.

Arrays are never converted or copied. A wrong dtype raises TypeError; a wrong shape, layout or overlap raises
ValueError. The message names the function, the argument, the rule, the received value and the remedy. The rows of a
frame may lie apart (a crop of a larger frame); all other arrays are C-contiguous. Functions return ``out``; pass the
array of the last call to save an allocation. Sides may be 1 to 16384. Every function releases the GIL.

The fastest instruction set of the CPU is chosen at import; ``SEG_EDGE_ISA`` forces one, e.g. ``SEG_EDGE_ISA=scalar``.
All instruction sets return the same bytes, for any number of threads.

``threads`` is the number of threads that share a call, 1 to 64. None is the number from :func:`set_threads`, else from
the environment variable ``SEG_EDGE_THREADS``, else the number of usable cores, at most 4 (the work is memory-bound).
Small images use one thread. The threads belong to the process, start on first use, and sleep between calls. After a
fork, the child starts new threads.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError, UnknownNameError
from ...core.spec import RESIZE_RULES
from .colours import BT601, MATRICES, PIXEL_FORMATS, Colours, Image, frame_hw
from .fit import Window, letterbox

try:
    from .._kernels import available_isas, isa, threads
    from .._kernels import blend as _blend
    from .._kernels import coco_rle as _coco_rle
    from .._kernels import confidence as _confidence
    from .._kernels import resize as _resize
    from .._kernels import set_threads as _set_threads
    from .._kernels import upsample_argmax as _upsample_argmax
    from .._kernels import upsample_overlay as _upsample_overlay
except ImportError as error:
    if "SEG_EDGE_ISA" not in str(error):
        raise
    raise InputError(str(error)) from error

__all__ = [
    "LETTERBOX_GREY",
    "MATRICES",
    "MAX_THREADS",
    "PIXEL_FORMATS",
    "Colours",
    "Image",
    "available_isas",
    "blend",
    "coco_rle",
    "confidence",
    "frame_hw",
    "isa",
    "resize",
    "set_threads",
    "threads",
    "to_bgr",
    "upsample_argmax",
    "upsample_overlay",
]

U8 = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.uint64]
Logits = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8] | npt.NDArray[np.uint8]
#: One opacity for all classes, or one per class.
Alpha = float | Sequence[float] | npt.NDArray[np.floating[Any]]

#: Grey level around a letterboxed frame: the usual choice (as in YOLO), near the mean of natural images.
LETTERBOX_GREY = 114

_MAX_SIDE = 16384  # SE_MAX_SIDE in segedge.h
MAX_THREADS = 64  # SEMAX_THREADS


def _check_environment() -> None:
    text = os.environ.get("SEG_EDGE_THREADS")
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_THREADS):
        raise InputError(f"SEG_EDGE_THREADS: expected a number of threads, 1 to {MAX_THREADS}, got {text!r}; unset it")


_check_environment()


def set_threads(count: int | None) -> None:
    """Sets the default number of threads per call; None restores the initial default.

    Raises:
        ValueError: the number is not 1 to 64.
    """
    if count is not None and not 1 <= count <= MAX_THREADS:
        raise ValueError(f"set_threads: expected 1 to {MAX_THREADS}, or None for the default, got {count}")
    _set_threads(count or 0)


def resize(
    frame: Image,
    size_hw: tuple[int, int],
    rule: str = "area",
    out: U8 | None = None,
    *,
    pixel_format: str = "bgr",
    colours: Colours = BT601,
    threads: int | None = None,
) -> U8:
    """Resizes a frame to a network's input size, and converts it to BGR.

    Args:
        frame: Each row contiguous; uint8 ``"bgr"`` (H, W, 3) and ``"yuyv"`` (H, W, 2), W even; all others are a tuple of
            planes: y (H, W), u and v, which are half as high and half as wide with ``"i420"`` (rounded up), half as wide
            with ``"i422"``, as large with ``"i444"``. ``"nv12"`` has y and a plane of u v; or all in one array (3*H/2, W),
            H and W even. Of 16-bit words with 10 bits: ``"i010"``, ``"i210"``, ``"i410"``, with 12: ``"i012"``,
            ``"i212"``, ``"i412"``; ``"p010"`` is as NV12, with 10 bits in the upper ones.
        size_hw: Height h and width w of the result, pixels.
        rule: ``"area"`` averages the box that an output pixel covers; if a side grows, it is the same as
            ``"bilinear"``. ``"bilinear"`` interpolates between pixel centres, with clamped edges. Both stretch the
            frame, and are within 1 grey level of exact arithmetic. ``"letterbox"`` is ``"area"`` with the aspect ratio
            kept, in the middle of a grey (114) image; see :func:`seg_edge.runtime.frame.fit.letterbox` for the
            position.
        out: uint8, (h, w, 3), rows contiguous, no overlap with the frame; allocated if None.
        pixel_format: Pixel format of the frame, one of :data:`PIXEL_FORMATS`.
        colours: Matrix and range of formats other than BGR. Each pixel is converted first, within 1 grey level of exact
            arithmetic (0.55, in fact); all pixels that share a chroma sample use its value. The result is that of the
            converted frame, bit by bit.
        threads: See the module.

    Returns:
        uint8, (h, w, 3).

    Raises:
        UnknownNameError: the rule or the format is unknown.
        TypeError, ValueError: an array or size is invalid.
    """
    if rule not in RESIZE_RULES:
        raise UnknownNameError("resize rule", rule, RESIZE_RULES)
    if pixel_format not in PIXEL_FORMATS:
        raise UnknownNameError("pixel format", pixel_format, PIXEL_FORMATS)
    out = _output("resize", out, (*_size("resize", size_hw), 3))
    inner = out
    if rule == "letterbox":
        shape = np.shape(frame[0] if isinstance(frame, tuple) and frame else frame)
        if len(shape) < 2 or not min(shape[:2]):
            raise ValueError(f"resize: frame must be (H, W, …) with H, W ≥ 1, got {shape}; pass a frame")
        window = letterbox(frame_hw(frame, pixel_format), out.shape[:2])
        inner = out[window.slices]
        rows, columns = window.slices
        for border in (out[: rows.start], out[rows.stop :], out[rows, : columns.start], out[rows, columns.stop :]):
            border[...] = LETTERBOX_GREY
    about = pixel_format, colours.matrix, colours.full_range
    _resize(frame, inner, "area" if rule == "letterbox" else rule, None, _threads("resize", threads), *about)
    return out


def to_bgr(
    frame: Image, pixel_format: str, out: U8 | None = None, *, colours: Colours = BT601, threads: int | None = None
) -> U8:
    """Converts a frame to BGR, uint8 (H, W, 3), at its own size. Formats and errors as in :func:`resize`."""
    size_hw = frame_hw(frame, pixel_format)
    return resize(frame, size_hw, "bilinear", out, pixel_format=pixel_format, colours=colours, threads=threads)


def upsample_argmax(
    logits_chw: Logits,
    size_hw: tuple[int, int],
    out: U8 | None = None,
    *,
    window: Window | None = None,
    threads: int | None = None,
    counts: Counts | None = None,
    regions: object | None = None,
) -> U8:
    """The class with the highest logit per pixel after bilinear upsampling (pixel centres, clamped edges).

    Args:
        logits_chw: float32 or float16, or the int8 or uint8 codes of a quantized tensor, (C, h, w), C-contiguous,
            1 ≤ C ≤ 256. Codes need neither scale nor zero point: with one of each per tensor and a scale > 0, they
            don't change which class is highest.
        size_hw: Height H and width W of the mask, pixels; may be smaller than the logits.
        out: uint8, (H, W), C-contiguous; allocated if None.
        window: Position of the image in the network's input; None if it fills the input. The logits cover the whole
            input.
        threads: See the module.
        counts, regions: See :func:`.counting.count_mask`.

    Returns:
        uint8, (H, W): class numbers. Ties go to the lowest class; NaN counts as minus infinity.

    Raises:
        TypeError, ValueError: an array or size is invalid.
    """
    out = _output("upsample_argmax", out, _size("upsample_argmax", size_hw))
    _upsample_argmax(logits_chw, out, None, _threads("upsample_argmax", threads), window, counts, regions)
    return out


def upsample_overlay(
    logits_chw: Logits,
    frame: Image,
    palette_bgr: U8,
    alpha: Alpha = 0.5,
    out: U8 | None = None,
    mask_out: U8 | None = None,
    *,
    line_palette_bgr: U8 | None = None,
    line_alpha: Alpha = 1.0,
    window: Window | None = None,
    pixel_format: str = "bgr",
    colours: Colours = BT601,
    threads: int | None = None,
    counts: Counts | None = None,
    regions: object | None = None,
) -> U8:
    """Paints the classes of a network's logits over the frame, in one pass.

    Args:
        logits_chw, window: As in :func:`upsample_argmax`.
        frame, pixel_format, colours: As in :func:`resize`; frames that are no BGR are converted row by row, into ``out``.
        palette_bgr: uint8, (C, 3), C-contiguous.
        alpha: Opacity of the colours, 0 to 1, rounded to 1/256: one value, or one per class. 0 leaves a class
            uncoloured.
        out: uint8, (H, W, 3), each row contiguous: the BGR frame itself (painted in place) or an array that does not
            overlap it; allocated if None.
        mask_out: uint8, (H, W), C-contiguous: receives the mask that :func:`upsample_argmax` returns; None if not
            needed.
        line_palette_bgr: Colours of contours, uint8, (C, 3), C-contiguous; None draws no contours. A pixel with a
            4-neighbour of another class gets the contour colour of its own class and ``line_alpha``. Thus a border is
            two pixels wide, one on each side.
        line_alpha: As ``alpha``, for the contours.
        threads: See the module.
        counts, regions: See :func:`.counting.count_mask`.

    Returns:
        uint8, (H, W, 3): ``(frame * (256 - a) + colour * a + 128) >> 8`` with ``a = round(256 * alpha)``.

    Raises:
        TypeError, ValueError: an array or alpha is invalid.
    """
    out = _output("upsample_overlay", out, _overlay_shape(frame, pixel_format))
    style = (_threads("upsample_overlay", threads), line_palette_bgr, _alpha("upsample_overlay", "line_alpha", line_alpha))
    fixed = _alpha("upsample_overlay", "alpha", alpha)
    about = pixel_format, colours.matrix, colours.full_range
    _upsample_overlay(logits_chw, frame, palette_bgr, fixed, out, mask_out, None, *style, window, counts, regions, *about)
    return out


def blend(
    mask: U8,
    frame: Image,
    palette_bgr: U8,
    alpha: Alpha = 0.5,
    out: U8 | None = None,
    *,
    line_palette_bgr: U8 | None = None,
    line_alpha: Alpha = 1.0,
    pixel_format: str = "bgr",
    colours: Colours = BT601,
    threads: int | None = None,
    counts: Counts | None = None,
    regions: object | None = None,
) -> U8:
    """Paints a mask over a frame; pixels whose value has no colour (void) stay unchanged.

    Args:
        mask: uint8, (H, W), C-contiguous.
        frame, pixel_format, colours: As in :func:`upsample_overlay`.
        palette_bgr: uint8, (C, 3), C-contiguous, 1 ≤ C ≤ 256.
        alpha, out, line_palette_bgr, line_alpha, threads: As in :func:`upsample_overlay`.
        counts, regions: See :func:`.counting.count_mask`.

    Returns:
        uint8, (H, W, 3), computed as in :func:`upsample_overlay`.

    Raises:
        TypeError, ValueError: an array or alpha is invalid.
    """
    out = _output("blend", out, _overlay_shape(frame, pixel_format))
    style = (_threads("blend", threads), line_palette_bgr, _alpha("blend", "line_alpha", line_alpha))
    about = pixel_format, colours.matrix, colours.full_range
    _blend(mask, frame, palette_bgr, _alpha("blend", "alpha", alpha), out, None, *style, counts, regions, *about)
    return out


def confidence(
    logits_chw: Logits,
    size_hw: tuple[int, int],
    measure: str = "probability",
    out: U8 | None = None,
    *,
    scale: float = 1.0,
    mask: U8 | None = None,
    threshold: int = 0,
    below: int = 255,
    window: Window | None = None,
    threads: int | None = None,
) -> U8:
    """How sure a network is of each pixel's class, as a grey level: 0 not at all, 255 entirely.

    >>> confidence(np.array([[[0]], [[np.log(3)]]], np.float32), (1, 1)) / 255  # 1 to 3
    array([[0.74901961]])

    Args:
        logits_chw, size_hw, out, window, threads: As in :func:`upsample_argmax`.
        measure: ``"probability"``: the softmax of the class with the highest logit. ``"margin"``: that minus the softmax
            of the second class.
        scale: Scale of the codes where the logits are int8 or uint8; 1 for floats.
        mask: uint8, (H, W), C-contiguous; its pixels get the label ``below`` where the grey level is below ``threshold``.
        threshold: 0 to 255; 0 is nowhere.
        below: 0 to 255.

    Returns:
        uint8, (H, W): 255 times the measure of the interpolated logits, within 1 of exact arithmetic.

    Raises:
        TypeError, ValueError: an array, size, measure or number is invalid.
    """
    out = _output("confidence", out, _size("confidence", size_hw))
    count = _threads("confidence", threads)
    _confidence(logits_chw, out, measure, scale, mask, threshold, below, None, count, window)
    return out


def coco_rle(mask: U8) -> dict[int, str]:
    """The run lengths of every value of a mask in COCO's compressed text, as ``pycocotools.mask.encode`` gives ``counts``.

    Two sweeps over the mask in all, however many values it has.

    >>> coco_rle(np.array([[0, 1], [0, 1]], np.uint8))
    {0: '022', 1: '22'}

    Args:
        mask: uint8 (H, W), C-contiguous.

    Returns:
        Value → text, for the values that occur, ascending.

    Raises:
        TypeError, ValueError: the array is invalid.
    """
    return _coco_rle(mask)


def _threads(function: str, count: int | None) -> int:
    if count is not None and not 1 <= count <= MAX_THREADS:
        raise ValueError(f"{function}: threads must be 1 to {MAX_THREADS}, or None for the default, got {count}")
    return count or 0


def _alpha(function: str, name: str, alpha: Alpha) -> float | npt.NDArray[np.uint16]:
    """A single number unchanged (the kernels check it); one per class as uint16 (C,), where 256 is opaque."""
    if isinstance(alpha, (float, int)):
        return alpha
    values = np.asarray(alpha, np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{function}: {name} must be 0 (frame only) to 1 (colour only), one number or C, got {alpha!r}")
    return np.floor(values * 256 + 0.5).astype(np.uint16)


def _size(function: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size_hw)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: size_hw must be (height, width), got {size_hw!r}; pass two integers") from None
    if not (1 <= height <= _MAX_SIDE and 1 <= width <= _MAX_SIDE):
        raise ValueError(f"{function}: size_hw must be 1 to {_MAX_SIDE} pixels, got {size_hw!r}; pass (height, width)")
    return height, width


def _overlay_shape(frame: Image, pixel_format: str) -> tuple[int, ...]:
    return np.shape(frame) if pixel_format == "bgr" else (*frame_hw(frame, pixel_format), 3)


def _output(function: str, out: U8 | None, shape: tuple[Any, ...]) -> U8:
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{function}: out must be uint8 {shape}, got {type(out).__name__}; pass a NumPy array")
    if out.shape != shape:
        raise ValueError(f"{function}: out must be uint8 {shape}, got {out.dtype} {out.shape}; pass an array of that shape")
    return out
