"""Small networks as other tools write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SIZE = (32, 48)
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}

Write = Callable[..., Path]


def _write(
    path: Path,
    tail: Sequence[str] = (),
    *,
    dtype: str = "float32",
    layout: str = "NCHW",
    classes: int = 4,
    stride: int = 4,
    free: bool = False,
    opset: int = 17,
    outputs: Sequence[str] = ("scores",),
    external: bool = False,
    names: tuple[str, str] = ("input", "scores"),
    metadata: dict[str, str] | None = None,
    weight_names: str = "head.weight",
    domain: str = "",
    producer: str = "",
) -> Path:
    """One convolution of random weights, then a tail, written as an ONNX file.

    Args:
        tail: Names of operations, in order: resize, align, nearest, softmax, sigmoid, argmax, keepdims, onehot, nhwc,
            squeeze, threshold, cast_<type>.
        outputs: ``scores`` is the end of the tail; ``aux`` a second head, which fewer nodes compute.
    """
    rng = np.random.default_rng(7)
    kind = np.float16 if dtype == "float16" else np.float32
    height, width = ("h", "w") if free else SIZE
    nodes: list[onnx.NodeProto] = []
    weights = {
        weight_names: rng.standard_normal((classes, 3, stride, stride)).astype(kind) / stride,
        "head.bias": np.linspace(-0.2, 0.2, classes).astype(kind),
    }
    at, form = names[0], layout

    def add(op: str, *more: str, **words: Any) -> None:
        nonlocal at
        name = f"t{len(nodes)}"
        nodes.append(
            helper.make_node(op, [at, *more], [name], name=f"n{len(nodes)}", domain=words.pop("domain", ""), **words)
        )
        at = name

    if layout == "NHWC":
        add("Transpose", perm=[0, 3, 1, 2])
        form = "NCHW"
    if dtype == "uint8":
        nodes.append(helper.make_node("Cast", [at], ["as_float"], name="cast", to=TensorProto.FLOAT))
        at = "as_float"
        weights["mean"] = np.array([100, 110, 120], np.float32).reshape(1, 3, 1, 1)
        add("Sub", "mean")
    start = at
    add("Conv", weight_names, "head.bias", strides=[stride, stride])
    if domain:
        add("Special", domain=domain)
    for step in tail:
        axis = 1 if form == "NCHW" else 3
        if step in ("resize", "align", "nearest"):
            weights["factor"] = np.array([1, 1, stride, stride], np.float32)
            mode = "nearest" if step == "nearest" else "linear"
            rule = {"resize": "half_pixel", "align": "align_corners", "nearest": "asymmetric"}[step]
            add("Resize", "", "factor", mode=mode, coordinate_transformation_mode=rule)
        elif step == "softmax":
            add("Softmax", axis=axis)
        elif step == "sigmoid":
            add("Sigmoid")
        elif step in ("argmax", "keepdims"):
            add("ArgMax", axis=axis, keepdims=int(step == "keepdims"))
        elif step == "onehot":
            weights["depth"], weights["on_off"] = np.array([classes], np.int64), np.array([0, 1], kind)
            add("OneHot", "depth", "on_off", axis=1)
        elif step == "nhwc":
            add("Transpose", perm=[0, 2, 3, 1])
            form = "NHWC"
        elif step == "squeeze":
            weights["axes"] = np.array([axis], np.int64)
            add("Squeeze", "axes")
        elif step == "threshold":
            weights["limit"] = np.array(0.3, kind)
            add("Greater", "limit")
        else:
            nodes.append(
                helper.make_node(
                    "Cast", [at], [f"t{len(nodes)}"], to=getattr(TensorProto, step.removeprefix("cast_").upper())
                )
            )
            at = nodes[-1].output[0]
    nodes[-1].output[0] = names[1]
    if "aux" in outputs:
        weights["aux.weight"] = rng.standard_normal((classes, 3, stride, stride)).astype(kind)
        nodes.append(helper.make_node("Conv", [start, "aux.weight"], ["second"], strides=[stride, stride]))
    shape = [1, 3, height, width] if layout == "NCHW" else [1, height, width, 3]
    known = {"scores": names[1], "aux": "second"}
    graph = helper.make_graph(
        nodes, "theirs", [helper.make_tensor_value_info(names[0], _TYPES[dtype], shape)],
        [helper.make_empty_tensor_value_info(known[name]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name=producer)
    if not domain:
        inferred = onnx.shape_inference.infer_shapes(model)
        for value, found in zip(model.graph.output, inferred.graph.output, strict=True):
            value.CopyFrom(found)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, str(path), save_as_external_data=external, location=f"{path.stem}.bin", size_threshold=0)
    return path


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes ``theirs.onnx`` in the test's folder; see :func:`_write`."""
    return lambda *args, name="theirs.onnx", **words: _write(tmp_path / name, *args, **words)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of two smooth, colourful images of another size than the network's."""
    import cv2

    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for i in range(2):
        coarse = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f"f{i}.png"), cv2.resize(coarse, (96, 72), interpolation=cv2.INTER_CUBIC))
    return folder
