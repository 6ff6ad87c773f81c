"""Fixtures that several folders share."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from seg_edge.core.labels import Labels
from seg_edge.core.spec import METADATA_KEY, ModelSpec
from seg_edge.measure.benchmark.timing import QUICK
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.machine import gstreamer

if TYPE_CHECKING:
    import onnx

#: The test files that take longest, longest first. `make test` gives a file to one process: a long one that begins late
#: keeps the others waiting at the end.
LONG = (
    "test_python_page.py", "test_catalog.py", "test_scene.py", "test_tutorials.py", "test_chain.py",
    "test_cluster.py", "test_robustness.py", "test_trainer_resume.py", "test_steps.py", "test_distributed.py",
    "test_tutorial_compare.py", "test_resume.py", "test_distill.py", "test_live.py", "test_readme.py",
    "test_learnable.py", "test_zoo.py", "test_notebooks.py", "cli/test_models.py", "test_docstrings.py",
    "test_shipped.py", "test_package.py", "cli/test_train.py", "test_in_flight.py", "test_trainer.py",
    "test_gates.py", "test_queue.py", "test_segment.py", "trt/test_build.py", "synth/test_writer.py",
    "importing/test_networks.py", "test_pipeline.py", "test_delivery.py", "cli/test_export.py",
)  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: about a third of the tests' time is waiting, for servers and for turns."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; the rest stays in its order."""

    def rank(item: pytest.Item) -> int:
        path = item.path.as_posix()
        return next((number for number, name in enumerate(LONG) if path.endswith(f"/{name}")), len(LONG))

    items.sort(key=rank)


@pytest.fixture(autouse=True, scope="session")
def quick_turns() -> Iterator[None]:
    """Exports of tests time their tiny networks in short turns: what they check is not how sure a median is."""
    patch = pytest.MonkeyPatch()
    patch.setattr("seg_edge.export.checks.measure.TURNS", QUICK)
    yield
    patch.undo()


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


@pytest.fixture(scope="session")
def generated_streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of generated streets: 4 training and 2 validation images of 96x128 with their classes. Read only."""
    from seg_edge.datasets import SynthOptions, synthesize

    out = tmp_path_factory.mktemp("generated") / "streets"
    return synthesize(out, SynthOptions(train=4, val=2, size_hw=(96, 128), seed=3)).data


@pytest.fixture
def street(generated_streets: Path, tmp_path: Path) -> Path:
    """A copy of the generated streets, to be changed."""
    return Path(shutil.copytree(generated_streets, tmp_path / "street"))


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
def need_element() -> Callable[..., None]:
    """A function (GStreamer elements) that skips the test where one of them, or what takes the frames out, is missing."""

    def check(*elements: str) -> None:
        if shutil.which(gstreamer.LAUNCH) is None:
            pytest.skip(f"not installed: {gstreamer.LAUNCH}")
        missing = [name for name in (*elements, *gstreamer.ELEMENTS) if not gstreamer.has(name)]
        if missing:
            pytest.skip(f"GStreamer has no element {', '.join(missing)}")

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


# --- servers and processes

SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def _gst_rtsp_server(need_element: Callable[..., None]) -> None:
    need_element("videotestsrc", "jpegenc", "rtpjpegpay")
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, timeout=30, check=False)
    except OSError:
        pytest.skip(f"{SYSTEM_PYTHON} is missing")
    if done.returncode:
        pytest.skip("no RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good")


@pytest.fixture
def rtsp_server(_gst_rtsp_server: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function (port, width, height) → running RTSP server, ``rtsp://127.0.0.1:PORT/test``."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int, width: int = 64, height: int = 48) -> subprocess.Popen[str]:
        script = Path(__file__).parent / "runtime" / "rtsp_server.py"
        words = [SYSTEM_PYTHON, str(script), str(port), str(width), str(height)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No descriptor, thread or child process is left after the test."""

    def state() -> tuple[set[str], set[str], set[str]]:
        mine = os.getpid()
        children = {entry for entry in os.listdir("/proc") if entry.isdigit() and _parent(entry) == mine}
        fds = {f"{fd} {_target(fd)}" for fd in os.listdir("/proc/self/fd") if "/proc/" not in _target(fd)}
        return fds, {thread.name for thread in threading.enumerate() if thread.is_alive()}, children

    before = state()
    yield
    deadline = time.monotonic() + 3
    while (left := [now - then for now, then in zip(state(), before, strict=True)]) != [set()] * 3:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "/proc/"


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def slower(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return function(*args, **kwargs)

    return wrapped


@pytest.fixture
def slow_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes ONNX Runtime's network take so many seconds longer."""

    def make(seconds: float) -> None:
        monkeypatch.setattr(OnnxRuntimeEngine, "_infer", slower(OnnxRuntimeEngine._infer, seconds))

    return make


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, slow_network: Callable[[float], None]) -> None:
    """The network takes 4 ms, the resize 2 ms and the overlay 3 ms longer than they do."""
    slow_network(0.004)
    monkeypatch.setattr(kernels, "resize", slower(kernels.resize, 0.002))
    monkeypatch.setattr(kernels, "upsample_overlay", slower(kernels.upsample_overlay, 0.003))
