"""What the kernels refuse, by which exception and in which words; and what they must not refuse."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels

RNG = np.random.default_rng(7)


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


FRAME, LOGITS, PALETTE, MASK = noise(20, 30, 3), np.zeros((4, 5, 6), np.float32), noise(4, 3), noise(20, 30)
SHARED = noise(21, 30, 3)


def read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


REFUSALS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: kernels.resize(FRAME.astype(float), (4, 4)),
        TypeError,
        "resize: frame_bgr must be uint8 (H, W, 3), got float64 (20, 30, 3); use np.ascontiguousarray(frame_bgr, np.uint8)",
    ),
    (
        lambda: kernels.resize([1, 2], (4, 4)),
        TypeError,
        "resize: frame_bgr must be uint8 (H, W, 3), got list; pass a NumPy array",
    ),
    (lambda: kernels.resize(MASK, (4, 4)), ValueError, "resize: frame_bgr must be uint8 (H, W, 3), got uint8 (20, 30);"),
    (lambda: kernels.resize(noise(4, 4, 4), (4, 4)), ValueError, "got uint8 (4, 4, 4)"),
    (lambda: kernels.resize(noise(0, 4, 3), (4, 4)), ValueError, "with sides of 1 to 16384, got uint8 (0, 4, 3)"),
    (lambda: kernels.resize(np.zeros((1, 16385, 3), np.uint8), (4, 4)), ValueError, "sides of 1 to 16384"),
    (
        lambda: kernels.resize(FRAME[::-1], (4, 4)),
        ValueError,
        "each row contiguous and rows in ascending order, got byte strides (-90, 3, 1); use np.ascontiguousarray(frame_bgr)",
    ),
    (lambda: kernels.resize(FRAME[:, ::2], (4, 4)), ValueError, "got byte strides (90, 6, 1)"),
    (lambda: kernels.resize(FRAME[..., ::-1], (4, 4)), ValueError, "got byte strides (90, 3, -1)"),
    (lambda: kernels.resize(np.broadcast_to(FRAME[:1], (9, 30, 3)), (4, 4)), ValueError, "got byte strides (0, 3, 1)"),
    (lambda: kernels.resize(FRAME, (0, 4)), ValueError, "resize: size_hw must be 1 to 16384 pixels, got (0, 4)"),
    (lambda: kernels.resize(FRAME, (4, 16385)), ValueError, "resize: size_hw must be 1 to 16384 pixels"),
    (lambda: kernels.resize(FRAME, 4), TypeError, "resize: size_hw must be (height, width), got 4"),
    (lambda: kernels.resize(FRAME, (4, 4), "lanczos"), UnknownNameError, "unknown resize rule 'lanczos'"),
    (
        lambda: kernels.resize(FRAME, (4, 4), out=noise(4, 5, 3)),
        ValueError,
        "resize: out must be uint8 (4, 4, 3), got uint8 (4, 5, 3)",
    ),
    (
        lambda: kernels.resize(FRAME, (4, 4), out=bytearray(48)),
        TypeError,
        "resize: out must be uint8 (4, 4, 3), got bytearray",
    ),
    (lambda: kernels.resize(FRAME, (4, 4), out=read_only(noise(4, 4, 3))), ValueError, "the array received is read-only"),
    (
        lambda: kernels.resize(FRAME, (4, 4), out=noise(4, 9, 3)[:, ::2][:, :4]),
        ValueError,
        "each row contiguous and rows in ascending order, got byte strides (27, 6, 1)",
    ),
    (lambda: kernels.resize(FRAME, (2, 30), out=FRAME[:2]), ValueError, "resize: out must not overlap frame_bgr"),
    (
        lambda: kernels.upsample_argmax(LOGITS.astype(np.float64), (8, 8)),
        TypeError,
        "upsample_argmax: logits_chw must be float32, float16, int8 or uint8 (C, H, W), got float64 (4, 5, 6); "
        "use np.ascontiguousarray(logits_chw, np.float32)",
    ),
    (lambda: kernels.upsample_argmax(LOGITS.astype(">f4"), (8, 8)), TypeError, "got >f (4, 5, 6)"),
    (lambda: kernels.upsample_argmax(LOGITS[None], (8, 8)), ValueError, "got float32 (1, 4, 5, 6)"),
    (lambda: kernels.upsample_argmax(LOGITS.transpose(0, 2, 1), (8, 8)), ValueError, "C-contiguous, got byte strides"),
    (lambda: kernels.upsample_argmax(LOGITS[:, :4], (8, 8)), ValueError, "C-contiguous, got byte strides (120, 24, 4)"),
    (
        lambda: kernels.upsample_argmax(np.zeros((257, 2, 2), np.float32), (8, 8)),
        ValueError,
        "with 1 to 256 classes C, got float32 (257, 2, 2)",
    ),
    (
        lambda: kernels.upsample_argmax(LOGITS, (4, 6), out=LOGITS.view(np.uint8).ravel()[8:32].reshape(4, 6)),
        ValueError,
        "upsample_argmax: out must not overlap logits_chw",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, noise(5, 3)),
        ValueError,
        "with C = 4, the classes of logits_chw, got uint8 (5, 3)",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, noise(4, 4)),
        ValueError,
        "palette_bgr must be uint8 (C, 3), got uint8 (4, 4)",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, 1.01),
        ValueError,
        "alpha must be 0 (frame only) to 1 (colour only), got 1.01",
    ),
    (lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, float("nan")), ValueError, "got nan"),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, [0.5] * 3),
        ValueError,
        "upsample_overlay: alpha must be uint16 (C,) with C = 4, the classes of logits_chw, got uint16 (3,)",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, [0.5, 0.5, 0.5, 1.5]),
        ValueError,
        "alpha must be 0 (frame only) to 1 (colour only), one number or C, got [0.5, 0.5, 0.5, 1.5]",
    ),
    (
        lambda: _kernels.upsample_overlay(LOGITS, FRAME, PALETTE, np.full(4, 257, np.uint16), noise(20, 30, 3), None),
        ValueError,
        "alpha must be uint16 (C,) of values 0 to 256, got uint16 (4,); 256 is opaque",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, line_palette_bgr=noise(3, 3)),
        ValueError,
        "line_palette_bgr must be uint8 (C, 3) with C = 4, the classes of logits_chw, got uint8 (3, 3)",
    ),
    (
        lambda: kernels.blend(MASK, FRAME, PALETTE, line_palette_bgr=PALETTE, line_alpha=2.0),
        ValueError,
        "blend: line_alpha must be 0 (frame only) to 1 (colour only), got 2.0",
    ),
    (
        lambda: kernels.resize(noise(31, 20), (4, 4), pixel_format="nv12"),
        ValueError,
        "resize: frame_nv12 must be uint8 (3*H/2, W) with H and W even, got uint8 (31, 20); H rows of luma, then H/2",
    ),
    (lambda: kernels.resize(FRAME, (4, 4), pixel_format="nv12"), ValueError, "frame_nv12 must be uint8 (3*H/2, W), got"),
    (
        lambda: kernels.resize(FRAME, (4, 4), pixel_format="yuyv"),
        ValueError,
        "frame_yuyv must be uint8 (H, W, 2) with W even",
    ),
    (lambda: kernels.resize(noise(6, 5, 2), (4, 4), pixel_format="yuyv"), ValueError, "with W even, got uint8 (6, 5, 2)"),
    (lambda: kernels.resize(FRAME, (4, 4), pixel_format="rgb"), UnknownNameError, "unknown pixel format 'rgb'"),
    (lambda: kernels.resize(noise(0, 5, 3), (4, 4), "letterbox"), ValueError, "resize: frame must be (H, W"),
    (
        lambda: kernels.upsample_argmax(LOGITS, (8, 8), window=(0, 3, 4, 4, 4, 6)),  # type: ignore[arg-type]
        ValueError,
        "window must lie within of_height x of_width of at most 16384 and hold a pixel, got (0, 3, 4, 4, 4, 6)",
    ),
    (
        lambda: kernels.upsample_argmax(LOGITS, (8, 8), window=(0, 3)),  # type: ignore[arg-type]
        TypeError,
        "window must be (top, left, height, width, of_height, of_width), got (0, 3)",
    ),
    (lambda: kernels.resize(FRAME, (4, 4), threads=0), ValueError, "resize: threads must be 1 to 64, or None"),
    (lambda: kernels.set_threads(65), ValueError, "set_threads: expected 1 to 64, or None for the default, got 65"),
    (lambda: _kernels.resize(FRAME, noise(4, 4, 3), "area", None, 65), ValueError, "threads must be 1 to 64"),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, mask_out=noise(20, 31)),
        ValueError,
        "mask_out must be uint8 (H, W) with (H, W) = (20, 30), the size of frame_bgr, got uint8 (20, 31)",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, SHARED[:20], PALETTE, out=SHARED[1:]),
        ValueError,
        "upsample_overlay: out must not overlap frame_bgr, got arrays that share memory; "
        "pass the frame itself or another array",
    ),
    (
        lambda: kernels.upsample_overlay(LOGITS, FRAME, PALETTE, mask_out=FRAME.ravel()[:600].reshape(20, 30)),
        ValueError,
        "mask_out must not overlap frame_bgr",
    ),
    (lambda: kernels.upsample_overlay(LOGITS, read_only(FRAME), PALETTE, out=read_only(FRAME)), ValueError, "is read-only"),
    (lambda: kernels.blend(noise(20, 31), FRAME, PALETTE), ValueError, "mask must be uint8 (H, W) with (H, W) = (20, 30)"),
    (lambda: kernels.blend(MASK.astype(np.int64), FRAME, PALETTE), TypeError, "got int64 (20, 30)"),
    (
        lambda: kernels.blend(MASK, FRAME, PALETTE, out=MASK.view()),
        ValueError,
        "blend: out must be uint8 (20, 30, 3), got uint8 (20, 30)",
    ),
    (lambda: kernels.blend(MASK, FRAME, PALETTE, -0.1), ValueError, "blend: alpha must be"),
    (
        lambda: _kernels.blend(MASK, FRAME, PALETTE, 0.5, noise(20, 29, 3)),
        ValueError,
        "the size of frame_bgr, got uint8 (20, 29, 3)",
    ),
    (lambda: _kernels.resize(FRAME, noise(4, 4, 3), "cubic"), ValueError, "rule must be 'area' or 'bilinear', got 'cubic'"),
    (lambda: _kernels.resize(FRAME, noise(4, 4, 3), "area", "sse9"), ValueError, "got 'sse9'"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSALS, ids=[text[:50] for _, _, text in REFUSALS])
def test_what_does_not_fit_is_refused_by_name(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        call()


def test_a_read_only_frame_is_a_good_input() -> None:
    np.testing.assert_array_equal(kernels.resize(read_only(FRAME), (7, 9)), kernels.resize(FRAME, (7, 9)))


def test_refusals_leave_no_reference_behind() -> None:
    frame = noise(20, 30, 3)
    before = sys.getrefcount(frame)
    for _ in range(10):
        with pytest.raises(ValueError, match="one"):
            kernels.upsample_overlay(LOGITS, frame, noise(5, 3))
        kernels.resize(frame, (3, 3))
    assert sys.getrefcount(frame) == before
