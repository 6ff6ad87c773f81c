"""The kernel that puts a frame's front on another background: against NumPy, alike on every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.runtime import _kernels
from seg_edge.runtime.backdrop.kernel import put_before
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.colours import BT601

ISAS = kernels.available_isas()
RNG = np.random.default_rng(5)


def exact(values, height, width):
    """float64: bilinear between pixel centres, edges clamped, of uint8 (h, w, …)."""

    def axis(image, size):
        count = len(image)
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.minimum(at.astype(int), count - 1)
        high = np.minimum(low + 1, count - 1)
        share = (at - low).reshape(-1, *[1] * (image.ndim - 1))
        return image[low] * (1 - share) + image[high] * share

    return axis(axis(values.astype(np.float64), height).swapaxes(0, 1), width).swapaxes(0, 1)


def mixed(frame, front, ground, steep):
    """The formula of segedge.h, of images of the frame's size."""
    keep = np.clip((front.astype(int) - 128) * steep + 128, 0, 256)[..., None]
    return (frame * keep + ground * (256 - keep) + 128) >> 8


def on(isa, frame, front, ground, steep, threads=1, pixel_format="bgr", colours=BT601):
    out = np.full((*kernels.frame_hw(frame, pixel_format), 3), 77, np.uint8)
    about = pixel_format, colours.matrix, colours.full_range
    _kernels.backdrop(frame, front, ground, steep, out, isa, threads, *about)
    return out


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("size_hw", [(1, 1), (7, 33), (70, 65)])
def test_images_of_the_frames_size_are_mixed_by_the_formula(isa, size_hw):
    frame, ground = RNG.integers(0, 256, (2, *size_hw, 3), np.uint8)
    front = RNG.integers(0, 256, size_hw, np.uint8)
    for steep in (1, 2, 8, 255):
        np.testing.assert_array_equal(on(isa, frame, front, ground, steep), mixed(frame, front, ground, steep))


@pytest.mark.parametrize("shapes", [((5, 7), (3, 4)), ((1, 1), (9, 2)), ((90, 120), (100, 130)), ((12, 80), (40, 50))])
def test_every_instruction_set_and_number_of_threads_stretches_both_alike(shapes):
    size_hw, (front_hw, ground_hw) = (61, 83), shapes
    frame = RNG.integers(0, 256, (*size_hw, 3), np.uint8)
    front, ground = RNG.integers(0, 256, front_hw, np.uint8), RNG.integers(0, 256, (*ground_hw, 3), np.uint8)
    images = [on(isa, frame, front, ground, 8, threads) for isa in ISAS for threads in (1, 3)]
    for other in images[1:]:
        np.testing.assert_array_equal(other, images[0])
    wide = np.repeat(front[..., None], 3, 2)
    stretched = (kernels.resize(image, size_hw, "bilinear") for image in (wide, ground))
    front_full, ground_full = stretched
    np.testing.assert_array_equal(images[0], mixed(frame, front_full[..., 0], ground_full, 8))
    for got, image in ((front_full[..., 0], front), (ground_full, ground)):
        assert np.abs(got - exact(image, *size_hw)).max() < 1


def test_many_rows_on_threads_are_those_of_one():
    frame = RNG.integers(0, 256, (300, 500, 3), np.uint8)
    front, ground = RNG.integers(0, 256, (20, 30), np.uint8), RNG.integers(0, 256, (9, 16, 3), np.uint8)
    np.testing.assert_array_equal(put_before(frame, front, ground, threads=4), put_before(frame, front, ground, threads=1))


@pytest.mark.parametrize("isa", ISAS)
def test_planes_are_converted_first(isa):
    y, u, v = RNG.integers(0, 256, (3, 20, 30), np.uint8)
    front, ground = RNG.integers(0, 256, (4, 5), np.uint8), RNG.integers(0, 256, (6, 7, 3), np.uint8)
    bgr = kernels.to_bgr((y, u, v), "i444")
    np.testing.assert_array_equal(on(isa, (y, u, v), front, ground, 8, pixel_format="i444"), on(isa, bgr, front, ground, 8))


def test_rows_may_lie_apart():
    frame, out = RNG.integers(0, 256, (2, 20, 40, 3), np.uint8)
    ground, front = RNG.integers(0, 256, (9, 30, 3), np.uint8), RNG.integers(0, 256, (5, 5), np.uint8)
    before = out.copy()
    part = put_before(frame[2:18, 3:30], front, ground[:, 4:20], out[1:17, 5:32])
    expected = put_before(np.ascontiguousarray(frame[2:18, 3:30]), front, np.ascontiguousarray(ground[:, 4:20]))
    np.testing.assert_array_equal(part, expected)
    before[1:17, 5:32] = expected
    np.testing.assert_array_equal(out, before)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"steep": 0}, "steep must be 1 to 255, got 0"),
        ({"steep": 256}, "steep must be 1 to 255, got 256"),
        ({"threads": 65}, "threads must be 1 to 64"),
        ({"out": np.zeros((3, 4, 3), np.uint8)}, "the size of the frame"),
    ],
)
def test_wrong_numbers_and_sizes_are_refused(change, text):
    frame = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match=text):
        put_before(frame, np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), **change)


def test_the_frame_is_not_painted_in_place():
    frame = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="pass another array"):
        put_before(frame, np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8), frame)
    with pytest.raises(TypeError, match=r"front must be uint8 \(h, w\)"):
        put_before(frame, np.zeros((2, 2), np.float32), np.zeros((2, 2, 3), np.uint8))
