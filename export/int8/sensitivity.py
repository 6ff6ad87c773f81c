"""Sensitivity: the error in the logits when one layer alone is quantized.

A layer is a convolution with its input and its weights; everything else stays in float. The error is measured in the
logits, because later layers may shrink or amplify an error in the middle of the network.
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
    """The cost of one convolution in 8 bits, with all others in float.

    Attributes:
        layer: Name of the convolution.
        noise: Energy of the logits' error divided by the energy of the logits. With bias correction, both without their
            mean per class, which the correction removes.
        agreement: Share of output pixels with the same class as in float, 0..1.
        max_abs_error: Largest error of a logit.
        precision: Precision of this convolution in the exported model.
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
        """Reads the result of :meth:`to_dict`."""
        return cls(**row)


def sensitivity(
    model: onnx.ModelProto,
    calibration: Calibration,
    options: QuantOptions,
    frames: Sequence[Frames],
    *,
    track: Callable[..., Any] = silent,
) -> list[LayerCost]:
    """The cost of each convolution in a graph of :func:`seg_edge.export.graph.quantize.prepare`, in graph order.

    Args:
        frames: uint8 (N, H, W, 3) each, at the network's input size; a few are enough to rank layers.
        track: Wraps the loop over the convolutions, to show progress.
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
    """Draws the cost of each layer as a bar, in graph order. Layers that stay in float have another colour.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    # A Figure instead of pyplot chooses no backend and changes no global state.
    figure = Figure(figsize=(9, 0.22 * len(costs) + 1.4), layout="constrained")
    axes = figure.subplots()
    colours = ["tab:blue" if cost.precision == "int8" else "tab:orange" for cost in costs]
    # A logarithmic axis can't show 0; smaller values than this are below the resolution of float32.
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
