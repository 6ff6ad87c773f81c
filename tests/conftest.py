"""Fixtures that several folders share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from seg_edge.core.labels import Labels
from seg_edge.core.spec import METADATA_KEY, ModelSpec

if TYPE_CHECKING:
    import onnx

TinyOnnx = Callable[..., ModelSpec]
LoadModule = Callable[[str], ModuleType]


def _tiny_onnx(
    path: Path,
    classes: int = 3,
    input_hw: tuple[int, int] = (32, 40),
    *,
    output: str = "logits",
    batch: int | None = None,
    names: tuple[str, str] | None = None,
    dtype: str = "uint8",
    graph_hw: tuple[int, int] | None = None,
    with_spec: bool = True,
    labels: Labels | None = None,
    precision: str = "fp32",
    resize: str = "area",
) -> ModelSpec:
    """Writes a network whose masks are known: class 0, 1, 2 wins where blue, green, red is strongest.

    Logit k of an output pixel is the mean of channel k over its 4x4 block, divided by 255; further classes never win.

    Args:
        path: Where the ONNX file goes.
        classes: 3 or more.
        input_hw: Height and width of the input, multiples of 4.
        output: "logits" or "labels" (upsample and argmax in the graph).
        batch: A fixed batch size; None leaves it free.
        names: Other names of input and output than the contract's.
        dtype: Another input type than the contract's: "float32".
        graph_hw: Another input size in the graph than the spec says.
        with_spec: Write the spec into the metadata.
        labels: Its classes; default class0, class1, …
        precision: What the spec says; the graph is float32.
        resize: What the spec says.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    spec = ModelSpec("tiny", labels or Labels.numbered(classes), input_hw, output=output, precision=precision, resize=resize)
    source, target = names or ("frames", output)
    height, width = graph_hw or input_hw
    n = batch or "N"
    weights = np.zeros((classes, 3, 4, 4), np.float32)
    weights[range(3), range(3)] = 1 / (16 * 255)
    bias = np.array([0.0] * 3 + [-1e3] * (classes - 3), np.float32)
    nodes = [
        helper.make_node("Cast", [source], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "weights", "bias"], ["logits_" if output == "labels" else target], strides=[4, 4]),
    ]
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    if output == "labels":
        constants.append(numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "scales"))
        nodes += [
            helper.make_node("Resize", ["logits_", "", "scales"], ["full"], mode="linear"),
            helper.make_node("ArgMax", ["full"], ["best"], axis=1, keepdims=0),
            helper.make_node("Cast", ["best"], [target], to=TensorProto.UINT8),
        ]
        out = helper.make_tensor_value_info(target, TensorProto.UINT8, [n, height, width])
    else:
        out = helper.make_tensor_value_info(target, TensorProto.FLOAT, [n, classes, height // 4, width // 4])
    kind = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}[dtype]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info(source, kind, [n, height, width, 3])], [out], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if with_spec:
        helper.set_model_props(model, {METADATA_KEY: spec.to_json()})
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return spec


@pytest.fixture(scope="session")
def tiny_onnx() -> TinyOnnx:
    """A function that writes a tiny ONNX network with known masks; see ``_tiny_onnx``."""
    return _tiny_onnx


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ONNX network: 3 classes, 32x40, logits at stride 4."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    _tiny_onnx(path)
    return path


@pytest.fixture
def colour_frame() -> Callable[[int, int], np.ndarray]:
    """A function (height, width) → BGR frame of a blue, a green and a red column: classes 0, 1, 2 of the tiny net."""

    def make(height: int, width: int) -> np.ndarray:
        frame = np.full((height, width, 3), 20, np.uint8)
        for k, columns in enumerate(np.array_split(np.arange(width), 3)):
            frame[:, columns, k] = 220
        return frame

    return make


@pytest.fixture(scope="session")
def load_module() -> LoadModule:
    """A function (file below ``tests/``) → that module: test folders are no packages that could import each other."""

    def load(file: str) -> ModuleType:
        path = Path(__file__).parent / file
        found = spec_from_file_location(f"seg_edge_test_{path.stem}", path)
        assert found is not None
        assert found.loader is not None
        module = module_from_spec(found)
        found.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """A function (programs) that skips the test where one of them is missing."""

    def check(*tools: str) -> None:
        missing = [tool for tool in tools if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"not installed: {', '.join(missing)}")

    return check


@pytest.fixture(scope="session")
def nets(load_module: LoadModule) -> ModuleType:
    """``tests/export/nets.py``: small networks, and frames, checkpoints and data sets made of them."""
    return load_module("export/nets.py")


@pytest.fixture(scope="session")
def tiny(nets: ModuleType) -> onnx.ModelProto:
    """A small U-Net as ONNX, named and with biases as calibration wants it."""
    from seg_edge.export.graph.quantize import prepare
    from seg_edge.export.graph.to_onnx import to_onnx

    return prepare(to_onnx(nets.tiny(), nets.SPEC))
