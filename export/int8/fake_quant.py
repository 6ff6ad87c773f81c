"""An ONNX network in torch with fake quantization, for quantization-aware training.

The trained graph is the graph that is quantized afterwards: the same nodes, tensors and scales, with batch
normalization
folded. Training only changes its weights; the file is then made exactly as without training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from ...calib.cache import Calibration
from ...calib.graph import Array, attribute, convolutions, weights
from ...calib.scales import LEVELS, fit_bias, weight_scales
from ...core.errors import ModelFileError
from ..graph.options import QuantOptions
from ..graph.quantize import MEAN, insert, quantized_tensors

Run = Callable[[onnx.NodeProto, list[Tensor | None]], Tensor]


class FakeQuantGraph(nn.Module):
    """A graph of :func:`seg_edge.export.graph.quantize.prepare`; weights and activations pass through their 8-bit levels.

    Activation scales are those of the calibration and stay fixed. Weight scales are computed from the current weights,
    by the same rule as in the file. Gradients pass through rounding unchanged and are zero where a value is clipped
    (straight-through estimator: Jacob et al., "Quantization and Training of Neural Networks", CVPR 2018, section 3).

    Args:
        model: The float graph.
        calibration: Activation scales, and the biases to start from.
        options: How the graph will be quantized.

    Attributes:
        enabled: False computes the float network with the current weights.

    Raises:
        ModelFileError: training is not possible through a node of the graph, which the text names.
    """

    def __init__(self, model: onnx.ModelProto, calibration: Calibration, options: QuantOptions) -> None:
        super().__init__()
        self.model, self.options, self.calibration, self.enabled = model, options, calibration, True
        self._tensors = set(quantized_tensors(model, output=options.quantize_output))
        for node in model.graph.node:
            if node.op_type not in RUN:
                raise ModelFileError(
                    f"`qat`: can't train through {node.op_type} ({node.name}); leave `qat` out, or try `observer='mse'`"
                )
        known = weights(model)
        # Constants that are not trained: the mean of preprocessing, factors of Resize.
        snapped = weights(insert(model, Calibration(calibration.activations, {}), options))
        self._constants = known | ({MEAN: snapped[MEAN]} if MEAN in snapped else {})
        for node in model.graph.node:
            if node.op_type == "Constant":
                self._constants[node.output[0]] = numpy_helper.to_array(attribute(node, "value"))
        self._names: dict[str, str] = {}
        for i, node in enumerate(convolutions(model)):
            weight = known[node.input[1]]
            bias = calibration.biases.get(node.input[2], known[node.input[2]])
            units = weight_scales(weight, options.weights).reshape(-1, *[1] * (weight.ndim - 1))
            self._add(node.input[1], f"weight{i}", weight, units)
            self._add(node.input[2], f"bias{i}", bias, np.float32(self._output_scale(node, bias)))

    def _add(self, name: str, own: str, start: Array, units: Array) -> None:
        # The unit of parameters is one level. With folded normalization, weights of neighbouring layers differ by a
        # factor of a thousand. In levels they have similar magnitudes, so one learning rate suits all layers.
        self._names[name] = own
        self.register_buffer(f"{own}_unit", torch.from_numpy(np.array(units, np.float32)))
        self.register_parameter(own, nn.Parameter(torch.from_numpy(np.array(start / units, np.float32))))

    def _output_scale(self, node: onnx.NodeProto, bias: Array) -> float:
        """The scale of a convolution's output, which is also one level of its bias."""
        after = [each.output[0] for each in self.model.graph.node if node.output[0] in each.input]
        for name in (node.output[0], *after):
            if name in self.calibration.activations:
                return self.calibration.activations[name].scale
        return float(np.abs(bias).max()) / LEVELS or 1.0

    def _value(self, name: str) -> Tensor:
        own = self._names[name]
        value: Tensor = getattr(self, own) * getattr(self, f"{own}_unit")
        return value

    def trained(self) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
        """Weights and biases by initializer name, float32."""
        return {name: self._value(name).detach().cpu().numpy().copy() for name in self._names}

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 (N, H, W, 3) BGR → logits, float32 (N, C, h, w)."""
        values: dict[str, Tensor] = {self.model.graph.input[0].name: frames}

        def get(name: str) -> Tensor | None:
            if not name:
                return None
            if name not in values:
                values[name] = torch.from_numpy(np.array(self._constants[name])).to(frames.device)
            return values[name]

        for node in self.model.graph.node:
            if node.op_type == "Constant":
                continue
            if node.op_type == "Conv":
                inputs = [get(node.input[0]), self._weight(node), self._value(node.input[2])]
            else:
                inputs = [get(name) for name in node.input]
            result = RUN[node.op_type](node, inputs)
            name = node.output[0]
            if self.enabled and name in self._tensors:
                params = self.calibration.activations[name]
                result = torch.fake_quantize_per_tensor_affine(result, params.scale, params.zero_point, 0, 255)
            values[name] = result
        return values[self.model.graph.output[0].name]

    def _weight(self, node: onnx.NodeProto) -> Tensor:
        weight = self._value(node.input[1])
        if not self.enabled:
            return weight
        plain = weight.detach().cpu().numpy()
        bias = self._value(node.input[2]).detach().cpu().numpy()
        scale = self.calibration.activations[node.input[0]].scale
        scales = torch.from_numpy(fit_bias(weight_scales(plain, self.options.weights), bias, scale)).to(weight.device)
        zeros = torch.zeros(len(scales), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -LEVELS, LEVELS)


def _conv(node: onnx.NodeProto, inputs: list[Tensor | None]) -> Tensor:
    x, weight, bias = inputs
    assert x is not None
    assert weight is not None
    top, left, bottom, right = attribute(node, "pads", [0] * 4)
    if (top, left) != (bottom, right):
        x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
    return F.conv2d(
        x, weight, bias, tuple(attribute(node, "strides", [1, 1])), (top, left),
        tuple(attribute(node, "dilations", [1, 1])), attribute(node, "group", 1),
    )  # fmt: skip


def _resize(node: onnx.NodeProto, inputs: list[Tensor | None]) -> Tensor:
    x = inputs[0]
    assert x is not None
    sizes = inputs[3] if len(inputs) > 3 else None
    factors = inputs[2] if sizes is None else None
    mode, rule = (attribute(node, key, default) for key, default in (
        ("mode", b"nearest"), ("coordinate_transformation_mode", b"half_pixel")
    ))  # fmt: skip
    if mode == b"nearest" and rule == b"asymmetric" and attribute(node, "nearest_mode") == b"floor":
        how: dict[str, Any] = {"mode": "nearest"}
    elif mode == b"linear" and rule in (b"half_pixel", b"pytorch_half_pixel"):
        how = {"mode": "bilinear", "align_corners": False}
    else:
        raise ModelFileError(f"`qat`: can't train through {node.name}, a Resize of {mode.decode()}, {rule.decode()}")
    if sizes is not None:
        return F.interpolate(x, size=[int(n) for n in sizes[2:]], **how)
    assert factors is not None
    return F.interpolate(x, scale_factor=[float(n) for n in factors[2:]], **how)


def _max_pool(node: onnx.NodeProto, inputs: list[Tensor | None]) -> Tensor:
    pads = attribute(node, "pads", [0] * 4)
    if pads[:2] != pads[2:] or attribute(node, "ceil_mode", 0):
        raise ModelFileError(f"`qat`: can't train through {node.name}, a MaxPool with uneven padding")
    return F.max_pool2d(_first(inputs), attribute(node, "kernel_shape"), attribute(node, "strides", [1, 1]), pads[:2])


def _first(inputs: list[Tensor | None]) -> Tensor:
    assert inputs[0] is not None
    return inputs[0]


def _pair(inputs: list[Tensor | None]) -> tuple[Tensor, Tensor]:
    assert inputs[0] is not None
    assert inputs[1] is not None
    return inputs[0], inputs[1]


def _clip(_node: onnx.NodeProto, inputs: list[Tensor | None]) -> Tensor:
    low, high = (*inputs[1:], None, None)[:2]
    return torch.clamp(_first(inputs), low, high)


#: Operator → how torch computes it.
RUN: dict[str, Run] = {
    "Cast": lambda node, inputs: _first(inputs).float(),  # the only cast is that of preprocessing, uint8 → float
    "Sub": lambda node, inputs: torch.sub(*_pair(inputs)),
    "Add": lambda node, inputs: torch.add(*_pair(inputs)),
    "Mul": lambda node, inputs: torch.mul(*_pair(inputs)),
    "Div": lambda node, inputs: torch.div(*_pair(inputs)),
    "Transpose": lambda node, inputs: _first(inputs).permute(*attribute(node, "perm")).contiguous(),
    "Gather": lambda node, inputs: torch.index_select(_pair(inputs)[0], attribute(node, "axis", 0), _pair(inputs)[1]),
    "Conv": _conv,
    "Relu": lambda node, inputs: torch.relu(_first(inputs)),
    "Clip": _clip,
    "Concat": lambda node, inputs: torch.cat([x for x in inputs if x is not None], attribute(node, "axis")),
    "Resize": _resize,
    "MaxPool": _max_pool,
    "Constant": lambda node, inputs: _first(inputs),
}  # fmt: skip
