"""seg-edge: train, shrink, export and run real-time semantic segmentation on edge devices.

>>> from seg_edge import Segmenter
>>> seg = Segmenter("model.int8.onnx")
>>> mask = seg(frame)  # uint8 (H, W), one class number per pixel of the frame
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.errors import SegEdgeError
    from .core.spec import ModelSpec
    from .runtime.segmenter import Segmenter

__all__ = ["ModelSpec", "SegEdgeError", "Segmenter", "__version__"]

try:
    __version__ = version("seg-edge")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "0"

# Loaded on first use, so that `seg-edge --help` doesn't wait for OpenCV.
_HOMES = {"ModelSpec": ".core.spec", "SegEdgeError": ".core.errors", "Segmenter": ".runtime.segmenter"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
