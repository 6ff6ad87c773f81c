from __future__ import annotations

import numpy as np

from seg_edge.runtime.pipeline.buffer_pool import BufferPool


def test_given_arrays_come_back():
    pool = BufferPool(2)
    frame, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    pool.give(frame)
    pool.give(mask)
    pool.give(None)
    assert pool.take((4, 6, 3)) is frame
    assert pool.take((4, 6, 3)) is None
    assert pool.take((4, 6)) is mask


def test_sizes_that_are_gone_are_forgotten():
    pool = BufferPool(2)
    for height in range(1, 5):
        pool.give(np.zeros((height, 2), np.uint8))
        pool.give(np.zeros((1, 2), np.uint8))  # this one stays in use
    assert [pool.take((height, 2)) is not None for height in (1, 2, 3, 4)] == [True, False, False, True]
