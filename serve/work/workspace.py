"""Memory that a codec thread keeps from request to request: fresh memory costs the kernel a page fault every 4 KiB."""

from __future__ import annotations

import threading
from math import prod

import numpy as np
import numpy.typing as npt

# Larger arrays are allocated for each request, or a few large images would hold memory for ever.
_MOST_BYTES = 8 << 20


class Workspace(threading.local):
    """Arrays of the calling thread.

    >>> workspace = Workspace()
    >>> first = workspace.take("mask", (4, 6))
    >>> workspace.take("mask", (2, 3)).base is first.base  # the same memory
    True
    """

    def __init__(self) -> None:
        self._kept: dict[str, npt.NDArray[np.uint8]] = {}

    def take(self, use: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """uint8, C-contiguous, of any content; valid until the thread takes the next array for the same use."""
        size = prod(shape)
        if size > _MOST_BYTES:
            return np.empty(shape, np.uint8)
        kept = self._kept.get(use)
        if kept is None or kept.size < size:
            kept = self._kept[use] = np.empty(size, np.uint8)
        return kept[:size].reshape(shape)


#: Of every thread its own.
workspace = Workspace()
