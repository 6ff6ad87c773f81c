"""From a checkpoint to a deployed model: pruning, quantization, export, engine files, verification.

>>> from seg_edge.export import ExportOptions, export
>>> report = export("runs/street/best.pt", "street", ExportOptions(int8=True, data="camvid"))  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .deliver.options import DeliverOptions
    from .foreign.options import ImportOptions
    from .graph.options import QuantOptions
    from .int8.options import QatOptions
    from .options import ExportOptions
    from .pruning.options import PruneOptions
    from .stages import build, export, import_network, prune, verify
    from .trt.options import BuildOptions

__all__ = [
    "BuildOptions",
    "DeliverOptions",
    "ExportOptions",
    "ImportOptions",
    "PruneOptions",
    "QatOptions",
    "QuantOptions",
    "build",
    "export",
    "import_network",
    "prune",
    "verify",
]

# Loaded on first use. No stage imports torch or onnx before it has checked its inputs.
_HOMES = {
    "BuildOptions": ".trt.options",
    "DeliverOptions": ".deliver.options",
    "ExportOptions": ".options",
    "ImportOptions": ".foreign.options",
    "PruneOptions": ".pruning.options",
    "QatOptions": ".int8.options",
    "QuantOptions": ".graph.options",
    "build": ".stages",
    "export": ".stages",
    "import_network": ".stages",
    "prune": ".stages",
    "verify": ".stages",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
