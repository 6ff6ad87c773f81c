"""Arrays that are painted over instead of allocated anew."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.uint8]


class Spares:
    """Arrays that nobody needs any more, by shape. One thread gives, another takes.

    Args:
        shapes: Sizes of frames that are in use at the same time; older ones are forgotten, so that a folder of images of all
            sizes doesn't fill the memory.
    """

    def __init__(self, shapes: int) -> None:
        self._most = max(shapes, 1)
        self._arrays: dict[tuple[int, ...], list[Array]] = {}
        self._lock = threading.Lock()

    def give(self, array: Array | None) -> None:
        """Leaves an array, to be painted over."""
        if array is None:
            return
        with self._lock:
            # The latest size goes to the end: the first one is the one that was not given for the longest time.
            arrays = self._arrays.pop(array.shape, [])
            arrays.append(array)
            self._arrays[array.shape] = arrays
            if len(self._arrays) > self._most:
                del self._arrays[next(iter(self._arrays))]

    def take(self, shape: tuple[int, ...]) -> Array | None:
        """An array of that shape, or None."""
        with self._lock:
            arrays = self._arrays.get(shape)
            return arrays.pop() if arrays else None
