"""The tail of a network: what stands between its last scores and its output, and can be left to the runtime.

From the output backwards, argmax, one-hot, thresholds, softmax, sigmoid, casts and changes of layout are understood.
Upsampling to the input's size is taken off where it is what the runtime's kernel computes: bilinear between pixel
centres, by the same whole factor in both directions. With align-corners or another rule, it stays in the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, log
from typing import Any

import numpy as np
import onnx

from ...calib.graph import attribute, producers, weights
from .interface import Array, Form, Input, Output, open_session, run_model, trial_input, with_outputs
from .source import opset_of

#: Longest tail that is searched.
_MOST_NODES = 24
_SHAPES_ONLY = ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape", "Flatten")


@dataclass
class Tail:
    """Where the artefact's graph ends, and what the original does after it.

    Attributes:
        name: The tensor at the cut, which becomes the artefact's output.
        form: Its axes.
        classes: Number of classes; 1 for one class against the rest; None for labels of an unknown number.
        stride: Input pixels per pixel of the tensor.
        threshold: Of one class: above this value of the tensor is foreground.
        output_threshold: The same for the original's own output.
        removed: What was taken off, the last operation first.
        kept: Notes on what was understood, but stays in the graph.
        shape: Its shape.
        labels_out: Whether the original's output holds class numbers, of whatever type.
    """

    name: str
    form: Form
    classes: int | None
    stride: int
    threshold: float = 0.0
    output_threshold: float = 0.0
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    labels_out: bool = False

    @property
    def is_labels(self) -> bool:
        return self.form == "labels"


def whole_network(output: Output) -> Tail:
    """The tail of a network that keeps its output as it is."""
    return Tail(
        output.name, output.form, output.classes, output.stride, shape=output.shape, labels_out=output.form == "labels"
    )


def find_tail(model: onnx.ModelProto, source: Input, output: Output, where: str) -> Tail:
    """Understands what a network does after its last scores.

    Args:
        model: With a fixed input.
        output: The chosen output.
    """
    chain = _chain(model, output.name)
    tensors = [node.input[0] for node in chain]
    shapes = {output.name: output.shape} | _shapes(model, source, tensors, where)
    walk = _Walk(model, source, output, shapes)
    for node in chain:
        if not walk.step(node):
            break
    return walk.finish()


def _chain(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    """The nodes from a tensor backwards along first inputs."""
    made_by = producers(model)
    nodes: list[onnx.NodeProto] = []
    while name in made_by and len(nodes) < _MOST_NODES:
        node = made_by[name]
        if not node.input or not node.input[0] or node.output[0] != name:
            break
        nodes.append(node)
        name = node.input[0]
    return nodes


def _shapes(model: onnx.ModelProto, source: Input, names: list[str], where: str) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors in a trial run."""
    inputs = {value.name for value in model.graph.input} | {tensor.name for tensor in model.graph.initializer}
    names = [name for name in dict.fromkeys(names) if name not in inputs]
    if not names:
        return {}
    arrays = run_model(open_session(with_outputs(model, names), where), source, trial_input(source), where, names)
    return {name: tuple(map(int, array.shape)) for name, array in zip(names, arrays, strict=True)}


class _Walk:
    """One walk from the output backwards."""

    def __init__(self, model: onnx.ModelProto, source: Input, output: Output, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.tail = whole_network(output)
        self._model, self._source, self._output, self._shapes = model, source, output, shapes
        self._constants: dict[str, Array] = weights(model)
        self._resized = False
        self._saw_sigmoid = False
        self._threshold: float | None = None
        # The tail up to here is kept: casts and reshapes are dropped only together with what stands before them.
        self._at, self._form, self._pending = output.name, output.form, list[str]()

    def step(self, node: onnx.NodeProto) -> bool:
        """Takes off one node; False ends the walk."""
        name, shape = node.input[0], self._shapes.get(node.input[0])
        if shape is None:
            return False
        if node.op_type in _SHAPES_ONLY:
            return self._reshaped(node, name, shape)
        rules = {
            "ArgMax": self._argmax, "Greater": self._greater, "GreaterOrEqual": self._greater, "OneHot": self._onehot,
            "Transpose": self._transpose, "Softmax": self._softmax, "LogSoftmax": self._softmax, "Sigmoid": self._sigmoid,
            "Resize": self._resize, "Upsample": self._upsample,
        }  # fmt: skip
        rule = rules.get(node.op_type)
        return rule is not None and rule(node, name, shape)

    def finish(self) -> Tail:
        tail = self.tail
        if tail.classes == 1:
            tail.threshold, tail.output_threshold = self._thresholds()
        return tail

    def _accept(self, name: str, form: Form, classes: int | None, what: str) -> bool:
        tail = self.tail
        tail.name, tail.form, tail.classes, tail.shape = name, form, classes, self._shapes[name]
        tail.removed += [*self._pending, what]
        self._pending = []
        self._at, self._form = name, form
        return True

    def _reshaped(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        """A cast, or a change of shape that only adds or removes axes of size 1."""
        now = self._shapes[self._at]
        if [n for n in shape if n != 1] != [n for n in now if n != 1]:
            return False
        form = self._form
        if form != "labels":
            found = _score_form(shape, form, self.tail.classes)
            if found is None:
                return False
            form = found
        self._at, self._form = name, form
        if node.op_type != "Identity":
            self._pending.append(node.op_type)
        return True

    def _argmax(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        # Class numbers may have been cast to float for the output.
        numbers = self._form == "labels" or (self.tail.classes == 1 and not self.tail.removed)
        if not numbers or len(shape) not in (3, 4) or (len(shape) == 4 and shape[0] != 1):
            return False
        axis = int(attribute(node, "axis", 0)) % len(shape)
        if len(shape) == 4:
            form: Form | None = {1: "NCHW", 3: "NHWC"}.get(axis)  # type: ignore[assignment]
        else:
            form = "CHW" if axis == 0 else None
        spatial = _spatial(shape, form)
        if form is None or spatial != self._source.size_hw or shape[axis] < 2:
            return False
        self.tail.labels_out |= not self.tail.removed and "one-hot" not in self._pending
        return self._accept(name, form, shape[axis], "argmax")

    def _greater(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        limit = self._constants.get(node.input[1])
        form = _score_form(shape, None, 1)
        if self._form != "labels" or limit is None or limit.size != 1 or form is None:
            return False
        if _spatial(shape, form) != self._source.size_hw:
            return False
        self._threshold = float(limit.reshape(-1)[0])
        return self._accept(name, form, 1, f"threshold {self._threshold:g}")

    def _onehot(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        values = self._constants.get(node.input[2])
        now = self._shapes[self._at]
        axis = int(attribute(node, "axis", -1)) % max(len(now), 1)
        on_classes = {"NCHW": 1, "NHWC": 3, "CHW": 0}.get(self._form) == axis
        if not on_classes or values is None or list(values.reshape(-1)) != [0, 1] or self._resized:
            return False
        if int(np.prod(shape)) != self._source.size_hw[0] * self._source.size_hw[1]:
            return False
        # Only together with the argmax before it, because the runtime takes labels or scores, not indices.
        self._at, self._form = name, "labels"
        self._pending.append("one-hot")
        return True

    def _transpose(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        perm = list(attribute(node, "perm", []))
        if self._form == "labels":
            # One-hot masks in NCHW are often permuted after the fact; labels themselves are not.
            return False
        moves: dict[tuple[Form, tuple[int, ...]], Form] = {
            ("NHWC", (0, 2, 3, 1)): "NCHW", ("NCHW", (0, 3, 1, 2)): "NHWC",
        }  # fmt: skip
        form = moves.get((self._form, tuple(perm)))
        return form is not None and self._accept(name, form, self.tail.classes, "transpose")

    def _softmax(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        default = 1 if opset_of(self._model) < 13 else -1
        axis = int(attribute(node, "axis", default)) % max(len(shape), 1)
        form = _score_form(shape, self._form, self.tail.classes)
        if form is None or {"NCHW": 1, "NHWC": 3, "CHW": 0}.get(form) != axis:
            return False
        if self._resized:
            self.tail.kept.append("softmax stands before the upsampling and stays in the graph")
            return False
        return self._accept(name, form, self.tail.classes, "softmax")

    def _sigmoid(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        form = _score_form(shape, self._form, self.tail.classes)
        if form is None:
            return False
        self._saw_sigmoid = True
        if self._resized:
            self.tail.kept.append("sigmoid stands before the upsampling and stays in the graph")
            return False
        limit = 0.5 if self._threshold is None else self._threshold
        if not 0 < limit < 1:
            return False
        return self._accept(name, form, self.tail.classes, "sigmoid")

    def _resize(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        now = self._shapes[self._at]
        form = _score_form(shape, self._form, self.tail.classes)
        before, after = _spatial(shape, form), _spatial(now, self._form)
        if form is None or before is None or after != self._source.size_hw or self._resized or before == after:
            return False
        mode = (attribute(node, "mode", b"nearest") or b"").decode()
        rule = (attribute(node, "coordinate_transformation_mode", b"half_pixel") or b"").decode()
        ratios = {a / b for a, b in zip(after, before, strict=True)}
        exact = mode == "linear" and opset_of(self._model) >= 11
        exact &= rule in ("half_pixel", "pytorch_half_pixel") and not attribute(node, "antialias", 0)
        if not exact or len(ratios) != 1 or not min(ratios).is_integer() or min(ratios) < 2 or self._form == "labels":
            how = f"{mode}, {rule}" if opset_of(self._model) >= 11 else mode
            factor = "x".join(f"{a / b:g}" for a, b in zip(after, before, strict=True))
            self.tail.kept.append(f"upsampling by {factor} ({how}) is not the kernel's, and stays in the graph")
            return False
        self._resized = True
        self.tail.stride = int(min(ratios))
        return self._accept(name, form, self.tail.classes, f"upsampling by {self.tail.stride}")

    def _upsample(self, node: onnx.NodeProto, name: str, shape: tuple[int, ...]) -> bool:
        self.tail.kept.append("upsampling of an old opset is not the kernel's, and stays in the graph")
        return False

    def _thresholds(self) -> tuple[float, float]:
        """Of the tensor at the cut, and of the original's output."""
        logits_at_cut = "sigmoid" in self.tail.removed
        if self._threshold is not None:
            limit = self._threshold
        elif self._saw_sigmoid or (0 <= self._output.low and self._output.high <= 1):
            limit = 0.5
        else:
            limit = 0.0
        at_output = 0.5 if self.tail.removed and self._output.form == "labels" else limit
        if not logits_at_cut:
            return limit, at_output
        return (log(limit / (1 - limit)) if 0 < limit < 1 else -inf), at_output


def _score_form(shape: tuple[int, ...], form: Form | None, classes: int | None) -> Form | None:
    """The form of scores by their shape, after axes of size 1 went or came."""
    if classes == 1:
        if len(shape) == 4 and shape[0] == 1:
            return "NCHW" if shape[1] == 1 else "NHWC" if shape[3] == 1 else None
        return "HW" if len(shape) == 2 or (len(shape) == 3 and shape[0] == 1) else None
    if len(shape) == 4 and shape[0] == 1:
        return form if form in ("NCHW", "NHWC") else "NCHW" if form == "CHW" else None
    return "CHW" if len(shape) == 3 and form in ("CHW", "NCHW") else None


def _spatial(shape: tuple[int, ...], form: Any) -> tuple[int, int] | None:
    """Height and width of scores."""
    if form == "NHWC":
        return shape[1], shape[2]
    return (shape[-2], shape[-1]) if form in ("NCHW", "CHW", "HW") else None
