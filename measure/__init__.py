"""Measuring: accuracy, speed, power; comparison of trainings and of domains.

>>> from seg_edge.measure import BenchOptions, bench
>>> report = bench(["unet-s-camvid"], BenchOptions(engines=["onnxruntime"], runs=6))
>>> report["rows"][0]["fps_e2e"] > 0
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .benchmark.outcome import BenchReport, require_fps, require_measured
    from .benchmark.runs import bench
    from .comparison.stage import ComparisonReport, compare
    from .domains import DomainsReport, evaluate_domains, require_unseen_miou
    from .evaluation import EvaluationReport, evaluate, require_miou
    from .options import BenchOptions, CompareOptions, EvaluateOptions

__all__ = [
    "BenchOptions",
    "BenchReport",
    "CompareOptions",
    "ComparisonReport",
    "DomainsReport",
    "EvaluateOptions",
    "EvaluationReport",
    "bench",
    "compare",
    "evaluate",
    "evaluate_domains",
    "require_fps",
    "require_measured",
    "require_miou",
    "require_unseen_miou",
]

# Loaded on first use: the command imports the classes of options from here before it needs NumPy, OpenCV or torch.
_HOMES = {
    "BenchOptions": ".options",
    "BenchReport": ".benchmark.outcome",
    "CompareOptions": ".options",
    "ComparisonReport": ".comparison.stage",
    "DomainsReport": ".domains",
    "EvaluateOptions": ".options",
    "EvaluationReport": ".evaluation",
    "bench": ".benchmark.runs",
    "compare": ".comparison.stage",
    "evaluate": ".evaluation",
    "evaluate_domains": ".domains",
    "require_fps": ".benchmark.outcome",
    "require_measured": ".benchmark.outcome",
    "require_miou": ".evaluation",
    "require_unseen_miou": ".domains",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
