"""Accuracy and speed of the models of an export, through the runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import EngineError
from ...core.progress import Count
from ...datasets.dataset import SegDataset
from ...measure.benchmark.timing import QUICK, THOROUGH, Candidate, time_engines
from ...measure.evaluation import evaluate_split
from ...runtime.engines import AUTO, engine_class, engines
from ...runtime.segmenter import Segmenter
from .frames import Frame

#: The turns for timings that are reported or compared with a limit.
TURNS = THOROUGH


def measured_engines(name: str) -> list[str]:
    """The engines to time, fastest first; mIoU is measured on the first.

    Args:
        name: An engine, or ``"auto"`` for every available engine.

    Raises:
        UnknownNameError: no such engine.
        EngineError: the engine is not available here, or no engine is.
    """
    if name != AUTO:
        state = engine_class(name).available()
        if not state.ok:
            raise EngineError(f"engine {name}: not available: {state.reason}")
        return [name]
    usable = [row.name for row in engines(".onnx") if row.available]
    if not usable:
        raise EngineError("no engine is available: " + "; ".join(f"{row.name}: {row.reason}" for row in engines(".onnx")))
    return usable


def accuracy(
    path: Path, dataset: SegDataset, engine: str, threads: int | None, count: Count | None = None
) -> dict[str, Any]:
    """Evaluates a model file on a split; see :func:`seg_edge.measure.evaluation.evaluate_split`."""
    with Segmenter(path, engine=engine, threads=threads) as segmenter:
        return evaluate_split(segmenter, dataset, count)


@dataclass(frozen=True)
class Latencies:
    """Inference times of the models of one export, measured in alternating turns.

    Attributes:
        table: Median milliseconds of one inference, ``[model][engine]``.
        warnings: Warnings about measurements that other processes disturbed, ``[model][engine]``; empty without
            disturbance.
    """

    table: dict[str, dict[str, float]]
    warnings: dict[str, dict[str, str]]

    def warning(self, *models: str, engine: str | None = None) -> str:
        """Warnings about the given models (default: all) on an engine (default: all); empty without disturbance."""
        texts = [
            text
            for model in models or self.warnings
            for name, text in self.warnings.get(model, {}).items()
            if text and engine in (None, name)
        ]
        return "; ".join(dict.fromkeys(texts))


def latencies(
    paths: Mapping[str, Path],
    frames: Frame,
    names: Sequence[str],
    threads: int | None,
    count: Count | None = None,
    *,
    quick: bool = False,
) -> Latencies:
    """Times models on engines, engine only; see :func:`seg_edge.measure.benchmark.timing.time_engines`.

    Args:
        paths: Model files by name.
        frames: Input of all models, uint8 (N, H, W, 3).
        names: Engines.
        count: Called with (turns done, turns in all).
        quick: Few, short turns: for a choice among many models, not for reports and limits.
    """
    pairs = [(model, engine) for engine in names for model in paths]
    candidates = [Candidate(paths[model], engine, threads, frames) for model, engine in pairs]
    turns = QUICK if quick else TURNS
    table: dict[str, dict[str, float]] = {model: {} for model in paths}
    warnings: dict[str, dict[str, str]] = {model: {} for model in paths}
    for (model, engine), timing in zip(pairs, time_engines(candidates, turns=turns, count=count), strict=True):
        table[model][engine] = timing.median_ms
        warnings[model][engine] = timing.warning or ""
    return Latencies(table, warnings)


def worst_class(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """The class that lost most IoU between two evaluations: ``{name, delta}``, delta < 0 is a loss; None if undefined."""
    deltas = {
        row["name"]: now["iou"] - row["iou"]
        for row, now in zip(before["per_class"], after["per_class"], strict=True)
        if row["iou"] is not None and now["iou"] is not None
    }
    if not deltas:
        return None
    name = min(deltas, key=deltas.__getitem__)
    return {"name": name, "delta": deltas[name]}
