"""The kernels against NumPy references written here, small pictures, OpenCV, and each instruction set against scalar."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels

ISAS = kernels.available_isas()
RNG = np.random.default_rng(7)
# Around the vectors' widths (8, 16 floats; 16, 32 bytes), odd, one.
SIDES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 41)


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def shapes(count: int) -> Iterator[tuple[int, int, int, int]]:
    yield from ((1, 1, 1, 1), (1, 1, 33, 17), (40, 50, 1, 1), (8, 8, 8, 8), (11, 15, 90, 161), (90, 161, 12, 16))
    for _ in range(count):
        h, w, dst_h, dst_w = (int(side) for side in RNG.choice(SIDES, 4))
        yield h, w, dst_h, dst_w


# ---- references: plain NumPy, one formula each, no cleverness ----


def centres(n_in: int, n_out: int) -> tuple[Any, Any, Any, Any]:
    """Cell number, left and right neighbour and weight of the right one (float32, one rounded division) per output pixel."""
    whole = 2 * n_out
    numerator = (2 * np.arange(n_out) + 1) * n_in - n_out
    floor = numerator // whole
    weight = ((numerator - floor * whole).astype(np.float32) / np.float32(whole)).astype(np.float32)
    return floor + 1, np.clip(floor, 0, n_in - 1), np.clip(floor + 1, 0, n_in - 1), weight


def reference_mask(logits: Any, size_hw: tuple[int, int], shortcut: bool = True) -> Any:
    """float32 in the order that segedge.h states; NaN as minus infinity; agreeing corners decide if ``shortcut``."""
    _, h, w = logits.shape
    _, top, bottom, wy = centres(h, size_hw[0])
    _, left, right, wx = centres(w, size_hw[1])
    wy, one = wy[:, None], np.float32(1)
    with np.errstate(invalid="ignore", over="ignore"):
        rows = (one - wy) * logits[:, top] + wy * logits[:, bottom]
        values = (one - wx) * rows[:, :, left] + wx * rows[:, :, right]
    assert values.dtype == np.float32
    mask = np.where(np.isnan(values), -np.inf, values).argmax(0)
    if shortcut:
        corner = np.where(np.isnan(logits), -np.inf, logits).argmax(0)
        corners = [corner[np.ix_(y, x)] for y in (top, bottom) for x in (left, right)]
        agree = np.all([c == corners[0] for c in corners], axis=0)
        mask = np.where(agree, corners[0], mask)
    return mask.astype(np.uint8)


def reference_blend(mask: Any, frame: Any, palette: Any, alpha: float) -> Any:
    a = int(np.floor(alpha * 256 + 0.5))
    painted = mask < len(palette)
    colours = palette[np.where(painted, mask, 0)].astype(int)
    return np.where(painted[..., None], (frame.astype(int) * (256 - a) + colours * a + 128) >> 8, frame).astype(np.uint8)


def box_matrix(n_in: int, n_out: int) -> Any:
    """(n_out, n_in) weights of an exact box average."""
    edges = np.arange(n_out + 1) * n_in / n_out
    pixels = np.arange(n_in)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(inside, 0, None) * n_out / n_in


def linear_matrix(n_in: int, n_out: int) -> Any:
    matrix = np.zeros((n_out, n_in))
    _, low, high, weight = centres(n_in, n_out)
    np.add.at(matrix, (np.arange(n_out), low), 1 - weight.astype(float))
    np.add.at(matrix, (np.arange(n_out), high), weight.astype(float))
    return matrix


def exact_resize(frame: Any, size_hw: tuple[int, int], rule: str) -> Any:
    """float64 (h, w, 3), not rounded."""
    shrinks = size_hw[0] <= frame.shape[0] and size_hw[1] <= frame.shape[1]
    matrix = box_matrix if rule == "area" and shrinks else linear_matrix
    return np.einsum(
        "yi,ijc,xj->yxc", matrix(frame.shape[0], size_hw[0]), frame.astype(float), matrix(frame.shape[1], size_hw[1])
    )


# ---- pictures ----


def draw(mask: Any) -> list[str]:
    return ["".join(".#o"[value] for value in row) for row in mask]


def test_upsample_of_a_corner_is_a_round_hyperbola() -> None:
    # One '#' of score 3 in the middle, around it '.' of score 1. With t = (1 - |dx|) * (1 - |dy|), where dx and dy are 1/8,
    # 3/8, 5/8 and 7/8 of the way to the neighbours, '#' wins where 3t > 1 - t, i.e. t > 1/4.
    sharp = np.zeros((2, 3, 3), np.float32)
    sharp[0] = 1
    sharp[:, 1, 1] = 0, 3
    assert draw(kernels.upsample_argmax(sharp, (12, 12))) == [
        "............",
        "............",
        "............",
        ".....##.....",
        "....####....",
        "...######...",
        "...######...",
        "....####....",
        ".....##.....",
        "............",
        "............",
        "............",
    ]


def test_upsample_edges_are_clamped_and_cut_at_the_middle() -> None:
    logits = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]], np.float32)
    # Pixel centres of 12 over 3: the border between two classes lies between pixels 3 and 4, and 7 and 8.
    assert draw(kernels.upsample_argmax(logits, (2, 12))) == ["....####oooo"] * 2


def test_a_class_that_is_second_everywhere_wins_between() -> None:
    logits = np.array([[[10, 0]], [[9, 9]], [[0, 10]]], np.float32)
    # '.' falls from 10 to 0 in steps of 2 between pixels 2 and 7, 'o' rises; '#' keeps 9.
    assert draw(kernels.upsample_argmax(logits, (1, 10))) == ["...####ooo"]


def test_resize_pictures() -> None:
    ramp = np.repeat(np.array([[0, 60, 120, 180, 240]], np.uint8)[..., None], 3, 2)
    # Area 5 -> 2: boxes of 2.5 pixels, (0 + 60 + 120/2) / 2.5 and (120/2 + 180 + 240) / 2.5.
    assert kernels.resize(ramp, (1, 2))[0, :, 0].tolist() == [48, 192]
    # Bilinear 5 -> 2: centres at 0.75 and 3.25.
    assert kernels.resize(ramp, (1, 2), "bilinear")[0, :, 0].tolist() == [45, 195]
    # Growing along x, the area rule is bilinear: quarter steps between centres, clamped at both ends.
    two = np.repeat(np.array([[0, 200]], np.uint8)[..., None], 3, 2)
    assert kernels.resize(two, (1, 4))[0, :, 1].tolist() == [0, 50, 150, 200]


def test_blend_picture() -> None:
    frame = np.full((1, 4, 3), 100, np.uint8)
    mask = np.array([[0, 1, 2, 255]], np.uint8)  # 2 and 255 have no colour
    palette = np.array([[0, 0, 0], [200, 100, 255]], np.uint8)
    assert kernels.blend(mask, frame, palette, 0.5).tolist() == [[[50] * 3, [150, 100, 178], [100] * 3, [100] * 3]]
    assert (kernels.blend(mask, frame, palette, 0.0) == frame).all()
    assert kernels.blend(mask, frame, palette, 1.0).tolist() == [[[0] * 3, [200, 100, 255], [100] * 3, [100] * 3]]


# ---- against the references ----


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rule", ["bilinear", "area"])
def test_resize_is_within_rounding_of_exact_arithmetic(rule: str, isa: str) -> None:
    for h, w, dst_h, dst_w in shapes(40):
        frame = noise(h, w, 3)
        out = np.empty((dst_h, dst_w, 3), np.uint8)
        _kernels.resize(frame, out, rule, isa)
        # Half a level is rounding itself; the rest is the 14-bit weights and the 7 bits between the passes.
        assert np.abs(out - exact_resize(frame, (dst_h, dst_w), rule)).max() < 0.53, (h, w, dst_h, dst_w)


@pytest.mark.parametrize(("rule", "flag"), [("bilinear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)])
@pytest.mark.parametrize("size_hw", [(352, 480), (240, 427), (360, 640), (359, 639), (100, 37)])
def test_resize_is_within_one_level_of_opencv(rule: str, flag: int, size_hw: tuple[int, int]) -> None:
    frame = noise(720, 1280, 3)
    theirs = cv2.resize(frame, size_hw[::-1], interpolation=flag)
    # On Arm OpenCV's own bilinear resize is coarser (2 levels seen); ours is held to exact arithmetic above.
    most = 2 if platform.machine() == "aarch64" else 1
    assert np.abs(kernels.resize(frame, size_hw, rule).astype(int) - theirs).max() <= most


def test_resize_to_the_same_size_is_a_copy() -> None:
    frame = noise(37, 53, 3)
    for rule in ("area", "bilinear"):
        assert (kernels.resize(frame, (37, 53), rule) == frame).all()


@pytest.mark.parametrize("isa", ISAS)
def test_upsample_equals_the_reference(isa: str) -> None:
    for i, (h, w, dst_h, dst_w) in enumerate(shapes(60)):
        classes = int(RNG.choice([1, 2, 3, 11, 19, 21, 256] if h * w < 300 else [1, 2, 11]))
        logits = RNG.normal(size=(classes, h, w)).astype(np.float32)
        if i % 3 == 1:  # ties, and whole areas of one class
            logits = np.round(logits)
        if i % 3 == 2:  # patches: cells whose corners agree
            logits = np.ascontiguousarray(logits[:, ::4, ::4].repeat(4, 1).repeat(4, 2)[:, :h, :w])
        out = np.empty((dst_h, dst_w), np.uint8)
        _kernels.upsample_argmax(logits, out, isa)
        np.testing.assert_array_equal(out, reference_mask(logits, (dst_h, dst_w)), f"{classes} {h, w} -> {dst_h, dst_w}")


@pytest.mark.parametrize("isa", ISAS)
def test_nan_counts_as_minus_infinity(isa: str) -> None:
    logits = RNG.normal(size=(5, 12, 19)).astype(np.float32)
    logits[RNG.random(logits.shape) < 0.2] = np.nan
    logits[:, 3, 4] = np.nan
    logits[RNG.random(logits.shape) < 0.05] = -np.inf
    out = np.empty((50, 90), np.uint8)
    _kernels.upsample_argmax(logits, out, isa)
    np.testing.assert_array_equal(out, reference_mask(logits, (50, 90)))
    _kernels.upsample_argmax(np.full((3, 4, 20), np.nan, np.float32), out, isa)
    assert (out == 0).all()


def test_the_shortcut_changes_nothing_but_rounding_ties() -> None:
    logits = cv2.GaussianBlur(RNG.normal(size=(40, 60, 11)).astype(np.float32), (0, 0), 2)
    logits = np.ascontiguousarray(logits.transpose(2, 0, 1))
    mask = kernels.upsample_argmax(logits, (360, 480))
    assert (mask != reference_mask(logits, (360, 480), shortcut=False)).sum() == 0
    theirs = cv2.resize(np.ascontiguousarray(logits.transpose(1, 2, 0)), (480, 360)).argmax(2)
    assert (mask == theirs).mean() > 0.999


@pytest.mark.parametrize("isa", ISAS)
def test_agreeing_corners_decide_where_rounding_would_make_a_tie(isa: str) -> None:
    logits = np.ones((2, 5, 5), np.float32)
    logits[1] = np.nextafter(np.float32(1), np.float32(2))
    out = np.empty((57, 83), np.uint8)
    _kernels.upsample_argmax(logits, out, isa)
    assert (out == 1).all()
    assert (reference_mask(logits, (57, 83), shortcut=False) == 0).any()  # what arithmetic alone would say


@pytest.mark.parametrize("scale", [1.0, 1e-38, 1e-44, 3e37])
def test_classes_left_out_of_a_cell_could_not_have_won(scale: float) -> None:
    """Classes that differ by few units in the last place, where rounding decides; subnormal and huge values; infinities."""
    rng = np.random.default_rng(int(-np.log10(scale)) % 97)
    for i in range(25):
        h, w = (int(side) for side in rng.integers(1, 14, 2))
        logits = (rng.integers(1, 4, (9, h, w)) * (scale if i % 2 else scale / 3)).astype(np.float32)
        steps = rng.integers(-6, 7, logits.shape).astype(np.float32) * np.spacing(logits) * np.float32(2 ** (i % 4))
        logits = (logits + steps).astype(np.float32)
        if i % 5 == 4:
            odd = np.array([np.inf, -np.inf, np.nan, 3.4e38, -3.4e38], np.float32)
            logits = np.where(rng.random(logits.shape) < 0.05, rng.choice(odd, logits.shape), logits)
        size_hw = int(rng.integers(3 * h, 12 * h + 1)), int(rng.integers(1, 12 * w + 1))
        np.testing.assert_array_equal(kernels.upsample_argmax(logits, size_hw), reference_mask(logits, size_hw))


def test_a_class_one_unit_below_is_not_left_out() -> None:
    # Class 1 is one unit in the last place above class 0; a peak of class 2 sends the cells around it to the arithmetic, in
    # which the two are equal at some pixels: the lower one's.
    logits = np.full((3, 5, 5), 1, np.float32)
    logits[1] = np.nextafter(np.float32(1), np.float32(2))
    logits[2], logits[2, 2, 2] = -9, 2
    mask = kernels.upsample_argmax(logits, (57, 83))
    np.testing.assert_array_equal(mask, reference_mask(logits, (57, 83)))
    assert set(np.unique(mask)) == {0, 1, 2}


@pytest.mark.parametrize("isa", ISAS)
def test_overlay_is_the_mask_blended(isa: str) -> None:
    for h, w, dst_h, dst_w in shapes(30):
        logits, frame = RNG.normal(size=(7, h, w)).astype(np.float32), noise(dst_h, dst_w, 3)
        logits[2] += 1.5  # so that some cells have one class
        palette, alpha = noise(7, 3), float(RNG.random())
        out, mask = np.empty_like(frame), np.empty((dst_h, dst_w), np.uint8)
        _kernels.upsample_overlay(logits, frame, palette, alpha, out, mask, isa)
        np.testing.assert_array_equal(mask, reference_mask(logits, (dst_h, dst_w)))
        np.testing.assert_array_equal(out, reference_blend(mask, frame, palette, alpha))
        again = kernels.upsample_overlay(logits, frame, palette, alpha)  # without a mask
        np.testing.assert_array_equal(again, out)


@pytest.mark.parametrize("isa", ISAS)
def test_blend_equals_the_reference(isa: str) -> None:
    for _, _, h, w in shapes(30):
        classes = int(RNG.choice([1, 11, 255, 256]))
        frame, palette, alpha = noise(h, w, 3), noise(classes, 3), float(RNG.choice([0, 1, 0.5, RNG.random()]))
        mask = RNG.integers(0, min(classes + 2, 256), (h, w), dtype=np.uint8)
        mask[h // 2 :] = mask.flat[0]
        out = np.empty_like(frame)
        _kernels.blend(mask, frame, palette, alpha, out, isa)
        np.testing.assert_array_equal(out, reference_blend(mask, frame, palette, alpha))


def test_the_build_has_the_sets_of_its_architecture() -> None:
    machine = platform.machine().lower()
    expected = {"x86_64": {"scalar", "avx2"}, "amd64": {"scalar", "avx2"}, "aarch64": {"scalar", "neon"}}
    assert set(_kernels.known_isas()) >= expected.get(machine, {"scalar"})
    assert [isa for isa in _kernels.known_isas() if isa in ISAS] == list(ISAS)


@pytest.mark.parametrize(
    "isa",
    [
        # What this CPU lacks is shown as skipped; `make avx512` and `make aarch64` run those sets without it.
        pytest.param(isa, marks=pytest.mark.skipif(isa not in ISAS, reason=f"this CPU can't run {isa}"))
        for isa in _kernels.known_isas()[1:]
    ],
)
def test_every_instruction_set_returns_the_scalar_bytes_on_a_video_frame(isa: str) -> None:
    frame, logits, palette = noise(353, 641, 3), RNG.normal(size=(19, 45, 81)).astype(np.float32), noise(19, 3)
    results = {}
    for name in ("scalar", isa):
        small, mask, overlay = np.empty((177, 299, 3), np.uint8), np.empty((353, 641), np.uint8), np.empty_like(frame)
        _kernels.resize(frame, small, "area", name)
        _kernels.upsample_overlay(logits, frame, palette, 0.3, overlay, mask, name)
        results[name] = small, mask, overlay
    for ours, oracle in zip(results[isa], results["scalar"], strict=True):
        np.testing.assert_array_equal(ours, oracle)


# ---- memory ----


def test_a_crop_is_taken_as_it_lies_and_nothing_around_an_output_is_touched() -> None:
    canvas, logits, palette = noise(60, 90, 3), RNG.normal(size=(4, 6, 9)).astype(np.float32), noise(4, 3)
    crop, whole = canvas[5:47, 11:72], canvas[5:47, 11:72].copy()
    np.testing.assert_array_equal(kernels.resize(crop, (20, 30)), kernels.resize(whole, (20, 30)))

    expected = kernels.upsample_overlay(logits, whole, palette, 0.4)
    np.testing.assert_array_equal(kernels.upsample_overlay(logits, crop, palette, 0.4), expected)
    target = np.full((60, 90, 3), 77, np.uint8)
    kernels.upsample_overlay(logits, crop, palette, 0.4, out=target[5:47, 11:72])
    np.testing.assert_array_equal(target[5:47, 11:72], expected)
    target[5:47, 11:72] = 77
    assert (target == 77).all()


@pytest.mark.parametrize("width", [1, 10, 16, 21, 33])
def test_guard_bytes_around_contiguous_outputs(width: int) -> None:
    def guarded(*shape: int) -> tuple[Any, Any]:
        memory = np.full(int(np.prod(shape)) + 128, 77, np.uint8)
        return memory, memory[64:-64].reshape(shape)

    frame, logits = noise(9, width, 3), RNG.normal(size=(3, 4, 5)).astype(np.float32)
    for memory, call in (
        (guarded(9, width), lambda out: kernels.upsample_argmax(logits, (9, width), out)),
        (guarded(9, width, 3), lambda out: kernels.upsample_overlay(logits, frame, noise(3, 3), out=out)),
        (guarded(9, width, 3), lambda out: kernels.blend(noise(9, width), frame, noise(3, 3), out=out)),
        (guarded(9, width, 3), lambda out: kernels.resize(noise(20, 30, 3), (9, width), out=out)),
        (guarded(9, width), lambda out: kernels.upsample_overlay(logits, frame, noise(3, 3), mask_out=out)),
    ):
        call(memory[1])
        assert (memory[0][:64] == 77).all()
        assert (memory[0][-64:] == 77).all()


def test_in_place_overlay_equals_the_other() -> None:
    logits, palette = RNG.normal(size=(5, 8, 13)).astype(np.float32), noise(5, 3)
    for frame in (noise(41, 67, 3), noise(41, 99, 3)[:, 9:76]):
        mask = kernels.upsample_argmax(logits, (41, 67))
        expected = reference_blend(mask, frame, palette, 0.5)
        painted = kernels.upsample_overlay(logits, frame, palette, out=frame)
        assert painted is frame
        np.testing.assert_array_equal(frame, expected)
        kernels.blend(mask, frame, palette, out=frame)
        np.testing.assert_array_equal(frame, reference_blend(mask, expected, palette, 0.5))


def test_crops_side_by_side_do_not_overlap() -> None:
    canvas, logits, palette = noise(20, 80, 3), RNG.normal(size=(5, 4, 6)).astype(np.float32), noise(5, 3)
    expected = kernels.upsample_overlay(logits, canvas[:, :40].copy(), palette)
    kernels.upsample_overlay(logits, canvas[:, :40], palette, out=canvas[:, 40:])
    np.testing.assert_array_equal(canvas[:, 40:], expected)
