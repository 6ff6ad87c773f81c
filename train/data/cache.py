"""A cache of decoded pairs: decoding files is much of the work of a training sample, and the same in each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...datasets.dataset import Frame, SegDataset
from ...datasets.labelfiles.coding import Mask

#: The cache takes at most so many bytes, and at most this part of the free memory.
LIMIT, PART = 2 << 30, 1 / 4
MEMINFO = Path("/proc/meminfo")
#: Where a container finds its own limit and what it uses of it: control groups of version 2 and 1.
GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


class CachedReads:
    """:meth:`SegDataset.read` that reads each file of a small dataset once.

    All pairs are read on construction, because forked loader processes share what this process has read before the fork.
    Loader processes that are spawned read files.

    Args:
        data: The dataset.
        room: Bytes that the decoded pairs may take up. A larger dataset is read from its files.
    """

    def __init__(self, data: SegDataset, room: float = 0) -> None:
        self.data = data
        self._pairs: list[tuple[Frame, Mask]] = []
        #: Memory that the cached pairs take up.
        self.bytes = 0
        if not room:
            return
        first = data.read(0)
        if len(data) * _bytes(first) > room:  # a large dataset is not read until the room is full
            return
        pairs, taken = [first], _bytes(first)
        for index in range(1, len(data)):
            pairs.append(data.read(index))
            taken += _bytes(pairs[-1])
            if taken > room:  # images differ in size
                return
        self._pairs, self.bytes = pairs, taken

    def __len__(self) -> int:
        """Number of cached pairs: all or none."""
        return len(self._pairs)

    def read(self, index: int) -> tuple[Frame, Mask]:
        """As :meth:`SegDataset.read`; the arrays are not the caller's to write to."""
        return self._pairs[index] if self._pairs else self.data.read(index)

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "_pairs": [], "bytes": 0}


def free_for_data() -> float:
    """Bytes that decoded pairs may take up on this machine; 0 where the system doesn't tell how much memory is free."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return 0.0
    for limit, used in GROUPS:
        try:
            free = min(free, int(limit.read_text(encoding="ascii")) - int(used.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or "max": no limit
            continue
    return max(0.0, min(LIMIT, PART * free))


def _bytes(pair: tuple[Frame, Mask]) -> int:
    return pair[0].nbytes + pair[1].nbytes
