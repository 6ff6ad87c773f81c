"""Augmentation keeps image and mask together; resizing is the runtime's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from seg_edge.core.errors import InputError
from seg_edge.runtime.frame import kernels
from seg_edge.train import AugmentOptions
from seg_edge.train.data.augment import (
    ColourJitter,
    RandomRotation,
    RandomScaleCrop,
    resize_whole,
    to_tensors,
    training_transform,
)

VOID = 255
STILL = AugmentOptions(scale=(1, 1), flip=0, jitter=0)


def positions(size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A frame whose blue is the column and green the row, and a mask that is both, in cells of 16 pixels."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.uint8)
    return np.dstack([x, y, np.full_like(x, 77)]), (y // 16 * 16 + x // 16).astype(np.uint8)


def draw(transform, frame, mask, seed):
    torch.manual_seed(seed)
    image, label = transform(*to_tensors(frame, mask))
    return image.permute(1, 2, 0).numpy()[..., ::-1].astype(int), label.numpy().astype(int)


@pytest.mark.parametrize("size_hw", [(96, 128), (192, 256), (64, 64), (32, 160)])
@pytest.mark.parametrize("scale", [(1, 1), (1, 2), (0.5, 0.9), (3, 4)])
def test_image_and_mask_show_the_same_place(size_hw, scale):
    frame, mask = positions((160, 240))
    transform = training_transform(size_hw, VOID, AugmentOptions(scale=scale, flip=0.5, jitter=0))
    for seed in range(6):
        image, label = draw(transform, frame, mask, seed)
        assert image.shape == (*size_hw, 3)
        inside = label != VOID
        assert inside.mean() > 0.1
        # Nearest pixels lie half an output pixel or less from the point that the image was sampled at, and so does
        # a box's middle; bilinear sampling adds half an input pixel, rounding half a level.
        for value, cell, side, across in (
            (image[..., 1], label // 16, 0, size_hw[0]),
            (image[..., 0], label % 16, 1, size_hw[1]),
        ):
            step = frame.shape[side] / scale[0] / across
            # Beside the padding a pixel is mixed with grey.
            near = inside & (image[..., 2] == 77)
            away = np.maximum(16 * cell - value, value - (16 * cell + 15))[near]
            assert away.max() <= 0.5 * max(step, 1) + 1


def test_mask_is_not_shifted():
    """Of each block of 4x4 pixels that shrinks to one, the mask keeps a middle pixel, where the image's average lies too."""
    mask = np.tile(np.arange(4, dtype=np.uint8), (64, 24))
    _, label = draw(training_transform((16, 24), VOID, STILL), np.zeros((64, 96, 3), np.uint8), mask, 0)
    assert set(np.unique(label)) <= {1, 2}


def test_neutral_settings_show_the_whole_image_unchanged():
    frame, mask = positions((64, 96))
    image, label = draw(training_transform((64, 96), VOID, STILL), frame, mask, 0)
    np.testing.assert_array_equal(image, frame)
    np.testing.assert_array_equal(label, mask)


def test_crops_keep_the_sizes_of_things():
    """A crop of the whole frame's network input: at zoom 1 its pixels are pixels of the frame."""
    frame, mask = positions((64, 96))
    crop = RandomScaleCrop((32, 64), (1, 1), VOID, whole_hw=(64, 96))
    corners = set()
    for seed in range(8):
        torch.manual_seed(seed)
        image, label = crop(*to_tensors(frame, mask))
        left, top = int(image[2, 0, 0]), int(image[1, 0, 0])
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy()[..., ::-1], frame[top : top + 32, left : left + 64])
        np.testing.assert_array_equal(label, mask[top : top + 32, left : left + 64])
        corners.add((top, left))
    assert len(corners) > 4


def test_flip_mirrors_both():
    frame, mask = positions((64, 96))
    image, label = draw(training_transform((64, 96), VOID, AugmentOptions(scale=(1, 1), flip=1, jitter=0)), frame, mask, 0)
    np.testing.assert_array_equal(image, frame[:, ::-1])
    np.testing.assert_array_equal(label, mask[:, ::-1])


def test_share_of_flips():
    frame, mask = positions((32, 32))
    transform = training_transform((32, 32), VOID, AugmentOptions(scale=(1, 1), flip=0.25, jitter=0))
    flipped = sum(draw(transform, frame, mask, seed)[0][0, 0, 0] != 0 for seed in range(200))
    assert 30 <= flipped <= 70  # 50 expected, standard deviation 6


@pytest.mark.parametrize("void", [11, 255])
def test_zooming_out_leaves_a_void_border(void):
    frame, mask = positions((64, 96))
    image, label = draw(
        training_transform((64, 96), void, AugmentOptions(scale=(0.5, 0.5), flip=0, jitter=0)), frame * 0, mask * 0, 3
    )
    border = label == void
    assert border.mean() == pytest.approx(0.75, abs=0.03)  # half of each side shows the image
    assert set(np.unique(label)) == {0, void}
    assert np.abs(image[border] - 114).max() <= 114 / 2 + 1  # mixed with the black image at its edge
    assert (image[border] == 114).mean() > 0.9
    rows, columns = (np.flatnonzero((~border).any(axis)) for axis in (1, 0))
    assert (~border)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # one rectangle


def test_crops_reach_every_corner():
    frame, mask = positions((64, 96))
    seen = np.zeros((64, 96), bool)
    crop = RandomScaleCrop((32, 48), (2, 2), VOID)
    for seed in range(60):
        torch.manual_seed(seed)
        image, _ = crop(*to_tensors(frame, mask))
        left, top = int(image[2].min()), int(image[1].min())
        seen[top : top + 32, left : left + 48] = True
    assert seen.mean() > 0.95
    assert seen[0].any()
    assert seen[-1].any()
    assert seen[:, 0].any()
    assert seen[:, -1].any()


def test_zoom_stays_in_its_range_and_uses_it():
    frame, mask = positions((96, 192))
    crop = RandomScaleCrop((96, 192), (1, 2), VOID)
    zooms = []
    for seed in range(80):
        torch.manual_seed(seed)
        image, _ = crop(*to_tensors(frame, mask))
        zooms.append(192 / (int(image[2].max()) - int(image[2].min()) + 1))
    assert 0.99 <= min(zooms) < 1.1
    assert 1.8 < max(zooms) <= 2.03
    assert np.median(zooms) == pytest.approx(2**0.5, abs=0.2)  # log-uniform


def test_jitter_changes_the_image_only():
    frame, mask = positions((64, 96))
    image, label = draw(training_transform((64, 96), VOID, AugmentOptions(scale=(1, 1), flip=0, jitter=0.4)), frame, mask, 0)
    assert np.abs(image - frame).mean() > 2
    np.testing.assert_array_equal(label, mask)


@pytest.mark.parametrize("strength", [0.1, 0.4, 1.0])
def test_jitter_is_torchvisions(strength):
    """The same draws, and the same picture but for a level here and there."""
    theirs = v2.ColorJitter(strength, strength, strength)
    changed = 0.0
    for seed in range(12):
        frame = np.random.default_rng(seed).integers(20, 220, (40, 56, 3), np.uint8)
        image, mask = to_tensors(frame, frame[..., 0])
        torch.manual_seed(seed)
        expected = theirs(image).numpy().astype(int)
        after = torch.rand(())
        torch.manual_seed(seed)
        ours, label = ColourJitter(strength)(image, mask)
        assert torch.rand(()) == after
        assert label is mask
        apart = np.abs(ours.numpy() - expected)
        assert apart.max() <= 5
        assert apart.mean() < 0.8
        changed = max(changed, np.abs(ours.numpy() - image.numpy().astype(int)).mean())
    assert changed > 40 * strength


def test_same_seed_same_sample():
    frame, mask = positions((64, 96))
    transform = training_transform((64, 96), VOID, AugmentOptions())
    first, again, other = (draw(transform, frame, mask, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[0] != other[0]).any()


def test_samples_are_uint8():
    image, label = training_transform((32, 64), VOID, AugmentOptions())(*to_tensors(*positions((48, 80))))
    assert (image.dtype, label.dtype) == (torch.uint8, torch.uint8)
    assert (tuple(image.shape), tuple(label.shape)) == ((3, 32, 64), (32, 64))


def test_tensors_are_rgb():
    frame, mask = positions((8, 12))
    image, label = to_tensors(frame, mask)
    np.testing.assert_array_equal(image.numpy(), frame[..., ::-1].transpose(2, 0, 1))
    np.testing.assert_array_equal(label.numpy(), mask)


@pytest.mark.parametrize("size_hw", [(64, 96), (57, 80), (32, 32), (160, 192), (64, 160)])
def test_whole_images_are_resized_as_the_runtime_resizes_frames(size_hw):
    frame = np.random.default_rng(0).integers(0, 256, (96, 144, 3), np.uint8)
    image = resize_whole(to_tensors(frame, frame[..., 0])[0], size_hw)
    expected = kernels.resize(frame, size_hw, "area")
    np.testing.assert_array_equal(image.numpy(), expected[..., ::-1].transpose(2, 0, 1))


def test_shrinking_averages_boxes():
    frame = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    image = resize_whole(to_tensors(frame, frame[..., 0])[0], (16, 32)).numpy()[::-1]
    boxes = frame.reshape(16, 4, 32, 3, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(image - boxes).max() <= 1


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"scale": (2, 1)}, "`scale`: expected a range that rises within 0.1 to 10, got 2 to 1"),
        ({"scale": (0, 1)}, "`scale`: expected a range that rises within 0.1 to 10, got 0 to 1"),
        ({"scale": (1, 11)}, "`scale`: expected a range that rises"),
        ({"scale": (1, float("nan"))}, "`scale`: expected a finite number, got nan"),
        ({"flip": 1.1}, "`flip`: expected 0 to 1, got 1.1"),
        ({"flip": -0.1}, "`flip`: expected 0 to 1, got -0.1"),
        ({"jitter": 2}, "`jitter`: expected 0 to 1, got 2"),
        ({"jitter": float("nan")}, "`jitter`: expected a finite number, got nan"),
    ],
)
def test_wrong_settings(values, text):
    with pytest.raises(InputError, match=text):
        AugmentOptions(**values)


# Rotation


def test_a_quarter_turn_moves_image_and_mask_alike(monkeypatch):
    """Of a square: nothing comes in at the corners, and every pixel is where a turn puts it."""
    monkeypatch.setattr(torch, "rand", lambda _size: torch.ones(()))  # the whole angle
    frame, mask = positions((64, 64))
    image, label = draw(RandomRotation(90, VOID), frame, mask, 0)
    np.testing.assert_array_equal(image, np.rot90(frame))
    np.testing.assert_array_equal(label, np.rot90(mask))


def test_rotation_keeps_them_together_and_leaves_void_corners():
    frame, mask = positions((64, 96))
    areas = []
    for seed in range(8):
        image, label = draw(training_transform((64, 96), VOID, replace(STILL, rotate=20)), frame, mask, seed)
        inside = label != VOID
        areas.append(inside.mean())
        # Bilinear images and nearest masks: half a pixel apart at most, and a level of rounding.
        near = inside & (image[..., 2] == 77)
        assert near.sum() > 0.7 * inside.sum()
        for value, cell in ((image[..., 1], label // 16), (image[..., 0], label % 16)):
            assert np.maximum(16 * cell - value, value - (16 * cell + 15))[near].max() <= 1.5
        assert (image[cv2.erode((~inside).astype(np.uint8), np.ones((5, 5))) > 0] == 114).all()
    assert min(areas) < 0.95
    assert max(areas) > min(areas) + 0.02  # another angle each time, to both sides


def test_rotation_stays_within_its_limit():
    """The longest line of a large cross turns by at most the angle that was asked for."""
    mask = np.zeros((200, 200), np.uint8)
    mask[100, :] = 1
    frame = np.zeros((200, 200, 3), np.uint8)
    slopes = []
    for seed in range(20):
        _, label = draw(RandomRotation(10, VOID), frame, mask, seed)
        y, x = np.nonzero(label == 1)
        slopes.append(np.degrees(np.arctan(np.polyfit(x, y, 1)[0])))
    assert max(np.abs(slopes)) <= 10.3
    assert min(slopes) < -4
    assert max(slopes) > 4


@pytest.mark.parametrize("rotate", [-1, 181, float("nan")])
def test_wrong_angles(rotate):
    with pytest.raises(InputError, match="`rotate`: expected (0 to 180|a finite number), got"):
        AugmentOptions(rotate=rotate)
