"""Pairs that are decoded once, and those of a dataset that is too large for it."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest

from seg_edge.core.dataset import SegDataset, open_dataset
from seg_edge.core.errors import DataError
from seg_edge.train.data import kept
from seg_edge.train.data.augment import AugmentConfig
from seg_edge.train.data.kept import KeptReads, free_for_data
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
    pairs = KeptReads(data)
    assert len(pairs) == len(data) == len(reads) == 8
    for index in (3, 0, 7, 3):
        for one, other in zip(pairs.read(index), data.read(index), strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(reads) == 8 + 4  # those of the comparison alone


def test_a_larger_dataset_is_read_from_its_files(dataset, reads, monkeypatch):
    data = open_dataset(dataset, "train")
    frame, mask = data.read(0)
    size = 8 * (frame.nbytes + mask.nbytes)
    monkeypatch.setattr(kept, "free_for_data", lambda: size)
    assert len(KeptReads(data)) == 8
    assert len(KeptReads(data, processes=2)) == 0
    monkeypatch.setattr(kept, "free_for_data", lambda: size - 1)
    pairs = KeptReads(data)
    assert len(pairs) == 0
    reads.clear()
    np.testing.assert_array_equal(pairs.read(5)[0], data.read(5)[0])
    assert reads == [5, 5]


def test_what_is_kept_does_not_travel(dataset, reads):
    """A process that is started anew gets the list of files alone."""
    pairs = KeptReads(open_dataset(dataset, "train"))
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
        KeptReads(data)


def test_epochs_leave_what_is_kept_as_it_is(dataset):
    train, val = (open_dataset(dataset, split) for split in ("train", "val"))
    augment = AugmentConfig(rotate=10, classmix=0.5, cutmix=0.5)
    for loader in loaders(train, val, size_hw=(32, 64), batch=4, workers=0, augment=augment, seed=0, pin=False):
        for images, _ in loader:
            images.zero_()
        source = loader.dataset
        for index in range(len(source)):
            for one, other in zip(source.kept.read(index), source.data.read(index), strict=True):
                np.testing.assert_array_equal(one, other)


def test_free_memory(monkeypatch):
    values = {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(kept.os, "sysconf", values.__getitem__, raising=False)
    assert free_for_data() == 1000 * 4096 / 4
    values["SC_AVPHYS_PAGES"] = 1 << 40
    assert free_for_data() == kept.LIMIT

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(kept.os, "sysconf", unknown, raising=False)
    assert free_for_data() == 0
