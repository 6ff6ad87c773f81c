"""Fallback: finds the fewest float layers with which an INT8 model keeps its limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from ...calib.bias_correction import correct_biases
from ...calib.cache import Calibration
from ...calib.graph import Frames, convolutions
from ...core.progress import Progress, Silent
from ..checks.measure import worst_class
from ..graph.options import QuantOptions
from ..graph.quantize import insert, quantize
from .half_layers import half_convolutions, half_range


@dataclass(frozen=True)
class Limits:
    """Largest loss of INT8 against the float model, fractions 0..1; None = no limit.

    Attributes:
        fallback: Largest number of convolutions that may go back to float; None is half of them.
    """

    max_drop: float | None = None
    max_class_drop: float | None = None
    fallback: int | None = None

    @property
    def stated(self) -> bool:
        """Whether there is any limit."""
        return self.max_drop is not None or self.max_class_drop is not None

    def excess(self, drop: float | None, class_drop: float | None) -> float:
        """The larger excess of the two drops over their limits; 0 or less = both limits hold."""
        over = [
            value - limit
            for value, limit in ((drop, self.max_drop), (class_drop, self.max_class_drop))
            if value is not None and limit is not None
        ]
        return max(over, default=0.0)


@dataclass(frozen=True)
class Trial:
    """One mixture of float and INT8.

    Attributes:
        layers: Convolutions in float, the most sensitive first.
        miou: mIoU on the val split.
        drop: mIoU lost against the float model.
        worst_class: ``{name, delta}`` of the class that lost most IoU.
        excess: Largest excess over a limit; 0 or less = the limits hold.
        evaluation: The complete evaluation.
    """

    layers: tuple[str, ...]
    miou: float | None
    drop: float | None
    worst_class: dict[str, Any] | None
    excess: float
    evaluation: Mapping[str, Any]

    @property
    def held(self) -> bool:
        return self.excess <= 0

    def better_than(self, other: Trial) -> bool:
        """Whether this trial exceeds its limits less than ``other``, or equally with a higher mIoU."""
        mine, theirs = max(self.excess, 0.0), max(other.excess, 0.0)
        return mine < theirs or (mine == theirs and (self.miou or 0.0) > (other.miou or 0.0))

    def to_dict(self) -> dict[str, Any]:
        return {
            "float_layers": list(self.layers), "miou": self.miou, "worst_class": self.worst_class, "held": self.held,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Trial:
        """Reads the result of :meth:`to_dict`, which lacks ``excess``: 0 if the limits held, else inf."""
        excess = 0.0 if row["held"] else math.inf
        return cls(tuple(row["float_layers"]), row["miou"], None, row["worst_class"], excess, {})


def tried(layers: Sequence[str], before: Mapping[str, Any], after: Mapping[str, Any], limits: Limits) -> Trial:
    """The trial of a mixture, from the evaluations of the float model and of the mixture."""
    worst = worst_class(before, after)
    drop = None if before["miou"] is None or after["miou"] is None else before["miou"] - after["miou"]
    class_drop = None if worst is None else -worst["delta"]
    return Trial(tuple(layers), after["miou"], drop, worst, limits.excess(drop, class_drop), after)


def search(first: Trial, order: Sequence[str], most: int, attempt: Callable[[Sequence[str]], Trial]) -> list[Trial]:
    """Tries the 1, 2, 4, … most sensitive layers in float until the limits hold, then bisects to the fewest.

    The bisection assumes that more float layers never lose more accuracy. Where that is not exactly true, the result
    still keeps the limits, but fewer layers might be enough.

    Args:
        first: The trial with every layer in INT8.
        order: Layers, the most sensitive first.
        most: Largest number of layers in float.
        attempt: Builds and measures a mixture.

    Returns:
        All trials, ``first`` included, the best one last: the one with the fewest float layers that keeps the limits,
            or
        the one closest to them.
    """
    trials = [first]
    count, failed, held = 1, 0, None
    while not first.held and held is None and failed < most:
        count = min(count, most)
        trials.append(attempt(order[:count]))
        if trials[-1].held:
            held = count
        else:
            failed, count = count, 2 * count
    while held is not None and held - failed > 1:
        middle = (held + failed) // 2
        trials.append(attempt(order[:middle]))
        if trials[-1].held:
            held = middle
        else:
            failed = middle
    if held is not None:
        best = next(trial for trial in trials if trial.held and len(trial.layers) == held)
    else:
        best = min(trials, key=lambda trial: (trial.excess, len(trial.layers)))
    return [*(trial for trial in trials if trial is not best), best]


class Mixtures:
    """INT8 models with some layers in float, compared with the limits.

    Args:
        prepared: The float graph, see :func:`seg_edge.export.graph.quantize.prepare`.
        calibration: The calibration of ``prepared`` with every layer in INT8.
        options: How to quantize.
        frames: Calibration frames, for a new bias correction of each mixture.
        measure: (model, float layers) → the evaluation of the model.
        before: The evaluation of the float model.
        limits: The limits of accuracy.
        precision: Precision of the float layers: ``"fp32"``, or ``"fp16"`` for those whose values fit its range.

    Attributes:
        models: The models of all trials, by their float layers.
        trials: All trials, the chosen one last.
        hint: Remedies that failed, for the text of an error; else empty.
    """

    def __init__(
        self,
        prepared: onnx.ModelProto,
        calibration: Calibration,
        options: QuantOptions,
        frames: Sequence[Frames],
        measure: Callable[[onnx.ModelProto, Sequence[str]], Mapping[str, Any]],
        before: Mapping[str, Any],
        limits: Limits,
        precision: str = "fp32",
    ) -> None:
        self._precision = precision
        self._prepared, self._calibration, self._options, self._frames = prepared, calibration, options, frames
        self._measure, self._before, self._limits = measure, before, limits
        self.models: dict[tuple[str, ...], onnx.ModelProto] = {}
        self.trials: list[Trial] = []
        self.hint = ""
        self._progress: Progress = Silent()

    def within_limits(self, order: Sequence[str], progress: Progress) -> Trial:
        """The mixture to ship: the fewest float layers that keep the limits, else the mixture closest to them.

        Args:
            order: Convolutions, the most sensitive first.
        """
        count = len(convolutions(self._prepared))
        most = count // 2 if self._limits.fallback is None else min(self._limits.fallback, count)
        first = self.first()
        if not first.held and most:
            progress.say(
                f"int8: a limit is broken by {100 * first.excess:.2f} points; trying the most sensitive layers in "
                f"{self._precision}"
            )
        self._progress = progress
        self.trials = search(first, order, most, self._attempt)
        best = self.trials[-1]
        if not best.held and len(self.trials) > 1:
            tried_most = max(len(trial.layers) for trial in self.trials)
            self.hint = (
                f"{self._precision} for up to {tried_most} of {count} convolutions was tried, "
                f"the closest, with {len(best.layers)}, is {100 * best.excess:.2f} points above a limit; "
            )
        return best

    def first(self) -> Trial:
        """The trial with every layer in INT8, measured once."""
        if not self.trials:
            self.trials = [self._attempt(())]
        return next(trial for trial in self.trials if not trial.layers)

    def halves(self, layers: Sequence[str]) -> list[str]:
        """The float layers of a mixture that compute in float16."""
        return half_range(self._prepared, layers, self._frames) if self._precision == "fp16" else []

    def _attempt(self, layers: Sequence[str]) -> Trial:
        calibration = self._calibration
        if layers and self._options.bias_correction:
            # Each mixture shifts the means of channels differently, so the biases are corrected anew.
            simulated = insert(self._prepared, Calibration(calibration.activations, {}), self._options, layers)
            biases = correct_biases(self._prepared, simulated, self._frames, track=self._progress.track)
            calibration = Calibration(calibration.activations, biases)
        model = quantize(self._prepared, calibration, self._options, layers)
        if halves := self.halves(layers):
            model = half_convolutions(model, halves)
        self.models[tuple(layers)] = model
        return tried(layers, self._before, self._measure(model, layers), self._limits)
