"""A pool of arrays for reuse."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]


class BufferPool:
    """Unused arrays by shape. Thread-safe: one thread may return arrays while another takes them.

    Args:
        shapes: Maximum number of shapes. The least recently used shape is dropped, so that a folder of images of many
            sizes doesn't fill the memory.
    """

    def __init__(self, shapes: int) -> None:
        self._most = max(shapes, 1)
        self._arrays: dict[tuple[int, ...], list[Array]] = {}
        self._lock = threading.Lock()

    def give(self, array: Array | None) -> None:
        """Returns an array to the pool; it may be overwritten from now on."""
        if array is None:
            return
        with self._lock:
            # The latest shape goes to the end, so the first one is the least recently used.
            arrays = self._arrays.pop(array.shape, [])
            arrays.append(array)
            self._arrays[array.shape] = arrays
            if len(self._arrays) > self._most:
                del self._arrays[next(iter(self._arrays))]

    def take(self, shape: tuple[int, ...]) -> Array | None:
        """Takes an array of the given shape; None if there is none."""
        with self._lock:
            arrays = self._arrays.get(shape)
            return arrays.pop() if arrays else None
