"""Images that are in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

# Two images are alike if at most this many of the 256 bits of their hashes differ. On CamVid a copy at JPEG quality 60 or
# at half the size differs in 5 and 3 bits (medians; at most 13), a frame and the next labelled one, a second later, in 86
# (at least 12).
ALIKE_BITS = 10
_HASH_HW = (16, 17)
#: Hashes that are compared with all of another split at a time: bounds the memory.
_AT_ONCE = 1024

#: (split, file, other split, other file, bits that differ).
Duplicate = tuple[str, str, str, str, int]


def image_hash(frame_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """256 bits, uint8 (32,): whether brightness rises from each cell of a 16 × 17 grid to the next one on its right.

    Images that look the same differ in few bits ("difference hash").
    """
    grey = cv2.cvtColor(cv2.resize(frame_bgr, _HASH_HW[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def duplicates(hashes: Mapping[str, npt.NDArray[np.uint8]], files: Mapping[str, Sequence[str]]) -> list[Duplicate]:
    """Pairs of images of two splits that look the same.

    Args:
        hashes: Split → uint8 (images, 32).
        files: Split → names of its images.
    """
    signs = {split: np.unpackbits(rows, axis=1).astype(np.float32) * 2 - 1 for split, rows in hashes.items()}
    found: list[Duplicate] = []
    names = list(hashes)
    for position, split in enumerate(names):
        for other in names[position + 1 :]:
            for start in range(0, len(signs[split]), _AT_ONCE):
                # A product of signs counts equal bits minus different ones, exactly.
                products = signs[split][start : start + _AT_ONCE] @ signs[other].T
                differing = (signs[split].shape[1] - products) / 2
                for row, column in np.argwhere(differing <= ALIKE_BITS):
                    bits = int(differing[row, column])
                    found.append((split, files[split][start + row], other, files[other][column], bits))
    return found
