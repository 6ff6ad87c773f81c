"""The input and the outputs of a network of another tool, read from the file and from one trial run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from ...calib.graph import producers
from ...core.errors import ModelFileError, UnknownNameError
from ..graph.frontend import reads
from .source import describe_all, make_free

Array = npt.NDArray[Any]
Layout = Literal["NCHW", "NHWC"]
#: ``labels`` are class numbers; ``HW`` and ``CHW`` are scores without a batch or class axis.
Form = Literal["NCHW", "NHWC", "CHW", "HW", "labels"]

_DTYPES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.UINT8: "uint8"}
_MOST_CLASSES = 255
_MOST_VALUES = 2**31
_LONGEST_SIDE = 8192
_EXPECTED = "expected one input, uint8 or float, N×3×H×W or N×H×W×3 with N free or 1"


@dataclass(frozen=True)
class Input:
    """The network's input. ``dtype``: float32, float16 or uint8."""

    name: str
    dtype: str
    layout: Layout
    size_hw: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (1, 3, *self.size_hw) if self.layout == "NCHW" else (1, *self.size_hw, 3)

    @property
    def elem_type(self) -> int:
        return next(code for code, name in _DTYPES.items() if name == self.dtype)


@dataclass(frozen=True)
class Output:
    """A suitable output.

    Attributes:
        form: Its axes.
        classes: Number of classes; 1 for one class against the rest; None for labels, which don't say it.
        stride: Input pixels per output pixel.
        shape: Its shape in the trial run.
        nodes: Number of nodes that compute it.
        low, high: The smallest and largest value in the trial run.
    """

    name: str
    form: Form
    classes: int | None
    stride: int
    shape: tuple[int, ...]
    nodes: int
    low: float = 0.0
    high: float = 0.0


def read_input(model: onnx.ModelProto, where: str, input_hw: tuple[int, int] | None, *, fixed_wins: bool = False) -> Input:
    """The input.

    Args:
        input_hw: The size where the file leaves it free.
        fixed_wins: Whether another size that the file fixes is no error.

    Raises:
        ModelFileError: no single image input, or a size that is neither in the file nor given.
    """
    said = describe_all(list(model.graph.input))
    inputs = list(model.graph.input)
    kind = inputs[0].type.tensor_type if len(inputs) == 1 else None
    # 0 is a free dimension, and so is -1, which Paddle2ONNX and others write.
    shape = [dim.dim_value if dim.dim_value != -1 else 0 for dim in kind.shape.dim] if kind is not None else []
    if kind is None or kind.elem_type not in _DTYPES or len(shape) != 4 or shape[0] not in (0, 1) or min(shape) < 0:
        raise ModelFileError(f"{where}: a network with input {said}; {_EXPECTED}")
    if shape[1] == 3 or (shape[1] == 0 and shape[3] != 3):
        layout, spatial = "NCHW", (shape[2], shape[3])
    elif shape[3] == 3:
        layout, spatial = "NHWC", (shape[1], shape[2])
    else:
        raise ModelFileError(f"{where}: a network with input {said}; {_EXPECTED}")
    if 0 in spatial and input_hw is None:
        raise ModelFileError(f"{where}: its input {said} leaves the size free; pass `input_hw`, such as 512x512")
    if (
        input_hw is not None
        and not fixed_wins
        and any(fixed and fixed != free for fixed, free in zip(spatial, input_hw, strict=True))
    ):
        height, width = spatial
        raise ModelFileError(
            f"{where}: its input is fixed at {height}x{width}, got `input_hw='{input_hw[0]}x{input_hw[1]}'`; leave it out, "
            "or export the file with a free size"
        )
    height, width = (fixed or free for fixed, free in zip(spatial, input_hw or (0, 0), strict=True))
    if max(height, width) > _LONGEST_SIDE:
        raise ModelFileError(f"{where}: a network with input {said}; expected at most {_LONGEST_SIDE} pixels a side")
    return Input(inputs[0].name, _DTYPES[kind.elem_type], layout, (height, width))  # type: ignore[arg-type]


def fix_input(model: onnx.ModelProto, source: Input) -> None:
    """Fixes the free dimensions of the input, and drops the shapes that were recorded for the free ones."""
    for value in model.graph.input:
        if value.name == source.name:
            value.type.tensor_type.shape.ClearField("dim")
            for number in source.shape:
                value.type.tensor_type.shape.dim.add().dim_value = number
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")


def check_tensors(model: onnx.ModelProto, where: str) -> None:
    """Refuses a graph with a tensor that no segmentation network has, before a run allocates it.

    Raises:
        ModelFileError: a tensor of more than 2^31 values.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # onnx's errors share no public base class; ONNX Runtime says what is wrong
        return
    for value in inferred.graph.value_info:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if prod(shape) > _MOST_VALUES:
            raise ModelFileError(f"{where}: tensor {value.name} would hold {shape} values; the file is damaged")


def trial_input(source: Input) -> Array:
    """A frame for trial runs: smooth noise, of the magnitude that a normalized network expects."""
    rng = np.random.default_rng(0)
    height, width = source.size_hw
    coarse = rng.standard_normal((-(-height // 8), -(-width // 8), 3))
    image = coarse.repeat(8, 0).repeat(8, 1)[:height, :width] + 0.25 * rng.standard_normal((height, width, 3))
    if source.dtype == "uint8":
        image = np.clip(128 + 50 * image, 0, 255)
    return np.ascontiguousarray(layout_of(image.astype(source.dtype)[None], source.layout))


def layout_of(image_nhwc: Array, layout: str) -> Array:
    """An image, N×H×W×C, in a layout."""
    return image_nhwc if layout == "NHWC" else np.ascontiguousarray(image_nhwc.transpose(0, 3, 1, 2))


def open_session(model: onnx.ModelProto, where: str, threads: int | None = None) -> Any:
    """The model in ONNX Runtime.

    Raises:
        ModelFileError: ONNX Runtime refuses it.
    """
    ort: Any = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    try:
        return ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions and those of its operators share no base class
        raise ModelFileError(f"{where}: ONNX Runtime can't open this network: {one_line(error)}") from error


def run_model(session: Any, source: Input, image: Array, where: str, names: Sequence[str] | None = None) -> list[Array]:
    """The outputs of a network for one image.

    Raises:
        ModelFileError: it fails.
    """
    try:
        return [np.asarray(each) for each in session.run(names, {source.name: image})]
    except Exception as error:
        height, width = source.size_hw
        raise ModelFileError(
            f"{where}: ONNX Runtime can't run this network on frames of {height}x{width}: {one_line(error)}"
        ) from error


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy that gives further tensors as outputs."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = {value.name for value in result.graph.output}
    result.graph.output.extend(make_free(name) for name in names if name not in known)
    return result


def read_outputs(model: onnx.ModelProto, source: Input, where: str) -> list[Output]:
    """The outputs that can be segmentations, in the file's order, from a trial run.

    Raises:
        ModelFileError: there is none; the text says what the network seems to be instead.
    """
    names = [value.name for value in model.graph.output]
    arrays = run_model(open_session(model, where), source, trial_input(source), where, names)
    suitable = []
    for name, array in zip(names, arrays, strict=True):
        found = _suitable(name, array, source.size_hw)
        if found is not None:
            form, classes, stride = found
            low, high = (float(array.min()), float(array.max())) if array.dtype != bool else (0.0, 1.0)
            count = len(needed_nodes(model, [name]))
            suitable.append(Output(name, form, classes, stride, tuple(map(int, array.shape)), count, low, high))
    if not suitable:
        said = "; ".join(f"{name} {array.dtype} {array.shape}" for name, array in zip(names, arrays, strict=True))
        height, width = source.size_hw
        raise ModelFileError(
            f"{where}: a network with outputs {said} for frames of {height}x{width}{_seems(arrays)}; expected scores "
            "N×C×h×w or N×h×w×C at a whole stride, or class numbers N×H×W"
        )
    return suitable


def choose_output(suitable: Sequence[Output], name: str | None, stride: int | None, where: str) -> tuple[Output, str]:
    """The output to use, and the reason where there was a choice.

    Raises:
        UnknownNameError, ModelFileError: no suitable output has this name or stride.
    """
    if name is not None:
        known = {each.name: each for each in suitable}
        if name not in known:
            raise UnknownNameError("output", name, known)
        chosen = known[name]
        if stride not in (None, chosen.stride):
            raise ModelFileError(f"{where}: output {name} has stride {chosen.stride}, got `stride={stride}`; leave it out")
        return chosen, ""
    left = [each for each in suitable if stride in (None, each.stride)]
    if not left:
        strides = ", ".join(f"{each.name}: {each.stride}" for each in suitable)
        raise ModelFileError(f"{where}: no output has `stride={stride}`; the strides are {strides}")
    chosen = max(left, key=lambda each: ("aux" not in each.name.lower(), each.nodes))
    others = [f"{each.name} ({each.nodes})" for each in left if each is not chosen]
    return chosen, f"most nodes compute it ({chosen.nodes}); others: {', '.join(others)}" if others else ""


def needed_nodes(model: onnx.ModelProto, names: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that compute tensors, in graph order; what subgraphs read is included."""
    made_by = producers(model)
    stack, seen, needed = list(names), set(names), set()
    while stack:
        node = made_by.get(stack.pop())
        if node is None or id(node) in needed:
            continue
        needed.add(id(node))
        more = reads(node) - seen
        seen |= more
        stack += more
    return [
        node
        for node in model.graph.node
        if any(made_by.get(o) is not None and id(made_by[o]) in needed for o in node.output)
    ]


def one_line(error: BaseException) -> str:
    """An error of a library as one line of bounded length."""
    return " ".join(str(error).split())[:200]


def whole_stride(size_hw: tuple[int, int], output_hw: tuple[int, int]) -> int | None:
    """The whole factor between input and output size; None if there is none."""
    stride = round(size_hw[0] / output_hw[0]) if output_hw[0] else 0
    return stride if stride >= 1 and all(-(-a // stride) == b for a, b in zip(size_hw, output_hw, strict=True)) else None


def _suitable(name: str, array: Array, size_hw: tuple[int, int]) -> tuple[Form, int | None, int] | None:
    """Form, classes and stride of an output; None if it is no segmentation."""
    shape = tuple(map(int, array.shape))
    pixels = size_hw[0] * size_hw[1]
    if shape[-2:] == size_hw and array.size == pixels or (len(shape) == 4 and shape == (1, *size_hw, 1)):
        if np.issubdtype(array.dtype, np.integer) or array.dtype == bool:
            return "labels", None, 1
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer) or array.dtype == bool):
        return None
    forms: list[tuple[Form, int, tuple[int, ...]]] = []
    if len(shape) == 4 and shape[0] == 1:
        forms = [("NCHW", shape[1], shape[2:]), ("NHWC", shape[3], shape[1:3])]
    elif len(shape) == 3:
        forms = [("HW", 1, shape[1:])] if shape[0] == 1 else [("CHW", shape[0], shape[1:])]
    elif len(shape) == 2:
        forms = [("HW", 1, shape)]
    for form, classes, spatial in forms:
        stride = whole_stride(size_hw, (spatial[0], spatial[1]))
        # Class numbers at a lower resolution can't be enlarged; whole numbers of several classes are one-hot.
        whole = not np.issubdtype(array.dtype, np.floating)
        if stride and stride <= 64 and (2 if whole else 1) <= classes <= _MOST_CLASSES and min(spatial) > 1:
            return form, classes, stride
    return None


def _seems(arrays: Sequence[Array]) -> str:
    """What the network seems to be, by the shapes of its outputs."""
    shapes = [each.shape for each in arrays]
    if len(shapes) == 1 and (len(shapes[0]) == 2 or (len(shapes[0]) == 4 and shapes[0][2:] == (1, 1))):
        return ", which look like a classifier's"
    if any(len(shape) == 3 and min(shape[1:]) >= 5 for shape in shapes) or any(
        len(shape) >= 2 and shape[-1] in (4, 5, 6, 7) for shape in shapes
    ):
        return ", which look like a detection network's"
    return ""
