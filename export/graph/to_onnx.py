"""From torch to ONNX: uint8 BGR frames in, logits out, normalization inside the graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch

from ...calib.graph import set_spec
from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from .frontend import INPUT as INPUT
from .frontend import add_front
from .size import check_size

#: The newest opset that TensorRT 8.6, ONNX Runtime 1.17 and OpenVINO 2024 all read in full.
OPSET = 17
OUTPUT = "logits"
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
    add_front(result, _BARE, spec.mean, spec.std, spec.input_hw)
    result.graph.name = spec.name
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
        with quiet(), torch.inference_mode():
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
def quiet() -> Iterator[None]:
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


def _clone(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
