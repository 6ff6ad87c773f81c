"""seg-edge: train, shrink, export and run real-time semantic segmentation on edge devices.

>>> from seg_edge import Segmenter
>>> seg = Segmenter("model.int8.onnx")
>>> mask = seg(frame)  # uint8 (H, W), one class number per pixel of the frame
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .core.errors import SegEdgeError
    from .core.spec import ModelSpec
    from .core.version import __version__
    from .runtime.pipeline.pipeline import Pipeline
    from .runtime.segmenter import Segmenter
    from .runtime.sinks import open_sink
    from .runtime.sources import open_source

__all__ = ["ModelSpec", "Pipeline", "SegEdgeError", "Segmenter", "__version__", "open_sink", "open_source"]

# Loaded on first use, so that `seg-edge --help` doesn't wait for OpenCV, and so that pytest can import this file in a clone
# whose folder name is no identifier: there, relative imports fail.
_HOMES = {
    "ModelSpec": ".core.spec",
    "Pipeline": ".runtime.pipeline.pipeline",
    "SegEdgeError": ".core.errors",
    "Segmenter": ".runtime.segmenter",
    "__version__": ".core.version",
    "open_sink": ".runtime.sinks",
    "open_source": ".runtime.sources",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
