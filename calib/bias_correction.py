"""Bias correction: quantization must not shift the mean of a channel.

Rounding weights to 8 bits shifts the mean output of each channel. Over the depth of a network, these shifts add up to
most of the accuracy that INT8 loses. The remedy is the empirical bias correction of Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction" (ICCV 2019), section 4.2 and appendix D: measure the shift
of each convolution on calibration frames and subtract it from the bias. Convolutions are corrected one after the other,
because each correction changes the input of the following ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx

from .graph import Array, Frames, ancestors, convolutions, run, session, set_weight, up_to, weights
from .statistics import Track, silent

Bias = npt.NDArray[np.float32]
Means = npt.NDArray[np.float64]


def channel_means(model: onnx.ModelProto, tensors: Sequence[str], frames: Sequence[Frames]) -> dict[str, Means]:
    """Mean of each channel of (N, C, H, W) float tensors over all frames: float64 (C,) by tensor name."""
    opened = session(up_to(model, tensors), fuse_quantized=False)
    sums = [np.zeros(1)] * len(tensors)
    for frame in frames:
        sums = [total + _mean(values) for total, values in zip(sums, run(opened, frame), strict=True)]
    return {name: total / len(frames) for name, total in zip(tensors, sums, strict=True)}


def correct_biases(
    reference: onnx.ModelProto,
    quantized: onnx.ModelProto,
    frames: Sequence[Frames],
    *,
    track: Track[onnx.NodeProto] = silent,
) -> dict[str, Bias]:
    """Corrects the biases of ``quantized`` in place.

    Each convolution runs once. The outputs of corrected convolutions stay in memory for their readers, about 5 MB per
    frame for a compact U-Net at 352x480.

    Args:
        reference: Float graph; the bias of every convolution is an initializer.
        quantized: The same graph with Q/DQ on activations and weights; names and float biases of convolutions are the
            same.
        frames: uint8 (N, H, W, 3) each.
        track: Wraps the loop over the convolutions, to show progress.

    Returns:
        The corrected biases, float32 (O,) by initializer name.
    """
    outputs = {node.name: node.output[0] for node in convolutions(reference)}
    targets = channel_means(reference, list(outputs.values()), frames)
    biases = weights(reference)
    corrected: dict[str, Bias] = {}
    kept: dict[str, list[Array]] = {quantized.graph.input[0].name: list(frames)}
    pending = [node.output[0] for node in convolutions(quantized)]
    for node in track(convolutions(quantized), "correct biases"):
        output, name = node.output[0], node.input[2]
        part = up_to(quantized, [output], [tensor for tensor in kept if tensor != quantized.graph.input[0].name])
        opened = session(part, fuse_quantized=False)
        inputs = [value.name for value in part.graph.input]
        values = [opened.run(None, {key: kept[key][i] for key in inputs})[0] for i in range(len(frames))]
        shift = np.mean([_mean(each) for each in values], 0) - targets[outputs[node.name]]
        corrected[name] = (biases[name] - shift).astype(np.float32)
        set_weight(quantized, name, corrected[name])
        for each in values:
            each -= shift.astype(np.float32).reshape(1, -1, 1, 1)  # the output with the corrected bias
        kept[output] = values
        pending.remove(output)
        needed = ancestors(quantized, pending, kept)
        kept = {key: value for key, value in kept.items() if key in needed}
    return corrected


def _mean(values: Array) -> Means:
    return np.asarray(values.mean((0, 2, 3), dtype=np.float64))
