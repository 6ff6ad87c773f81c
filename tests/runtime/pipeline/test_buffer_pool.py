from __future__ import annotations

import numpy as np

from seg_edge.runtime.pipeline.buffer_pool import Spares


def test_given_arrays_come_back():
    spares = Spares(2)
    frame, mask = np.zeros((4, 6, 3), np.uint8), np.zeros((4, 6), np.uint8)
    spares.give(frame)
    spares.give(mask)
    spares.give(None)
    assert spares.take((4, 6, 3)) is frame
    assert spares.take((4, 6, 3)) is None
    assert spares.take((4, 6)) is mask


def test_sizes_that_are_gone_are_forgotten():
    spares = Spares(2)
    for height in range(1, 5):
        spares.give(np.zeros((height, 2), np.uint8))
        spares.give(np.zeros((1, 2), np.uint8))  # this one stays in use
    assert [spares.take((height, 2)) is not None for height in (1, 2, 3, 4)] == [True, False, False, True]
