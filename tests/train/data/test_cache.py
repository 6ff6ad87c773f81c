"""Pairs that are decoded once, and those of a dataset that is too large for it."""

from __future__ import annotations

import pickle
import shutil

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets.dataset import SegDataset
from seg_edge.datasets.opening import open_dataset
from seg_edge.train import AugmentOptions
from seg_edge.train.data import cache, module
from seg_edge.train.data.cache import CachedReads, free_for_data
from seg_edge.train.data.module import loaders


@pytest.fixture
def reads(monkeypatch):
    """Numbers of the pairs that are read from files, in order."""
    seen: list[int] = []
    read = SegDataset.read
    monkeypatch.setattr(SegDataset, "read", lambda self, index: seen.append(index) or read(self, index))
    return seen


def test_pairs_are_those_of_the_files_and_read_once(dataset, reads):
    data = open_dataset(dataset, "train")
    pairs = CachedReads(data, 1 << 30)
    assert len(pairs) == len(data) == len(reads) == 8
    for index in (3, 0, 7, 3):
        for one, other in zip(pairs.read(index), data.read(index), strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(reads) == 8 + 4  # those of the comparison alone


def test_a_larger_dataset_is_read_from_its_files(dataset, reads):
    data = open_dataset(dataset, "train")
    frame, mask = data.read(0)
    size = 8 * (frame.nbytes + mask.nbytes)
    pairs = CachedReads(data, size)
    assert (len(pairs), pairs.bytes) == (8, size)
    reads.clear()
    for pairs in (CachedReads(data, size - 1), CachedReads(data)):
        assert (len(pairs), pairs.bytes) == (0, 0)
    assert reads == [0]
    np.testing.assert_array_equal(pairs.read(5)[0], data.read(5)[0])
    assert reads == [0, 5, 5]


def test_images_of_different_sizes(dataset, tmp_path, reads):
    """The first says little of the others."""
    folder = shutil.copytree(dataset, tmp_path / "d")
    data = open_dataset(folder, "train")
    frame, mask = data.read(0)
    for files, pixels in ((data.images, frame), (data.masks, mask)):
        for file in files[1:]:
            cv2.imwrite(str(file), np.repeat(np.repeat(pixels, 3, 0), 3, 1))
    one = frame.nbytes + mask.nbytes
    reads.clear()
    assert len(CachedReads(data, 30 * one)) == 0
    assert reads == [0, 1, 2, 3, 4]  # 1 + 9 + 9 + 9 + 9
    assert CachedReads(data, 64 * one).bytes == 64 * one


def test_both_splits_share_the_room(dataset, monkeypatch):
    train, val = (open_dataset(dataset, split) for split in ("train", "val"))
    one = sum(array.nbytes for array in train.read(0))
    wanted = {"size_hw": (32, 64), "batch": 2, "augment": AugmentOptions(), "seed": 0, "pin": False}

    def cached_pairs(room, workers=0, **other):
        monkeypatch.setattr(module, "free_for_data", lambda: room)
        pair = loaders(train, val, workers=workers, **wanted, **other)
        # The second is of a process's part of the split, or of all.
        sets = [getattr(loader.dataset, "dataset", loader.dataset) for loader in pair]
        return [len(samples.cache) for samples in sets]

    assert cached_pairs(11 * one) == cached_pairs(11 * one, workers=1) == [8, 3]
    assert cached_pairs(11 * one - 1) == [8, 0]
    assert cached_pairs(8 * one - 1) == [0, 3]
    assert cached_pairs(11 * one, share=(1, 2)) == [0, 3]  # and the other process as much
    monkeypatch.setattr(module, "get_start_method", lambda: "spawn")
    assert cached_pairs(11 * one) == [8, 3]
    assert cached_pairs(11 * one, workers=1) == [0, 0]  # they are started anew, and would read all files themselves


def test_the_cache_is_not_pickled(dataset, reads):
    """A process that is started anew gets the list of files alone."""
    pairs = CachedReads(open_dataset(dataset, "train"), 1 << 30)
    size = len(pickle.dumps(pairs))
    assert size < pairs.read(0)[0].nbytes
    there = pickle.loads(pickle.dumps(pairs))
    reads.clear()
    np.testing.assert_array_equal(there.read(2)[1], pairs.read(2)[1])
    assert reads == [2]


def test_an_unreadable_file_is_found_before_the_training(dataset, tmp_path):
    data = open_dataset(shutil.copytree(dataset, tmp_path / "d"), "train")
    data.images[6].write_bytes(b"no image")
    with pytest.raises(DataError, match="not a readable image"):
        CachedReads(data, 1 << 30)


def test_epochs_leave_the_cache_as_it_is(dataset):
    train, val = (open_dataset(dataset, split) for split in ("train", "val"))
    augment = AugmentOptions(rotate=10, classmix=0.5, cutmix=0.5)
    for loader in loaders(train, val, size_hw=(32, 64), batch=4, workers=0, augment=augment, seed=0, pin=False):
        for images, masks in loader:
            for tensor in (images, *masks):
                tensor.zero_()
        source = loader.dataset
        for index in range(len(source)):
            for one, other in zip(source.cache.read(index), source.data.read(index), strict=True):
                np.testing.assert_array_equal(one, other)


def test_free_memory(tmp_path, monkeypatch):
    info, limit, used = (tmp_path / name for name in ("meminfo", "memory.max", "memory.current"))
    monkeypatch.setattr(cache, "MEMINFO", info)
    monkeypatch.setattr(cache, "GROUPS", ((limit, used),))
    assert free_for_data() == 0  # another system
    info.write_text("MemTotal:  9000000 kB\nMemFree:  1000 kB\nMemAvailable:    4000 kB\n")
    assert free_for_data() == 4000 * 1024 / 4
    used.write_text("500\n")
    limit.write_text("max\n")
    assert free_for_data() == 4000 * 1024 / 4
    limit.write_text("4500\n")
    assert free_for_data() == 1000
    used.write_text("5000\n")
    assert free_for_data() == 0
    limit.unlink()
    info.write_text("MemAvailable: 900000000 kB\n")
    assert free_for_data() == cache.LIMIT
    monkeypatch.undo()
    assert 0 < free_for_data() <= cache.LIMIT
