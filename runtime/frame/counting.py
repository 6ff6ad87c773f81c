"""C kernels that count the pixels of every class, of a mask or of logits, without making a picture.

The functions of :mod:`.kernels` that make masks and overlays count too, for the same ``counts`` and ``regions``. Rules for
arrays and threads are those of that module.
"""

from __future__ import annotations

import numpy as np

from .._kernels import count as _count
from .fit import Window
from .kernels import U8, Counts, Logits


def count_mask(mask: U8, counts: Counts, regions: object | None = None, *, threads: int | None = None) -> Counts:
    """Adds the number of pixels of every value of a mask.

    The functions that make masks and overlays count what they compute, for the same arguments ``counts`` and ``regions``.

    >>> count_mask(np.array([[0, 2, 2]], np.uint8), np.zeros((1, 256), np.uint64))[0, :3]
    array([1, 0, 2], dtype=uint64)

    Args:
        mask: uint8 (H, W), C-contiguous.
        counts: uint64 (regions, 256), C-contiguous: added to.
        regions: A division of an image of this size, see :class:`seg_edge.runtime.areas.zones.Division`; None is one region.
        threads: See the module.

    Returns:
        ``counts``.

    Raises:
        TypeError, ValueError: an array is invalid, or the division is of another size.
    """
    height, width = np.shape(mask) if np.ndim(mask) == 2 else (1, 1)
    _count(mask, (height, width), counts, False, None, threads or 0, None, regions)
    return counts


def count_logits(
    logits_chw: Logits,
    size_hw: tuple[int, int],
    counts: Counts,
    regions: object | None = None,
    *,
    window: Window | None = None,
    threads: int | None = None,
) -> Counts:
    """Counts as :func:`count_mask` does, of the mask that :func:`upsample_argmax` would give; no mask is made."""
    _count(logits_chw, (int(size_hw[0]), int(size_hw[1])), counts, True, None, threads or 0, window, regions)
    return counts
