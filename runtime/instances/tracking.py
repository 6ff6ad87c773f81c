"""Identity of components from frame to frame.

Own, because it is this short. Trackers of other packages bring SciPy, Matplotlib or an unmaintained Kalman filter onto an
edge device; whoever needs one passes ``Components.to_supervision()`` to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from .components import I64, Components


@dataclass
class _Track:
    number: int
    box: I64
    missed: int = 0


class ComponentTracker:
    """Gives components the identity of those whose boxes they overlap most, of the last frames.

    Pairs are matched by overlap, the best first. What overlaps nothing is new. Parts that merge keep one identity, and parts
    that split get one new one.

    Args:
        min_iou: Least intersection over union of two boxes, above 0 to 1.
        patience: Frames that a component may be missing before its identity ends.

    Raises:
        InputError: a number is out of range.
    """

    def __init__(self, min_iou: float = 0.1, patience: int = 10) -> None:
        if not 0 < min_iou <= 1:
            raise InputError(f"`min_iou`: expected above 0 to 1, got {min_iou}")
        if patience < 0:
            raise InputError(f"`patience`: expected frames from 0 on, got {patience}")
        self._min_iou, self._patience = min_iou, patience
        self._tracks: list[_Track] = []
        self._count = 0

    @property
    def count(self) -> int:
        """Number of identities so far."""
        return self._count

    def update(self, found: Components) -> Components:
        """The components of the next frame with ``ids``."""
        ids = np.zeros(len(found), np.int64)
        overlap = _iou(np.array([track.box for track in self._tracks]).reshape(-1, 4), found.boxes)
        seen: set[int] = set()
        while overlap.size and (best := float(overlap.max())) >= self._min_iou and best > 0:
            old, new = np.unravel_index(int(overlap.argmax()), overlap.shape)
            track = self._tracks[old]
            ids[new], track.box, track.missed = track.number, found.boxes[new], 0
            seen.add(track.number)
            overlap[old, :] = overlap[:, new] = 0
        for track in self._tracks:
            track.missed += track.number not in seen
        self._tracks = [track for track in self._tracks if track.missed <= self._patience]
        for new in np.flatnonzero(ids == 0):
            self._count += 1
            ids[new] = self._count
            self._tracks.append(_Track(self._count, found.boxes[new]))
        return found.with_ids(ids)


def _iou(a: I64, b: I64) -> npt.NDArray[np.float64]:
    """Intersection over union of boxes: float64 (N, M)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a, b)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None, :] - shared, 1), np.float64)
