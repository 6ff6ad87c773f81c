"""The labels head: upsampling and argmax inside the graph, for tools without post-processing of their own.

The output is ``labels``, uint8 (N, H, W) at the input's size, for DeepStream, Triton and others. Our own runtime is
faster with logits: its kernel upsamples directly to the frame's size and never stores full-resolution logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from ...calib.graph import Array, get_spec, set_spec, set_weight
from ...core.errors import ModelFileError
from ...core.metrics import agreement
from ...runtime.frame import kernels

#: Least share of pixels with the same class as in the C kernel's mask. Both interpolate bilinearly between pixel
#: centres, but engines sum the four products in another order. Where two logits differ in their last bits only, either
#: class may win. INT8 logits have only 256 values, so such ties are common on the border between two classes.
MIN_AGREEMENT = {"fp32": 0.9999, "fp16": 0.9999, "int8": 0.998}


def with_labels(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph that outputs ``labels``, uint8 (N, H, W) at the input's size, instead of ``logits``.

    Raises:
        ModelFileError: the graph outputs labels already, or the input is not a whole multiple of the output.
    """
    spec = get_spec(model)
    if spec.output != "logits":
        raise ModelFileError(f"{spec.name}: gives {spec.output} already; export it with `head='logits'` first")
    (height, width), (rows, columns) = spec.input_hw, spec.output_hw
    if height % rows or width % columns:
        raise ModelFileError(
            f"{spec.name}: input {height}x{width} is no whole multiple of its logits, {rows}x{columns}; change `input_hw`"
        )
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    batch = graph.output[0].type.tensor_type.shape.dim[0]
    size = batch.dim_value if batch.HasField("dim_value") else (batch.dim_param or "N")
    set_weight(result, "labels.scales", np.array([1, 1, height // rows, width // columns], np.float32))
    # The cast goes through float, as TensorRT casts only floats to uint8. Class numbers up to 255 are exact in float.
    graph.node.extend(
        [
            helper.make_node(
                "Resize", ["logits", "", "labels.scales"], ["labels.logits"], name="labels.upsample", mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            helper.make_node("ArgMax", ["labels.logits"], ["labels.best"], name="labels.argmax", axis=1, keepdims=0),
            helper.make_node("Cast", ["labels.best"], ["labels.float"], name="labels.to_float", to=TensorProto.FLOAT),
            helper.make_node("Cast", ["labels.float"], ["labels"], name="labels.to_uint8", to=TensorProto.UINT8),
        ]
    )  # fmt: skip
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("labels", TensorProto.UINT8, [size, height, width]))
    set_spec(result, spec.with_(output="labels"))
    try:
        onnx.checker.check_model(result, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelFileError(f"{spec.name}: the graph with labels is not valid ONNX ({error}); report this") from error
    return result


def kernel_masks(logits: Sequence[Array], size_hw: tuple[int, int]) -> list[npt.NDArray[np.uint8]]:
    """Masks of the runtime's kernel, uint8 (1, H, W) each, for logits, float32 (1, C, h, w) each."""
    return [kernels.upsample_argmax(np.ascontiguousarray(each[0]), size_hw)[None] for each in logits]


def agreement_of(expected: Sequence[Array], labels: Sequence[Array]) -> float:
    """Share of equal pixels over all pairs of masks, 0..1."""
    return float(np.mean([agreement(a, b) for a, b in zip(expected, labels, strict=True)]))
