"""Accuracy and speed of the chain's models, through the runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np

from ...core.errors import EngineError
from ...datasets.dataset import SegDataset
from ...measure.benchmark.turns import SETTLE_S
from ...measure.evaluation import evaluate
from ...runtime.engines import AUTO, engine_class, engines, open_engine
from ...runtime.segmenter import Segmenter
from .frames import Frame

# Turns of each model, runs of a turn, and those at its beginning that are not counted.
TURNS, RUNS, WARMUP = 4, 6, 2


def measured_engines(name: str) -> list[str]:
    """The engines to time, fastest first; mIoU is measured on the first.

    Args:
        name: An engine, or ``"auto"``: every one available.

    Raises:
        UnknownNameError: no such engine.
        EngineError: it is not available here, or none is.
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
    path: Path, dataset: SegDataset, engine: str, threads: int | None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """``runtime.evaluate.evaluate`` of a model file."""
    with Segmenter(path, engine=engine, threads=threads) as segmenter:
        return evaluate(segmenter, dataset, progress)


def latencies_ms(
    paths: Mapping[str, Path],
    frame: Frame,
    names: Sequence[str],
    threads: int | None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Median time of one inference: engine only, model by model.

    The models of one engine take turns, so that a machine that slows down or is shared slows all of them. Before a turn the
    threads of the one before go to sleep: ONNX Runtime's spin for a while, on the cores that are being measured.

    Args:
        paths: Model files by name.
        frame: uint8 (N, H, W, 3) that all of them take.
        names: Engines.
        progress: Called with (turns done, turns in all).

    Returns:
        Milliseconds, ``[model][engine]``.
    """
    table: dict[str, dict[str, float]] = {name: {} for name in paths}
    done, total = 0, TURNS * len(paths) * len(names)
    for engine in names:
        opened = {name: open_engine(path, engine, threads) for name, path in paths.items()}
        try:
            times: dict[str, list[float]] = {name: [] for name in paths}
            for _turn in range(TURNS):
                for name, model in opened.items():
                    sleep(SETTLE_S)
                    for run in range(RUNS):
                        started = perf_counter()
                        model.infer(frame)
                        if run >= WARMUP:
                            times[name].append(1e3 * (perf_counter() - started))
                    done += 1
                    if progress is not None:
                        progress(done, total)
        finally:
            for model in opened.values():
                model.close()
        for name, values in times.items():
            table[name][engine] = float(np.median(values))
    return table


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
