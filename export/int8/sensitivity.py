"""Sensitivity: what quantizing one layer alone does to the logits.

A layer here is a convolution with its input and its weights; everything else stays in float. The cost is measured at the
network's end, because an error in the middle may vanish in what follows, or grow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...calib.cache import Calibration
from ...calib.graph import Array, Frames, convolutions, run, session
from ...calib.statistics import silent
from ...core.artefact import atomic_path
from ...core.metrics import agreement
from ..graph.options import QuantOptions
from ..graph.quantize import insert

#: Name of the plot inside an artefact.
PLOT_FILE = "sensitivity.png"


@dataclass(frozen=True)
class LayerCost:
    """What one convolution in 8 bits costs, all others in float.

    Attributes:
        layer: Name of the convolution.
        noise: Energy of the logits' error over the energy of the logits, both without their mean per class where
            biases are corrected, because correction removes it.
        agreement: Share of output pixels with the same class as in float, 0..1.
        max_abs_error: Largest error of a logit.
        precision: What the exported model computes this convolution in.
    """

    layer: str
    noise: float
    agreement: float
    max_abs_error: float
    precision: str = "int8"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> LayerCost:
        """Reads what :meth:`to_dict` wrote."""
        return cls(**row)


def sensitivity(
    model: onnx.ModelProto,
    calibration: Calibration,
    options: QuantOptions,
    frames: Sequence[Frames],
    *,
    track: Callable[..., Any] = silent,
) -> list[LayerCost]:
    """The cost of each convolution of a :func:`seg_edge.export.graph.quantize.prepare`-d graph, in graph order.

    Args:
        frames: uint8 (N, H, W, 3) each, at the network's input size; a few are enough to rank layers.
        track: Progress over the convolutions.
    """
    opened = session(model)
    reference = [run(opened, frame)[0] for frame in frames]
    names = [node.name for node in convolutions(model)]
    scales = Calibration(calibration.activations, {})
    costs = []
    for name in track(names, "sensitivity"):
        alone = insert(model, scales, options, [other for other in names if other != name])
        opened = session(alone, fuse_quantized=False)
        costs.append(_cost(name, reference, [run(opened, frame)[0] for frame in frames], options.bias_correction))
    return costs


def most_sensitive(costs: Sequence[LayerCost]) -> list[str]:
    """Names of the layers, the costliest first."""
    return [cost.layer for cost in sorted(costs, key=lambda cost: -cost.noise)]


def write_plot(path: Path, costs: Sequence[LayerCost]) -> None:
    """Draws the cost of each layer as bars, in graph order, those that stay in float in another colour.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    # A Figure of its own, not pyplot: no backend is chosen, nothing global is touched.
    figure = Figure(figsize=(9, 0.22 * len(costs) + 1.4), layout="constrained")
    axes = figure.subplots()
    colours = ["tab:blue" if cost.precision == "int8" else "tab:orange" for cost in costs]
    # Exactly 0 has no place on a logarithmic axis; float32 can't tell less than this anyway.
    values = [max(cost.noise, 1e-12) for cost in costs]
    axes.barh([_short(cost.layer) for cost in costs], values, color=colours)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("error energy of the logits / energy of the logits, this layer alone in INT8")
    if "tab:orange" in colours:
        axes.set_title("orange: stays in float", fontsize="medium")
    axes.tick_params(axis="y", labelsize=7)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _cost(name: str, reference: Sequence[Array], quantized: Sequence[Array], corrected: bool) -> LayerCost:
    errors = [b.astype(np.float64) - a for a, b in zip(reference, quantized, strict=True)]
    values = [a.astype(np.float64) for a in reference]
    peak = max(float(np.abs(error).max()) for error in errors)
    if corrected:
        errors, values = _centered(errors), _centered(values)
    energy = sum(float((value**2).sum()) for value in values)
    return LayerCost(
        layer=name,
        noise=sum(float((error**2).sum()) for error in errors) / energy if energy else float(any(e.any() for e in errors)),
        agreement=float(np.mean([agreement(a.argmax(1), b.argmax(1)) for a, b in zip(reference, quantized, strict=True)])),
        max_abs_error=peak,
    )


def _centered(values: Sequence[Array]) -> list[Array]:
    mean = np.mean([each.mean((0, 2, 3), keepdims=True) for each in values], 0)
    return [each - mean for each in values]


def _short(name: str) -> str:
    """``/encoder.1/encoder.1.0/encoder.1.0.0/Conv`` → ``encoder.1.0.0``: torch's exporter repeats every prefix."""
    parts = [part for part in name.split("/") if part]
    return parts[-2] if len(parts) > 1 and parts[-1].startswith("Conv") else name
