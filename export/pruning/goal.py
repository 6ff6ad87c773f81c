"""The goal of pruning: a share of the channels, of the MACs or of the parameters, or a latency on an engine."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...core.errors import InputError

KINDS = ("ratio", "macs", "params", "latency")
#: Largest share of the channels of a unit that pruning removes, for any goal.
MAX_RATIO = 0.95


@dataclass(frozen=True)
class Goal:
    """The goal of pruning.

    Attributes:
        kind: ``ratio``, ``macs``, ``params`` or ``latency``.
        value: Share of channels to remove (ratio), share of MACs or parameters that may stay, or milliseconds.
        engine: The engine that the latency is measured on.
    """

    kind: str
    value: float
    engine: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "ratio" and not 0 < self.value <= MAX_RATIO:
            raise InputError(f"`ratio`: expected a share of the channels above 0 and up to {MAX_RATIO}, got {self.value:g}")
        if self.kind in ("macs", "params") and not 0 < self.value < 1:
            raise InputError(
                f"`target_{self.kind}`: expected the share that may stay, between 0 and 1, got {self.value:g}; "
                "0.5 halves the network"
            )
        if self.kind == "latency" and not 0 < self.value < float("inf"):
            raise InputError(f"`target_latency`: expected milliseconds above 0, got {self.value:g}")

    def text(self) -> str:
        """The goal in words."""
        return {
            "ratio": f"{100 * self.value:g} % of the channels removed",
            "macs": f"at most {100 * self.value:g} % of the MACs",
            "params": f"at most {100 * self.value:g} % of the parameters",
            "latency": f"at most {self.value:g} ms on {self.engine}",
        }[self.kind]

    def at(self, step: int, steps: int, start: float) -> float:
        """The limit after ``step`` of ``steps``, interpolated from the unpruned network's ``start`` value to the goal.

        The unit is that of :func:`value_of`; for a ratio, the ratio itself.
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
        raise InputError(f"`target_latency`: expected MILLISECONDS@ENGINE such as 2.5ms@openvino, got {text!r}")
    return Goal("latency", float(match[1]), match[2])


def parse_fps(text: str) -> Goal:
    """``"100@onnxruntime"`` → the goal of 10 ms on that engine.

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) *(?:fps)?@([\w-]+)", text.strip())
    if not match or float(match[1]) <= 0:
        raise InputError(f"`target_fps`: expected FRAMES@ENGINE such as 100@onnxruntime, got {text!r}")
    return Goal("latency", 1e3 / float(match[1]), match[2])


def one_goal(
    ratio: float | None = None,
    macs: float | None = None,
    params: float | None = None,
    latency: str | None = None,
    fps: str | None = None,
) -> Goal:
    """The goal, of which exactly one option must be set.

    >>> one_goal(ratio=0.5)
    Goal(kind='ratio', value=0.5, engine=None)

    Raises:
        InputError: no goal, several goals, or a value out of range.
    """
    given = {
        "`ratio`": ratio, "`target_macs`": macs, "`target_params`": params, "`target_latency`": latency,
        "`target_fps`": fps,
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
