"""What the post-processing kernel reads (fp16, int8, uint8) and paints (opacity per class, class filter, contours)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.core.labels import CAMVID, Labels
from seg_edge.runtime import Segmenter, _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.style import Style

ISAS = kernels.available_isas()
RNG = np.random.default_rng(11)
TYPES = (np.float16, np.int8, np.uint8)


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def draw_logits(dtype: Any, *shape: int) -> Any:
    """Areas of one class, borders and ties; every code and every kind of binary16."""
    if dtype == np.float16:
        logits = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in RNG.normal(size=shape)]).astype(np.float16)
        for value in (np.nan, np.inf, -np.inf, 5.96e-8, -6e-5, 65504):  # subnormals and the largest too
            logits[RNG.random(shape) < 0.01] = value
        return logits
    low = RNG.integers(0, 256, (shape[0], shape[1] // 3 + 1, shape[2] // 3 + 1))
    codes = low.repeat(3, 1).repeat(3, 2)[:, : shape[1], : shape[2]]
    return np.ascontiguousarray(codes - (128 if dtype == np.int8 else 0)).astype(dtype)


def mask_of(logits: Any, size_hw: tuple[int, int], isa: str) -> Any:
    mask = np.empty(size_hw, np.uint8)
    _kernels.upsample_argmax(logits, mask, isa)
    return mask


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", TYPES)
def test_other_types_give_what_their_values_as_float_give(dtype: Any, isa: str) -> None:
    """A conversion to float32 is exact for all three, so the float kernels (tested against NumPy) are the reference."""
    for classes, h, w, *size in (
        (11, 44, 60, 180, 321), (1, 5, 9, 20, 31), (256, 6, 40, 13, 90), (4, 30, 7, 66, 20), (3, 40, 50, 21, 30),
        (2, 1, 1, 4, 5),
    ):  # fmt: skip
        logits = draw_logits(dtype, classes, h, w)
        expected = mask_of(np.ascontiguousarray(logits, np.float32), (size[0], size[1]), "scalar")
        np.testing.assert_array_equal(mask_of(logits, (size[0], size[1]), isa), expected, f"{classes} {h, w}")
        assert h == 1 or classes == 1 or expected.any()


@pytest.mark.parametrize("isa", ISAS)
def test_codes_need_no_scale_and_no_zero_point(isa: str) -> None:
    """The mask of codes is the mask of what they stand for, but where rounding in float32 makes or breaks a tie."""
    codes = draw_logits(np.int8, 9, 30, 40)
    for scale, zero_point in ((0.037, -12), (11.0, 127)):
        real = ((codes.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)).astype(np.float32)
        theirs = mask_of(real, (240, 320), isa)
        assert (mask_of(codes, (240, 320), isa) == theirs).mean() > 0.999


def test_the_overlay_of_codes_is_the_overlay_of_their_mask() -> None:
    codes, frame, palette = draw_logits(np.uint8, 5, 20, 30), noise(90, 140, 3), noise(5, 3)
    mask = np.empty((90, 140), np.uint8)
    painted = kernels.upsample_overlay(codes, frame, palette, 0.3, mask_out=mask)
    np.testing.assert_array_equal(painted, kernels.blend(mask, frame, palette, 0.3))
    np.testing.assert_array_equal(mask, kernels.upsample_argmax(codes, (90, 140)))


# ---- opacity per class, contours: a NumPy reference ----


def edges(mask: Any) -> Any:
    """Pixels that differ from a neighbour to the left, right, above or below."""
    found = np.zeros(mask.shape, bool)
    across, along = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    found[1:] |= across
    found[:-1] |= across
    found[:, 1:] |= along
    found[:, :-1] |= along
    return found


def reference(mask: Any, frame: Any, palette: Any, alpha: Any, line_palette: Any = None, line_alpha: Any = None) -> Any:
    def mix(colours: Any, opacity: Any) -> Any:
        known = mask < len(palette)
        at = np.where(known, mask, 0)
        a = np.where(known, np.floor(np.broadcast_to(opacity, len(palette)) * 256 + 0.5).astype(int)[at], 0)[..., None]
        return ((frame.astype(int) * (256 - a) + colours.astype(int)[at] * a + 128) >> 8).astype(np.uint8)

    painted = mix(palette, np.asarray(alpha, float))
    if line_palette is None:
        return painted
    return np.where(edges(mask)[..., None], mix(line_palette, np.asarray(line_alpha, float)), painted)


def test_contour_picture() -> None:
    mask = np.zeros((5, 8), np.uint8)
    mask[1:4, 2:7] = 1
    frame, palette = np.zeros((5, 8, 3), np.uint8), np.full((2, 3), 0, np.uint8)
    lines = np.array([[1] * 3, [2] * 3], np.uint8)
    painted = kernels.blend(mask, frame, palette, 0.5, line_palette_bgr=lines)
    assert ["".join(".-#"[value] for value in row) for row in painted[..., 0]] == [
        "..-----.",
        ".-#####-",
        ".-#...#-",
        ".-#####-",
        "..-----.",
    ]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size_hw", [(1, 1), (1, 40), (33, 1), (90, 131), (60, 64)])
def test_opacity_per_class_and_contours_equal_the_reference(isa: str, size_hw: tuple[int, int]) -> None:
    logits = draw_logits(np.int8, 6, 12, 20).astype(np.float32)
    frame, palette, lines = noise(*size_hw, 3), noise(6, 3), noise(6, 3)
    alpha = np.array([0, 1, 0.5, 0.25, 0.9, 0.003])
    fixed, half = np.floor(alpha * 256 + 0.5).astype(np.uint16), np.full(6, 128, np.uint16)
    mask, out = np.empty(size_hw, np.uint8), np.empty_like(frame)
    expected_mask = mask_of(logits, size_hw, "scalar")

    _kernels.upsample_overlay(logits, frame, palette, fixed, out, mask, isa)
    np.testing.assert_array_equal(out, reference(expected_mask, frame, palette, alpha))
    np.testing.assert_array_equal(mask, expected_mask)

    mask.fill(99)
    _kernels.upsample_overlay(logits, frame, palette, 0.5, out, mask, isa, 1, lines, fixed)
    np.testing.assert_array_equal(out, reference(expected_mask, frame, palette, 0.5, lines, alpha))
    np.testing.assert_array_equal(mask, expected_mask)

    void = expected_mask.copy()
    void[::3, ::5] = 200  # without a colour: neither filled nor lined
    _kernels.blend(void, frame, palette, fixed, out, isa, 1, lines, half)
    np.testing.assert_array_equal(out, reference(void, frame, palette, alpha, lines, 0.5))
    assert (out[void == 200] == frame[void == 200]).all()


def test_a_class_of_opacity_0_keeps_the_frame() -> None:
    logits, frame, palette = draw_logits(np.int8, 3, 10, 16), noise(70, 90, 3), noise(3, 3)
    mask = np.empty((70, 90), np.uint8)
    painted = kernels.upsample_overlay(logits, frame, palette, [0.5, 0, 1], mask_out=mask)
    assert (painted[mask == 1] == frame[mask == 1]).all()
    assert (painted[mask == 2] == palette[2]).all()
    assert {0, 1, 2} == set(np.unique(mask))


# ---- by name ----


def test_style_resolves_names() -> None:
    style = Style.make(CAMVID, {"road": 0.8}, ["road", "car"], contours=True)
    opacities = dict(zip(CAMVID.names, style.alpha, strict=True))
    assert {name: value for name, value in opacities.items() if value} == {"road": 0.8, "car": 0.5}
    assert style.arguments["line_alpha"] == tuple(float(name in ("road", "car")) for name in CAMVID.names)
    assert Style.make(CAMVID, 0.25).arguments == {"alpha": 0.25}
    assert [Style.make(CAMVID, 0.25).plain_alpha, style.plain_alpha] == [0.25, None]
    assert Style.make(CAMVID, 0.25, contours=True).plain_alpha is None


def test_background_keeps_the_frame_unless_it_is_asked_for() -> None:
    people = Labels(("background", "person"), ((0, 0, 0), (0, 200, 120)))
    assert Style.make(people).alpha == Style.make(people, classes=["person"]).alpha == (0.0, 0.5)
    assert Style.make(people, 0.8, contours=True).arguments["line_alpha"] == (0.0, 1.0)
    assert Style.make(people, classes=["background"]).alpha == (0.5, 0.0)
    assert Style.make(people, {"background": 0.9}).alpha == (0.9, 0.5)
    assert Style.make(Labels(("background",), ((0, 0, 0),))).alpha == (0.5,)


def test_style_refuses() -> None:
    with pytest.raises(UnknownNameError, match="unknown class 'raod': did you mean 'road'"):
        Style.make(CAMVID, classes=["raod"])
    with pytest.raises(UnknownNameError, match="unknown class 'kitten'"):
        Style.make(CAMVID, {"kitten": 0.1})
    with pytest.raises(InputError, match=r"alpha of car: expected 0 .* got 1.5"):
        Style.make(CAMVID, {"car": 1.5})
    with pytest.raises(InputError, match="classes: expected at least one of"):
        Style.make(CAMVID, classes=[])


def test_a_segmenter_paints_in_its_style(tiny_model: Any) -> None:
    frame = RNG.integers(0, 256, (48, 64, 3), np.uint8)
    with Segmenter(tiny_model) as plain:
        names, palette, mask = plain.labels.names, plain.labels.palette_bgr, plain(frame)
    with Segmenter(tiny_model, alpha={names[1]: 1.0}, classes=names[:2], contours=True, threads=1) as seg:
        result = seg.process(frame)
    alpha = [0.5, 1.0] + [0.0] * (len(names) - 2)
    np.testing.assert_array_equal(result.mask, mask)
    expected = reference(mask, frame, palette, alpha, palette, [1.0, 1.0] + [0.0] * (len(names) - 2))
    np.testing.assert_array_equal(result.overlay_bgr, expected)
