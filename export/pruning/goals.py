"""How small a pruned network shall be: by ratio, by MACs, by parameters, or by latency measured on an engine."""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from ...core.artefact import atomic_path
from ...core.errors import InputError
from ...core.spec import ModelSpec
from ...train.models.registry import macs, parameters
from ..checks.measure import latencies_ms
from ..graph.to_onnx import SIZE_STEP, to_onnx
from .importance import scorer
from .structure import Unit, Widths, allocate, narrow

KINDS = ("ratio", "macs", "params", "latency")
#: No unit is wanted narrower than this share of what it was, whatever the goal.
MAX_RATIO = 0.95
# Halvings of the ratio's range; widths come in multiples of 16, so that finer steps find the same networks again.
_HALVINGS = 8
#: The search for a latency aims this far below the limit, so that measuring again does not break it.
MARGIN = 0.03

#: Median milliseconds of one inference of a network on an engine; tests put their own in its place.
MeasureLatency = Callable[[nn.Module, ModelSpec, str], float]


@dataclass(frozen=True)
class Goal:
    """Where pruning ends.

    Attributes:
        kind: ``ratio``, ``macs``, ``params`` or ``latency``.
        value: Share of channels to remove (ratio); share of multiply-accumulates or parameters that may stay; milliseconds.
        engine: That the latency is measured on.
    """

    kind: str
    value: float
    engine: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "ratio" and not 0 < self.value <= MAX_RATIO:
            raise InputError(f"--ratio: expected a share of the channels above 0 and up to {MAX_RATIO}, got {self.value:g}")
        if self.kind in ("macs", "params") and not 0 < self.value < 1:
            raise InputError(
                f"--target-{self.kind}: expected the share that may stay, between 0 and 1, got {self.value:g}; "
                "0.5 halves the network"
            )
        if self.kind == "latency" and not 0 < self.value < float("inf"):
            raise InputError(f"--target-latency: expected milliseconds above 0, got {self.value:g}")

    def text(self) -> str:
        """For people."""
        return {
            "ratio": f"{100 * self.value:g} % of the channels removed",
            "macs": f"at most {100 * self.value:g} % of the MACs",
            "params": f"at most {100 * self.value:g} % of the parameters",
            "latency": f"at most {self.value:g} ms on {self.engine}",
        }[self.kind]

    def at(self, step: int, steps: int, start: float) -> float:
        """The limit after ``step`` of ``steps``: on a line from the unpruned network's ``start`` value to the goal.

        In the unit of :func:`value_of`; for a ratio, the ratio itself.
        """
        if self.kind == "ratio":
            return self.value * step / steps
        end = self.value if self.kind == "latency" else self.value * start
        return end if step == steps else start + (end - start) * step / steps


def parse_latency(text: str) -> Goal:
    """``"2.5ms@openvino"`` → a goal; ``ms`` may be left out.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) *(?:ms)?@([\w-]+)", text.strip())
    if not match:
        raise InputError(f"--target-latency: expected MILLISECONDS@ENGINE such as 2.5ms@openvino, got {text!r}")
    return Goal("latency", float(match[1]), match[2])


def parse_fps(text: str) -> Goal:
    """``"100@onnxruntime"`` → the goal of 10 ms on that engine.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) *(?:fps)?@([\w-]+)", text.strip())
    if not match or float(match[1]) <= 0:
        raise InputError(f"--target-fps: expected FRAMES@ENGINE such as 100@onnxruntime, got {text!r}")
    return Goal("latency", 1e3 / float(match[1]), match[2])


def one_goal(
    ratio: float | None = None,
    macs: float | None = None,
    params: float | None = None,
    latency: str | None = None,
    fps: str | None = None,
) -> Goal:
    """The one goal that was given among the command's options.

    Raises:
        InputError: none or several were given, or a value that makes no sense.
    """
    given = {
        "--ratio": ratio, "--target-macs": macs, "--target-params": params, "--target-latency": latency, "--target-fps": fps,
    }  # fmt: skip
    named = [option for option, value in given.items() if value is not None]
    if len(named) != 1:
        got = f"got {' and '.join(named)}" if named else "got none of them"
        raise InputError(f"prune: expected one goal of {', '.join(given)}; {got}")
    if latency is not None:
        return parse_latency(latency)
    if fps is not None:
        return parse_fps(fps)
    kind, value = next((k, v) for k, v in (("ratio", ratio), ("macs", macs), ("params", params)) if v is not None)
    return Goal(kind, value)


def latency_ms(net: nn.Module, spec: ModelSpec, engine: str, threads: int | None = None) -> float:
    """Median time of one inference of the exported network, engine only: what ``seg-edge export`` measures too."""
    with tempfile.TemporaryDirectory() as folder:
        path = save_onnx(net, spec, Path(folder) / "candidate.onnx")
        frame = np.random.default_rng(0).integers(0, 256, (1, *spec.input_hw, 3), np.uint8)
        return latencies_ms({"candidate": path}, frame, [engine], threads)["candidate"][engine]


def save_onnx(net: nn.Module, spec: ModelSpec, path: Path) -> Path:
    """Writes a network as the chain's first step would."""
    model = to_onnx(net.eval(), spec)
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return path


def value_of(goal: Goal, net: nn.Module, spec: ModelSpec, measure: MeasureLatency) -> float:
    """What the goal limits: multiply-accumulates, parameters or milliseconds of a network."""
    if goal.kind == "macs":
        return float(macs(net, spec.input_hw))
    if goal.kind == "params":
        return float(parameters(net))
    assert goal.engine is not None
    return measure(net, spec, goal.engine)


def search(
    net: nn.Module,
    found: list[Unit],
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
    """The widest network that the limit allows.

    The ratio is halved in on; each network that this asks for is made (as a copy; which channels it lacks plays no role
    for its size and speed) and counted or measured once.

    Args:
        found: The network's units, as :func:`seg_edge.export.pruning.structure.units` gives them.
        limit: In the unit of :func:`value_of`.
        original: Channels of each unit before the first step.

    Raises:
        InputError: even the narrowest network breaks the limit; the text says how close it came.
    """
    if goal.kind == "latency":
        limit *= 1 - MARGIN
    seen: dict[tuple[int, ...], float] = {}
    good: list[tuple[int, Widths]] = []

    def fits(ratio: float) -> bool:
        widths = allocate(found, ratio, scope, multiple, original)
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
    """An input for tracing: zeros of the network's size, small enough to be quick where the size is large."""
    return torch.zeros(1, 3, *(min(side, 2 * SIZE_STEP) for side in spec.input_hw))


def _amount(goal: Goal, value: float) -> str:
    if goal.kind == "latency":
        return f"{value:.2f} ms"
    return f"{value / 1e6:.4g} M {'MACs' if goal.kind == 'macs' else 'parameters'}"
