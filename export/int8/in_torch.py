"""A float ONNX graph as a torch module, for converters that read torch."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from ...calib.graph import attribute, weights
from ...core.errors import ModelFileError
from .fake_quant import RUN, Run

_MORE: dict[str, Run] = {
    "Sigmoid": lambda _node, inputs: torch.sigmoid(_one(inputs)),
    "HardSwish": lambda _node, inputs: nn.functional.hardswish(_one(inputs)),
    "HardSigmoid": lambda node, inputs: torch.clamp(
        _one(inputs) * attribute(node, "alpha", 0.2) + attribute(node, "beta", 0.5), 0, 1
    ),
    "GlobalAveragePool": lambda _node, inputs: _one(inputs).mean((2, 3), keepdim=True),
    "Identity": lambda _node, inputs: _one(inputs),
}


class TorchGraph(nn.Module):
    """Computes a graph node by node; the constants are buffers.

    Args:
        model: A float graph with one input and one output.
        option: The option that asked for it, for errors.

    Raises:
        ModelFileError: an operator has no counterpart here; the text names it.
    """

    def __init__(self, model: onnx.ModelProto, option: str) -> None:
        super().__init__()
        self._graph, self._runs = model.graph, RUN | _MORE
        self._names: dict[str, str] = {}
        lacking = sorted({node.op_type for node in model.graph.node} - set(self._runs))
        if lacking:
            raise ModelFileError(f"`{option}`: no conversion of {', '.join(lacking)} in {model.graph.name}; leave it out")
        constants = dict(weights(model))
        for node in model.graph.node:
            if node.op_type == "Constant":
                constants[node.output[0]] = numpy_helper.to_array(attribute(node, "value"))
        # Sizes and factors of Resize must be numbers while the module is traced.
        self._fixed = {name for node in model.graph.node if node.op_type == "Resize" for name in node.input[1:] if name}
        self._arrays = {name: np.array(value) for name, value in constants.items() if name in self._fixed}
        for i, (name, value) in enumerate(constants.items()):
            if name not in self._fixed:
                self._names[name] = f"constant{i}"
                self.register_buffer(f"constant{i}", torch.from_numpy(np.array(value)))

    def forward(self, image: Tensor) -> Tensor:
        """The graph's output for its input."""
        values: dict[str, Tensor] = {self._graph.input[0].name: image}
        values |= {name: getattr(self, own) for name, own in self._names.items()}
        for node in self._graph.node:
            if node.op_type == "Constant":
                continue
            inputs = [values.get(name) if name not in self._fixed else self._arrays[name] for name in node.input]
            if node.op_type == "Conv" and len(inputs) == 2:
                inputs.append(None)  # no bias
            values[node.output[0]] = self._runs[node.op_type](node, inputs)  # type: ignore[arg-type]
        return values[self._graph.output[0].name]


def _one(inputs: list[Tensor | None]) -> Tensor:
    assert inputs[0] is not None
    return inputs[0]
