"""Decoded pairs kept in memory: decoding files is half of the work of a training sample, and the same in each epoch."""

from __future__ import annotations

import os
from typing import Any

from ...core.coding import Mask
from ...core.dataset import Frame, SegDataset

#: Bytes of decoded pairs that a dataset may take up, at most; and a part of the free memory, at most.
LIMIT, PART = 2 << 30, 1 / 4


class KeptReads:
    """:meth:`SegDataset.read`, of a dataset small enough without reading anything twice.

    Loader processes are forks and share what this process has read before them, so all is read at once, on construction.
    Where they are started anew instead (macOS, Windows) they read files.

    Args:
        data: The dataset. One that is larger than :func:`free_for_data` allows is read from its files.
        processes: Of the training; each keeps a copy, and all of them may run on this machine.
    """

    def __init__(self, data: SegDataset, processes: int = 1) -> None:
        self.data = data
        self._pairs: list[tuple[Frame, Mask]] = []
        first = data.read(0)
        if len(data) * _bytes(first) <= free_for_data() / processes:
            self._pairs = [first, *(data.read(index) for index in range(1, len(data)))]

    def __len__(self) -> int:
        """Pairs that are kept: all or none."""
        return len(self._pairs)

    def read(self, index: int) -> tuple[Frame, Mask]:
        """As :meth:`SegDataset.read`; the arrays are not the caller's to write to."""
        return self._pairs[index] if self._pairs else self.data.read(index)

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "_pairs": []}


def free_for_data() -> float:
    """Bytes that a dataset may take up on this machine; 0 where the system doesn't tell how much memory is free."""
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 0.0
    return min(LIMIT, PART * free)


def _bytes(pair: tuple[Frame, Mask]) -> int:
    return pair[0].nbytes + pair[1].nbytes
