"""What TensorRT's builder is given, after its own parser: which convolutions of an INT8 network stay in float.

In a strongly typed network the graph decides: a convolution computes in 8 bits where its input and its weights come from
levels. What a built engine executed, its inspector says on a GPU only.
"""

from __future__ import annotations

from typing import Any


def float_layers(network: Any) -> list[str]:
    """Names of the convolutions (transposed ones included) whose input or weights are no dequantized levels.

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
    """Names of the tensors of input and weights. Constant weights are no input: an empty name stands for them."""
    names = [tensor.name if (tensor := layer.get_input(i)) is not None else "" for i in range(min(layer.num_inputs, 2))]
    return {*names, *([""] if len(names) < 2 else [])}
