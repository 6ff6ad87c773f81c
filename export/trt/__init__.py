"""Engine files: one builder for TensorRT and TensorRT-RTX."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .build import build_file, build_plan
    from .dialect import for_tensorrt
    from .dla import DlaLayer, dry_run
    from .options import BuildOptions
    from .record import plan_name

__all__ = ["BuildOptions", "DlaLayer", "build_file", "build_plan", "dry_run", "for_tensorrt", "plan_name"]

# Loaded on first use: reading options must import neither onnx nor TensorRT.
_HOMES = {
    "BuildOptions": ".options",
    "DlaLayer": ".dla",
    "build_file": ".build",
    "build_plan": ".build",
    "dry_run": ".dla",
    "for_tensorrt": ".dialect",
    "plan_name": ".record",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
