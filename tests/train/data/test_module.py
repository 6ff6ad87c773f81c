"""Batches of a folder dataset."""

from __future__ import annotations

import time
from collections import deque

import cv2
import numpy as np
import pytest
import torch

from seg_edge.datasets.opening import open_dataset
from seg_edge.runtime.frame import kernels
from seg_edge.train.data import module
from seg_edge.train.data.augment import AugmentOptions, resize_whole, to_tensors
from seg_edge.train.data.module import (
    Batches,
    EpochSampler,
    TrainSet,
    ValSet,
    collate_val,
    default_workers,
    loaders,
)

SIZE = (32, 64)
VARIED = AugmentOptions()


def make(dataset, *, batch=4, workers=0, seed=0, augment=VARIED):
    train, val = (open_dataset(dataset, split) for split in ("train", "val"))
    return loaders(train, val, size_hw=SIZE, batch=batch, workers=workers, augment=augment, seed=seed, pin=False)


def epoch(loader, number=0):
    loader.sampler.set_epoch(number)
    return [(images.clone(), masks.clone()) for images, masks in loader]


def equal(a, b):
    return len(a) == len(b) and all(
        torch.equal(x, y) for one, other in zip(a, b, strict=True) for x, y in zip(one, other, strict=True)
    )


def test_training_batches(dataset):
    first, _ = make(dataset, batch=3)
    batches = epoch(first)
    assert [len(images) for images, _ in batches] == [3, 3]  # of 8 images; the rest of two is left out
    for images, masks in batches:
        assert (images.shape, images.dtype) == ((3, 3, *SIZE), torch.uint8)
        assert (masks.shape, masks.dtype) == ((3, *SIZE), torch.uint8)
        assert set(masks.unique().tolist()) <= {0, 1, 2, 255}
    assert type(images) is torch.Tensor
    assert type(masks) is torch.Tensor


def test_crops_are_for_training_alone(dataset):
    train, val = (open_dataset(dataset, split) for split in ("train", "val"))
    first, second = loaders(
        train, val, size_hw=(64, 96), crop_hw=(32, 64), batch=4, workers=0, augment=AugmentOptions(), seed=0, pin=False
    )
    assert next(iter(first))[0].shape[-2:] == (32, 64)
    assert next(iter(second))[0].shape[-2:] == (64, 96)


@pytest.mark.parametrize(("batch", "sizes"), [(8, [8]), (9, [8]), (100, [8]), (1, [1] * 8), (5, [5])])
def test_split_smaller_than_a_batch_gives_one_smaller_batch(dataset, batch, sizes):
    first, _ = make(dataset, batch=batch)
    assert [len(images) for images, _ in epoch(first)] == sizes
    assert len(first) == len(sizes)


def test_validation_batches_hold_every_image_in_order(dataset):
    _, second = make(dataset, batch=2)
    data = open_dataset(dataset, "val")
    batches = list(second)
    assert [len(images) for images, _ in batches] == [2, 1]
    images = torch.cat([images for images, _ in batches])
    masks = [mask for _, group in batches for mask in group]
    for i in range(3):
        frame, label = data.read(i)
        assert torch.equal(images[i], resize_whole(to_tensors(frame, label)[0], SIZE))
        np.testing.assert_array_equal(masks[i].numpy(), label)  # as it was labelled, at its own size


def test_validation_masks_may_differ_in_size():
    samples = [(torch.zeros(3, *SIZE, dtype=torch.uint8), torch.zeros(h, 50, dtype=torch.uint8)) for h in (40, 60)]
    images, masks = collate_val(samples)
    assert images.shape == (2, 3, *SIZE)
    assert [tuple(mask.shape) for mask in masks] == [(40, 50), (60, 50)]


def test_epochs_differ_and_come_again(dataset):
    first, _ = make(dataset)
    zero, one = epoch(first, 0), epoch(first, 1)
    assert not equal(zero, one)
    assert equal(epoch(first, 0), zero)
    assert equal(epoch(make(dataset)[0], 1), one)
    assert not equal(epoch(make(dataset, seed=1)[0], 0), zero)


# On a machine of one core torch advises against the second process.
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")
def test_loader_processes_change_nothing(dataset):
    alone, many = make(dataset)[0], make(dataset, workers=2)[0]
    state = torch.get_rng_state()
    for number in (0, 1):
        assert equal(epoch(alone, number), epoch(many, number))
    assert torch.equal(torch.get_rng_state(), state)  # the loss draws from it


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_stay_as_they_are_while_the_next_ones_are_made(dataset, workers):
    """Memory is used again, and not before the training is through with it."""
    expected = epoch(make(dataset, batch=1)[0]) + epoch(make(dataset, batch=1)[0], 1)
    loader = make(dataset, batch=1, workers=workers)[0]
    held = deque(maxlen=workers * (Batches.DEPTH - Batches.PREFETCH))
    for number in (0, 1):
        loader.sampler.set_epoch(number)
        for batch in loader:
            held.append((expected.pop(0), batch))
            time.sleep(0.02)  # the processes fill their queues
            assert all(equal([wanted], [got]) for wanted, got in held)
    assert not expected


def test_loader_processes_have_one_thread_each(dataset, monkeypatch):
    """OpenCV's pool spins while it waits, on cores that the training step needs."""

    def counted(self, index):
        return torch.full((3, 2, 2), cv2.getNumThreads()), torch.full((2, 2), kernels.threads())

    monkeypatch.setattr(TrainSet, "__getitem__", counted)
    cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 0)  # this process has OpenCV's threads already
    for images, masks in make(dataset, workers=2)[0]:
        assert images.unique().tolist() == masks.unique().tolist() == [1]


def test_order_is_a_permutation():
    sampler = EpochSampler(50, 3)
    orders = []
    for number in range(3):
        sampler.set_epoch(number)
        draws = list(sampler)
        orders.append([index for index, _ in draws])
        assert sorted(orders[-1]) == list(range(50))
        assert len({seed for _, seed in draws}) == 50
    assert len(sampler) == 50
    assert orders[0] != orders[1] != orders[2]


def test_a_sample_depends_on_its_draw_only(dataset):
    data = TrainSet(open_dataset(dataset, "train"), SIZE, VARIED)
    first, again, other = data[2, 7], data[2, 7], data[2, 8]
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert (len(data), len(ValSet(data.data, SIZE))) == (8, 8)


def write(root, name, frame, label, split="train"):
    for kind, image in (("images", frame), ("labels", label)):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / kind / split / f"{name}.png"), image)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 2), (64, 8)])
def test_default_workers(monkeypatch, cores, workers):
    monkeypatch.setattr(module, "usable_count", lambda: cores)
    assert default_workers() == workers
    assert default_workers(2) == max(1, min(8, cores // 2))  # two processes of a training on this machine
