"""The convolutions that are in float in TensorRT's network of an INT8 graph, after TensorRT's parser.

In a strongly typed network, a convolution computes in 8 bits if its input and weights come from DequantizeLinear. The
precisions that a built engine uses are visible through its inspector, but only on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx

from ..guard import check_graph

#: Rows of disagreements by which TensorRT-RTX plans a quantized convolution in float; their nodes are these convolutions.
_PLANNED_IN_FLOAT = ("int8-transposed", "activation-channels", "weight-scales-axis")


def float_layers(network: Any) -> list[str]:
    """Names of the convolutions, transposed ones included, whose input or weights are not dequantized 8-bit values.

    Args:
        network: A ``tensorrt.INetworkDefinition`` (or of ``tensorrt_rtx``) that a parser has filled.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    dequantized = {
        layer.get_output(0).name for layer in layers if layer.type.name == "DEQUANTIZE" and layer.num_outputs == 1
    }
    return [
        layer.name
        for layer in layers
        if layer.type.name in ("CONVOLUTION", "DECONVOLUTION") and not _inputs(layer) <= dequantized
    ]


def planned_in_float(model: onnx.ModelProto, typed: Iterable[str]) -> list[str]:
    """The convolutions that TensorRT-RTX computes in float: those of :func:`float_layers`, and what its builder plans so.

    Args:
        model: The graph that its parser is given.
        typed: What :func:`float_layers` found.
    """
    rows = (found.nodes for found in check_graph(model) if found.row.name in _PLANNED_IN_FLOAT)
    return list(dict.fromkeys([*typed, *(name for nodes in rows for name in nodes)]))


def _inputs(layer: Any) -> set[str]:
    """Names of the tensors of input and weights; an empty name for constant weights, which are not an input."""
    names = [tensor.name if (tensor := layer.get_input(i)) is not None else "" for i in range(min(layer.num_inputs, 2))]
    return {*names, *([""] if len(names) < 2 else [])}
