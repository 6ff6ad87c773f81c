"""The convolutions that are in float in TensorRT's network of an INT8 graph, after TensorRT's parser.

In a strongly typed network, a convolution computes in 8 bits if its input and weights come from DequantizeLinear. The
precisions that a built engine uses are visible through its inspector, but only on a GPU.
"""

from __future__ import annotations

from typing import Any


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


def _inputs(layer: Any) -> set[str]:
    """Names of the tensors of input and weights; an empty name for constant weights, which are not an input."""
    names = [tensor.name if (tensor := layer.get_input(i)) is not None else "" for i in range(min(layer.num_inputs, 2))]
    return {*names, *([""] if len(names) < 2 else [])}
