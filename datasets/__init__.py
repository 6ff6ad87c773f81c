"""Datasets: reading any layout, checking, converting, generating.

>>> from seg_edge.datasets import open_dataset
>>> data = open_dataset("data/camvid", "val")  # doctest: +SKIP
>>> frame, mask = data.read(0)  # uint8 (H, W, 3) BGR and uint8 (H, W)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dataset import SegDataset
    from .opening import open_dataset

__all__ = ["SegDataset", "open_dataset"]

# Loaded on first use: the command reads options' classes from here before it needs NumPy and OpenCV.
_HOMES = {
    "SegDataset": ".dataset",
    "open_dataset": ".opening",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
