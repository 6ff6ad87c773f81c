"""Search for the widest network that meets a goal."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from ...core.artefact import atomic_path
from ...core.errors import InputError
from ...core.spec import ModelSpec
from ...train.models.registry import macs, parameters
from ..checks.measure import latencies
from ..graph.size import SIZE_STEP
from ..graph.to_onnx import to_onnx
from .goal import MAX_RATIO, Goal
from .importance import scorer
from .structure import Unit, Widths, allocate, narrow

# Halvings of the ratio's range. Finer steps would find the same networks again, because widths are multiples of 16.
_HALVINGS = 8
#: Margin below a limit of latency, as a share: a second measurement must not exceed the limit.
MARGIN = 0.03

#: (network, spec, engine) → median milliseconds of one inference; tests replace it.
MeasureLatency = Callable[[nn.Module, ModelSpec, str], float]


def latency_ms(
    net: nn.Module,
    spec: ModelSpec,
    engine: str,
    threads: int | None = None,
    warn: Callable[[str], None] = lambda _text: None,
    *,
    quick: bool = False,
) -> float:
    """Median time of one inference of the exported network, engine only, in ms; measured as in an export.

    Args:
        warn: Receives a warning if other processes disturbed the measurement.
        quick: See :func:`seg_edge.export.checks.measure.latencies`.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = save_onnx(net, spec, Path(folder) / "candidate.onnx")
        frame = np.random.default_rng(0).integers(0, 256, (1, *spec.input_hw, 3), np.uint8)
        measured = latencies({"candidate": path}, frame, [engine], threads, quick=quick)
    if warning := measured.warning():
        warn(warning)
    return measured.table["candidate"][engine]


def save_onnx(net: nn.Module, spec: ModelSpec, path: Path) -> Path:
    """Writes a network as ONNX, as the first step of an export does."""
    model = to_onnx(net.eval(), spec)
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return path


def value_of(goal: Goal, net: nn.Module, spec: ModelSpec, measure: MeasureLatency) -> float:
    """The quantity that the goal limits: multiply-accumulates, parameters or milliseconds of a network."""
    if goal.kind == "macs":
        return float(macs(net, spec.input_hw))
    if goal.kind == "params":
        return float(parameters(net))
    assert goal.engine is not None
    return measure(net, spec, goal.engine)


def search(
    net: nn.Module,
    prunable: list[Unit],
    goal: Goal,
    limit: float,
    spec: ModelSpec,
    *,
    scope: str,
    multiple: int,
    original: Mapping[str, int],
    measure: MeasureLatency,
    say: Callable[[str], None] = lambda _text: None,
) -> Widths:
    """Widths of the widest network that keeps the limit, by bisection of the ratio.

    Each candidate is a pruned copy that is counted or measured once. The choice of its channels doesn't matter for size
    and speed.

    Args:
        prunable: The network's units, from :func:`seg_edge.export.pruning.structure.units`.
        limit: The limit, in the unit of :func:`value_of`.
        original: Channels of each unit before the first step.

    Raises:
        InputError: even the narrowest network breaks the limit; the text gives its value.
    """
    if goal.kind == "latency":
        limit *= 1 - MARGIN
    seen: dict[tuple[int, ...], float] = {}
    good: list[tuple[int, Widths]] = []

    def fits(ratio: float) -> bool:
        widths = allocate(prunable, ratio, scope, multiple, original)
        key = tuple(widths.values())
        if key not in seen:
            candidate = copy.deepcopy(net)
            narrow(candidate, example_for(spec), scorer("l2", candidate), widths)
            seen[key] = value_of(goal, candidate, spec, measure)
            amounts = f"{_amount(goal, seen[key])}, the limit is {_amount(goal, limit)}"
            say(f"  {100 * ratio:.1f} % of the channels removed: {amounts}")
        if seen[key] <= limit:
            good.append((sum(key), widths))
        return seen[key] <= limit

    low, high = 0.0, MAX_RATIO
    if fits(low):
        return good[0][1]
    if not fits(high):
        raise InputError(
            f"prune: {goal.text()} can't be reached: with {100 * high:g} % of the channels removed (multiples of "
            f"{multiple} stay) the network still has {_amount(goal, min(seen.values()))}; choose a lower goal"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return max(good, key=lambda pair: pair[0])[1]


def example_for(spec: ModelSpec) -> torch.Tensor:
    """An input for tracing: zeros of the network's size, or of a smaller one where the network's size is large."""
    return torch.zeros(1, 3, *(min(side, 2 * SIZE_STEP) for side in spec.input_hw))


def _amount(goal: Goal, value: float) -> str:
    if goal.kind == "latency":
        return f"{value:.2f} ms"
    return f"{value / 1e6:.4g} M {'MACs' if goal.kind == 'macs' else 'parameters'}"
