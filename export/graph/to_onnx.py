"""From torch to ONNX: uint8 BGR frames in, logits out, normalization inside the graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from ...calib.graph import attribute, consumers, set_spec, set_weight, weights
from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from .size import check_size

#: The newest opset that TensorRT 8.6, ONNX Runtime 1.17 and OpenVINO 2024 all read in full.
OPSET = 17
INPUT, OUTPUT = "frames", "logits"
_BARE = "normalized"


def to_onnx(model: torch.nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Exports a network with its preprocessing.

    Args:
        model: In eval mode: float32 (1, 3, H, W), RGB, normalized → logits (1, C, H/stride, W/stride).
        spec: Gives the input's size and the normalization; written into the model's metadata.

    Returns:
        A graph with input ``frames``, uint8 (1, H, W, 3) BGR, and output ``logits``, float32.

    Raises:
        InputError: the input size is not a multiple of 32.
        ModelFileError: torch can't export the network, or the output's shape differs from the spec.
    """
    check_size(spec.input_hw)
    result = _trace(model, spec.input_hw)
    _drop_identities(result)
    _add_preprocessing(result, spec)
    dims = result.graph.output[0].type.tensor_type.shape.dim
    if any(not dim.dim_value for dim in dims):
        # The exporter loses the sizes behind a padding whose amounts are computed in the graph (EfficientNet).
        with torch.inference_mode():
            shape = model(torch.zeros(1, 3, *spec.input_hw)).shape
        for dim, size in zip(dims, shape, strict=True):
            dim.dim_value = size
    output = [dim.dim_value for dim in dims]
    expected = [1, len(spec.labels), *spec.output_hw]
    if output != expected:
        raise ModelFileError(f"{spec.name}: the network's output is {output}, its spec says {expected}; train it again")
    set_spec(result, spec)
    try:
        onnx.checker.check_model(result, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ModelFileError(f"{spec.name}: the exported graph is not valid ONNX ({error}); report this") from error
    return result


def _trace(model: torch.nn.Module, input_hw: tuple[int, int]) -> onnx.ModelProto:
    buffer = io.BytesIO()
    try:
        with _quiet(), torch.inference_mode():
            # The TorchScript exporter: part of every torch from 2.4 on, folds batch normalization, needs no onnxscript.
            torch.onnx.export(
                model,
                (torch.zeros(1, 3, *input_hw),),
                buffer,  # type: ignore[arg-type]  # this exporter takes file objects, the annotation is the other one's
                input_names=[_BARE],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter passes on any exception of its own code and of the network's code
        text = " ".join(str(error).split())[:300]
        raise ModelFileError(f"torch can't export the network to ONNX ({type(error).__name__}: {text})") from error
    return onnx.load_from_string(buffer.getvalue())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # Deprecation notes and per-node logs of the exporter don't help a user.
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _drop_identities(model: onnx.ModelProto) -> None:
    """Removes the Identity nodes by which the exporter shares equal constants, so that weights are initializers."""
    graph = model.graph
    outputs = {value.name for value in graph.output}
    source: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = source.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            source[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    kept = [_clone(node) for node in kept]
    del graph.node[:]
    graph.node.extend(kept)


def _add_preprocessing(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Puts ``frames`` → float → NCHW → normalized RGB in front of the network.

    Where only convolutions read the input, the division by std and the swap of channels go into their weights, and the
    graph keeps one subtraction. The subtraction can't go into the bias: the network pads its normalized input with 0,
    which is the mean and not black.
    """
    graph = model.graph
    known = weights(model)
    readers = consumers(model)[_BARE]
    foldable = all(
        node.op_type == "Conv"
        and node.input[1] in known
        and attribute(node, "group", 1) == 1
        and list(node.input).count(_BARE) == 1
        for node in readers
    )
    mean_bgr, std_bgr = np.array(spec.mean[::-1], np.float32), np.array(spec.std[::-1], np.float32).reshape(1, 3, 1, 1)
    # A whole row of means: ONNX Runtime broadcasts three values along the last axis ten times slower than a row.
    set_weight(model, "mean_bgr", np.tile(mean_bgr, (1, 1, spec.input_hw[1], 1)))
    nodes = [
        # Cast comes before Transpose, because TensorRT can't transpose uint8.
        helper.make_node("Cast", [INPUT], ["frames_float"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["frames_float", "mean_bgr"], ["centered_nhwc"], name="subtract_mean"),
        helper.make_node("Transpose", ["centered_nhwc"], ["centered"], name="to_nchw", perm=[0, 3, 1, 2]),
    ]
    if foldable:
        for node in readers:
            rgb = known[node.input[1]].astype(np.float64)
            folded = rgb[:, ::-1] / std_bgr.astype(np.float64)
            name = f"{node.input[1]}.bgr"
            set_weight(model, name, folded.astype(np.float32))
            node.input[0], node.input[1] = "centered", name
    else:
        set_weight(model, "std_bgr", std_bgr)
        model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "bgr_to_rgb"))
        nodes += [
            helper.make_node("Div", ["centered", "std_bgr"], ["normalized_bgr"], name="divide_by_std"),
            helper.make_node("Gather", ["normalized_bgr", "bgr_to_rgb"], [_BARE], name="bgr_to_rgb", axis=1),
        ]
    body = [_clone(node) for node in graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    used = {name for node in graph.node for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, *spec.input_hw, 3]))
    graph.name = spec.name


def _clone(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
