"""Peers: ONNX networks of other tools, rewritten as model files of seg-edge for a benchmark.

The peer's graph gets the same preprocessing as our own export: frames are uint8 N×H×W×3 BGR; normalization and layout
change run inside the engine. So the measured work is the same for both, and so is the post-processing of the runtime.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper, shape_inference

from ...calib.graph import load, set_spec
from ...core.artefact import atomic_path, sha256
from ...core.errors import ModelFileError
from ...core.labels import Labels
from ...core.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec
from .cache_folder import cache_folder

_DTYPES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.UINT8: "uint8"}
_PREFIX = "peer/"


def wrap_peer(path: str | Path, input_hw: tuple[int, int], cache: str | Path | None = None) -> Path:
    """Writes a peer's network into the cache folder, as a file that the runtime can open.

    Args:
        path: An ONNX file with one input, N×3×H×W or N×H×W×3. A uint8 input is taken as BGR, a float input as RGB with
            ImageNet's normalization. The first suitable output is used: scores N×C×h×w or N×h×w×C, or class numbers
            N×H×W.
        input_hw: Height and width where the file leaves them free.
        cache: The cache folder; None is :func:`seg_edge.export.networks.cache_folder.cache_folder`.

    Raises:
        ModelFileError: missing, not ONNX, or with unsuitable inputs or outputs, which the text names.
    """
    path = Path(path)
    model = load(path)
    if any(entry.key == "seg_edge.spec" for entry in model.metadata_props):
        raise ModelFileError(f"{path}: was exported by seg-edge; pass it as a model, not as a `peer`")
    source, dtype, layout, size_hw = _input(model, path, input_hw)
    _fix_input(model, source, layout, size_hw)
    target, form, classes, stride = _output(model, path, source, dtype, layout, size_hw)
    macs, params = _macs(model), sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    wrapped = compose.add_prefix(model, _PREFIX, rename_functions=False)
    _wrap(wrapped, f"{_PREFIX}{source}", f"{_PREFIX}{target}", dtype, layout, form, classes, stride, size_hw)
    how = "BGR as it comes" if dtype == "uint8" else "ImageNet's normalization of RGB assumed"
    spec = ModelSpec(
        name=path.stem,
        labels=Labels.numbered(classes),
        input_hw=size_hw,
        output="labels" if form == "labels" else "logits",
        output_stride=stride,
        precision=_precision(model),
        provenance={
            "note": f"peer {path.name}: {dtype} {layout} input, {how}, which was put into its graph, as in ours",
            "params": params,
            **({"macs": macs} if macs is not None else {}),
        },
    )
    set_spec(wrapped, spec)
    folder = Path(cache) if cache is not None else cache_folder()
    result = folder / f"peer-{path.stem}-{size_hw[0]}x{size_hw[1]}-{sha256(path)[:8]}.onnx"
    with atomic_path(result) as temporary:
        onnx.save(wrapped, str(temporary))
    return result


def _input(model: onnx.ModelProto, path: Path, input_hw: tuple[int, int]) -> tuple[str, str, str, tuple[int, int]]:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    said = "; ".join(f"{value.name} {_describe(value)}" for value in inputs) or "none"
    expected = "expected one input, uint8 or float, N×3×H×W or N×H×W×3 with N free or 1"
    kind = inputs[0].type.tensor_type if len(inputs) == 1 else None
    shape = [dim.dim_value for dim in kind.shape.dim] if kind is not None else []  # 0 is a free dimension
    if kind is None or kind.elem_type not in _DTYPES or len(shape) != 4 or shape[0] not in (0, 1):
        raise ModelFileError(f"{path}: a peer with input {said}; {expected}")
    if shape[1] == 3:
        layout, spatial = "NCHW", (shape[2], shape[3])
    elif shape[3] == 3:
        layout, spatial = "NHWC", (shape[1], shape[2])
    else:
        raise ModelFileError(f"{path}: a peer with input {said}; {expected}")
    height, width = (fixed or free for fixed, free in zip(spatial, input_hw, strict=True))
    return inputs[0].name, _DTYPES[kind.elem_type], layout, (height, width)


def _fix_input(model: onnx.ModelProto, source: str, layout: str, size_hw: tuple[int, int]) -> None:
    """Fixes the free dimensions of the input, and drops the shapes that were recorded for the free ones."""
    shape = (1, 3, *size_hw) if layout == "NCHW" else (1, *size_hw, 3)
    for value in model.graph.input:
        if value.name == source:
            for dim, number in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                dim.dim_value = number
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def _output(
    model: onnx.ModelProto, path: Path, source: str, dtype: str, layout: str, size_hw: tuple[int, int]
) -> tuple[str, str, int, int]:
    """Runs the model to find the first suitable output: name, ``NCHW``, ``NHWC`` or ``labels``, classes, stride."""
    ort: Any = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    shape = (1, 3, *size_hw) if layout == "NCHW" else (1, *size_hw, 3)
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, {source: np.zeros(shape, dtype)})
    except Exception as error:  # ONNX Runtime's exceptions and those of its operators share no base class
        text = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path}: ONNX Runtime can't run this peer on frames of {size_hw}: {text}") from error
    said = []
    for value, array in zip(session.get_outputs(), outputs, strict=True):
        said.append(f"{value.name} {array.dtype} {array.shape}")
        if np.issubdtype(array.dtype, np.integer):
            if array.size == size_hw[0] * size_hw[1] and array.shape[0] == 1:
                return value.name, "labels", 255, 1  # the file doesn't state the number of classes
        elif array.ndim == 4 and array.shape[0] == 1:
            for form, channels, spatial in (("NCHW", 1, array.shape[2:]), ("NHWC", 3, array.shape[1:3])):
                stride = _stride(size_hw, (int(spatial[0]), int(spatial[1])))
                if stride and 1 <= array.shape[channels] <= 256:
                    return value.name, form, int(array.shape[channels]), stride
    raise ModelFileError(
        f"{path}: a peer with outputs {'; '.join(said)} for frames of {size_hw[0]}x{size_hw[1]}; expected scores N×C×h×w or "
        "N×h×w×C at a whole stride, or class numbers N×H×W"
    )


def _stride(size_hw: tuple[int, int], output_hw: tuple[int, int]) -> int | None:
    """The whole factor between input and output size; None if there is none."""
    stride = round(size_hw[0] / output_hw[0]) if output_hw[0] else 0
    return stride if stride >= 1 and all(-(-a // stride) == b for a, b in zip(size_hw, output_hw, strict=True)) else None


def _wrap(
    model: onnx.ModelProto, source: str, target: str, dtype: str, layout: str, form: str, classes: int, stride: int,
    size_hw: tuple[int, int],
) -> None:  # fmt: skip
    graph = model.graph
    height, width = size_hw
    before: list[onnx.NodeProto] = []
    at = "frames"

    def add(kind: str, *more: str, **words: Any) -> None:
        nonlocal at
        name = f"wrap_{kind.lower()}_{len(before)}"
        before.append(helper.make_node(kind, [at, *more], [name], name=name, **words))
        at = name

    if dtype != "uint8":
        mean, std = (np.array(values[::-1], np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))
        # Whole rows of means and factors: ONNX Runtime broadcasts three values ten times slower than a row.
        for name, values in (("wrap_mean", mean), ("wrap_std", std)):
            graph.initializer.append(numpy_helper.from_array(np.tile(values, (1, 1, width, 1)), name))
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "wrap_rgb"))
        add("Cast", to=TensorProto.FLOAT)
        add("Sub", "wrap_mean")
        add("Div", "wrap_std")
        add("Gather", "wrap_rgb", axis=3)
        if dtype == "float16":
            add("Cast", to=TensorProto.FLOAT16)
    if layout == "NCHW":
        add("Transpose", perm=[0, 3, 1, 2])
    before.append(helper.make_node("Identity", [at], [source], name="wrap_input"))
    at = target
    if form == "labels":
        graph.initializer.append(numpy_helper.from_array(np.array([1, height, width], np.int64), "wrap_shape"))
        tail: list[tuple[str, list[str], dict[str, Any]]] = [("Reshape", ["wrap_shape"], {})]
        tail.append(("Cast", [], {"to": TensorProto.UINT8}))
        result = helper.make_tensor_value_info("labels", TensorProto.UINT8, [1, height, width])
    else:
        tail = [("Transpose", [], {"perm": [0, 3, 1, 2]})] if form == "NHWC" else []
        tail.append(("Cast", [], {"to": TensorProto.FLOAT}))
        result = helper.make_tensor_value_info(
            "logits", TensorProto.FLOAT, [1, classes, -(-height // stride), -(-width // stride)]
        )
    behind = []
    for i, (kind, more, words) in enumerate(tail):
        name = result.name if i == len(tail) - 1 else f"wrap_output_{i}"
        behind.append(helper.make_node(kind, [at, *more], [name], name=f"wrap_output_{i}", **words))
        at = name
    body = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*before, *body, *behind])
    graph.input.append(helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, height, width, 3]))
    graph.output.append(result)


def _macs(model: onnx.ModelProto) -> int | None:
    """Multiply-accumulates of convolutions and matrix products; None where a shape can't be inferred."""
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # onnx's errors share no public base class; the count is optional
        return None
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    shapes |= {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
    total = 0
    for node in inferred.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        left, right, out = (shapes.get(name, []) for name in (node.input[0], node.input[1], node.output[0]))
        if not left or not right or not out or 0 in (*left, *right, *out):
            return None
        if node.op_type == "Conv":
            total += int(np.prod(out) * np.prod(right[1:]))
        elif node.op_type == "ConvTranspose":
            total += int(np.prod(left) * np.prod(right[1:]))
        else:
            words = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            total += int(np.prod(out)) * int(left[-2] if words.get("transA") else left[-1])
    return total


def _precision(model: onnx.ModelProto) -> str:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in model.graph.node):
        return "int8"
    kinds = [tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1]
    return "fp16" if kinds and kinds.count(TensorProto.FLOAT16) > len(kinds) / 2 else "fp32"


def _describe(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type
    shape = ", ".join(str(dim.dim_value or dim.dim_param or "any") for dim in kind.shape.dim)
    return f"{TensorProto.DataType.Name(kind.elem_type).lower()} ({shape})"
