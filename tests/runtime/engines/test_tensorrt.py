"""The TensorRT engine without a GPU: refusals with the real module; the order of calls with stand-ins for it and pycuda."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import Segmenter
from seg_edge.runtime.cuda.compile import SOURCES
from seg_edge.runtime.engines import engine_class, engines, nvinfer, open_engine
from seg_edge.runtime.engines.tensorrt import deserialize, tensors
from seg_edge.runtime.engines.trt_log import Log
from seg_edge.runtime.machine import gpu as gpu_support
from seg_edge.runtime.modelfile.plan import PlanRecord, with_plan

RTX = nvinfer.module_available("rtx")
needs_rtx = pytest.mark.skipif(not RTX.ok, reason=RTX.reason)
GPU = {"version": "13.0", "reason": "", "devices": [{"name": "Fake", "compute_capability": "8.9"}]}


# --- without anything


def test_they_are_listed_with_their_reason(monkeypatch):
    monkeypatch.setattr(gpu_support, "libcuda", lambda: {"version": None, "reason": "no driver", "devices": []})
    rows = {row.name: row for row in engines()}
    for name in ("tensorrt", "rtx"):
        assert not rows[name].available
        assert rows[name].reason == "no NVIDIA GPU can be used here (no driver)"
    assert [row.name for row in engines(".engine")] == ["tensorrt", "rtx"]
    assert "rtx" not in [row.name for row in engines(".onnx")]


def test_what_is_missing_beside_the_gpu(monkeypatch):
    monkeypatch.setattr(gpu_support, "libcuda", lambda: GPU)
    kind = engine_class("rtx")
    with monkeypatch.context() as patch:
        patch.setattr("seg_edge.runtime.engines.tensorrt.find_spec", lambda _name: None)
        assert "pycuda is not installed; pip install pycuda" in kind.available().reason
    monkeypatch.setattr("seg_edge.runtime.engines.tensorrt.find_spec", lambda _name: object())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pycuda.driver", None)
        assert "pycuda can't be imported" in kind.available().reason
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", ModuleType("pycuda.driver"))
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert "TensorRT-RTX can't be imported" in kind.available().reason
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.7.1"))
    assert kind.available().ok


# --- with the real module, on the CPU


@needs_rtx
def test_bytes_that_are_no_plan_are_refused_in_its_own_words():
    backend, log = nvinfer.load("rtx"), Log()
    with pytest.raises(
        EngineError, match=r"engine rtx: TensorRT-RTX 1\..* refuses the file: .*; build it again on this machine"
    ):
        deserialize(backend, b"no plan at all" * 100, False, None, log)
    assert log.errors


@needs_rtx
def test_names_dtypes_and_shapes_are_read_with_the_modules_own_types():
    trt = nvinfer.load("rtx").trt
    rows = {
        "frames": (trt.TensorIOMode.INPUT, trt.DataType.UINT8, (-1, 32, 40, 3)),
        "logits": (trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT, (1, 3, 8, 10)),
        "half": (trt.TensorIOMode.OUTPUT, trt.DataType.HALF, (1,)),
    }
    names = list(rows)
    network = SimpleNamespace(
        num_io_tensors=3, get_tensor_name=lambda i: names[i], get_tensor_mode=lambda n: rows[n][0],
        get_tensor_dtype=lambda n: rows[n][1], get_tensor_shape=lambda n: rows[n][2],
    )  # fmt: skip
    inputs, outputs = tensors(trt, network)
    assert [str(tensor) for tensor in inputs] == ["frames uint8 (any, 32, 40, 3)"]
    assert [str(tensor) for tensor in outputs] == ["logits float32 (1, 3, 8, 10)", "half float16 (1)"]


@needs_rtx
def test_every_name_that_the_engine_uses_is_there():
    trt = nvinfer.load("rtx").trt
    for owner, names in {
        "IExecutionContext": ["set_tensor_address", "set_input_shape", "execute_async_v3"],
        "ICudaEngine": ["num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_shape", "create_runtime_config"],
        "Runtime": ["deserialize_cuda_engine", "engine_host_code_allowed", "DLA_core"],
        "IRuntimeConfig": ["cuda_graph_strategy"],
        "CudaGraphStrategy": ["WHOLE_GRAPH_CAPTURE"],
    }.items():
        for name in names:
            assert hasattr(getattr(trt, owner), name), f"{owner}.{name}"


# --- the whole engine, on stand-ins


class Machine:
    """Memory by address, a stream that notes what happens, and a network: logit c is the mean of channel c."""

    def __init__(self, integrated, output=("logits", "FLOAT", (1, 3, 8, 10)), kernels=None):
        self.integrated, self.output, self.kernels = integrated, output, kernels
        self.memory, self.events, self.depth = {}, [], 0
        self.ok = True

    def pycuda(self):
        machine = self

        class Memory:
            """Bytes whose address on the GPU is that on the processor."""

            def __init__(self, array):
                self.array = array.reshape(-1).view(np.uint8)
                self.address = array.ctypes.data
                machine.memory[self.address] = self.array

            def __int__(self):
                return self.address

            get_device_pointer = __int__

        class Pinned(np.ndarray):
            @property
            def base(self):
                return self.held

        def pagelocked_empty(shape, dtype, mem_flags=0):
            array = np.zeros(shape, dtype)
            if not mem_flags:
                return array
            made = array.view(Pinned)
            made.held = Memory(array)
            return made

        class Stream:
            handle = 99

            def synchronize(self):
                machine.events.append("wait")

        class Context:
            def push(self):
                machine.depth += 1

            @staticmethod
            def pop():
                machine.depth -= 1

        def up(target, source, _stream):
            machine.events.append("up")
            target.array[:] = source.reshape(-1).view(np.uint8)

        def down(target, source, _stream):
            machine.events.append("down")
            target.reshape(-1).view(np.uint8)[:] = source.array

        device = SimpleNamespace(
            name=lambda: "Fake", retain_primary_context=Context, get_attribute=lambda _which: int(machine.integrated)
        )
        event = SimpleNamespace(record=lambda _stream: None, time_since=lambda _other: 0.01)
        module = ModuleType("pycuda.driver")
        module.__dict__.update(
            init=lambda: None, Device=lambda _i: device, Stream=Stream, Context=Context, pagelocked_empty=pagelocked_empty,
            mem_alloc=lambda size: Memory(np.zeros(size, np.uint8)), memcpy_htod_async=up, memcpy_dtoh_async=down,
            host_alloc_flags=SimpleNamespace(DEVICEMAP=2), device_attribute=SimpleNamespace(INTEGRATED=18),
            Event=lambda: event, module_from_file=lambda _file: SimpleNamespace(get_function=machine.function),
        )  # fmt: skip
        return module

    def function(self, name):
        """A CUDA kernel, run on the CPU over its grid."""

        def call(*arguments, block, grid, stream):
            assert stream.handle == 99
            self.events.append(name)
            kinds = {"L": ctypes.c_size_t, "Q": ctypes.c_size_t, "i": ctypes.c_int32, "I": ctypes.c_uint32}
            launch = getattr(self.kernels, name.replace("se_cuda", "launch"))
            launch(*map(ctypes.c_uint, (*grid, *block[:2])), *(kinds[a.dtype.char](int(a)) for a in arguments))

        return call

    def tensorrt(self):
        machine, (name, dtype, shape) = self, self.output
        rows = {"frames": ("in", "DataType.UINT8", (1, 32, 40, 3)), name: ("out", f"DataType.{dtype}", shape)}

        class Execution:
            def __init__(self):
                self.addresses = {}

            def set_tensor_address(self, tensor, address):
                self.addresses[tensor] = address
                return True

            def execute_async_v3(self, _stream):
                machine.events.append("run")
                frame = machine.memory[self.addresses["frames"]].reshape(8, 4, 10, 4, 3)
                target = machine.memory[self.addresses[name]].view(np.float32)
                values = frame.mean((1, 3), dtype=np.float32).transpose(2, 0, 1).ravel() / 255
                target[: values.size] = values[: target.size]
                return machine.ok

        network = SimpleNamespace(
            num_io_tensors=2, get_tensor_name=lambda i: list(rows)[i], get_tensor_mode=lambda n: rows[n][0],
            get_tensor_dtype=lambda n: rows[n][1], get_tensor_shape=lambda n: rows[n][2], create_execution_context=Execution,
        )  # fmt: skip

        class Logger:
            Severity = SimpleNamespace(ERROR=1, INTERNAL_ERROR=0)

            def __init__(self):
                pass

        return SimpleNamespace(
            __version__="10.3.0", ILogger=Logger, ICudaEngine=object, TensorIOMode=SimpleNamespace(INPUT="in"),
            Runtime=lambda _log: SimpleNamespace(deserialize_cuda_engine=lambda data: network if data == b"plan" else None),
        )  # fmt: skip


@pytest.fixture
def install(monkeypatch, tmp_path):
    """A function (machine) → an engine file that it can run."""

    def put(machine):
        monkeypatch.setattr(gpu_support, "libcuda", lambda: GPU)
        monkeypatch.setattr("seg_edge.runtime.engines.tensorrt.find_spec", lambda _name: object())
        pycuda = ModuleType("pycuda")
        pycuda.driver = machine.pycuda()
        monkeypatch.setitem(sys.modules, "pycuda", pycuda)
        monkeypatch.setitem(sys.modules, "pycuda.driver", pycuda.driver)
        monkeypatch.setitem(sys.modules, "tensorrt", machine.tensorrt())
        path = tmp_path / "model.fp32.engine"
        path.write_bytes(b"plan")
        record = PlanRecord("tensorrt", "10.3.0", "13", "Fake", ["8.9"], "fp32", "model.fp32.onnx", "0" * 64, sha256(path))
        spec = with_plan(ModelSpec("m", Labels.numbered(3), (32, 40)), path.name, record)
        (tmp_path / "model.json").write_text(spec.to_json())
        return path

    return put


@pytest.mark.parametrize("integrated", [False, True])
def test_a_frame_goes_up_and_logits_come_down(install, integrated):
    machine = Machine(integrated)
    path = install(machine)
    with open_engine(path, "tensorrt") as engine:
        assert (engine.name, engine.device, engine.batch, engine.version) == ("tensorrt", "GPU, Fake", 1, "10.3.0")
        machine.events.clear()
        for value in (10, 200):
            logits = engine.infer(np.full((1, 32, 40, 3), value, np.uint8))
            assert logits.shape == (1, 3, 8, 10)
            np.testing.assert_allclose(logits, value / 255, atol=1e-6)
        # On a board with shared memory nothing is copied.
        once = ["run", "wait"] if integrated else ["up", "run", "down", "wait"]
        assert machine.events == 2 * once
        machine.ok = False
        with pytest.raises(EngineError, match="TensorRT could not start the network"):
            engine.infer(np.zeros((1, 32, 40, 3), np.uint8))
    assert machine.depth == 0


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """kernels.cu, compiled as C: its threads one after the other."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("no C compiler")
    target = tmp_path_factory.mktemp("emulated") / "emulate.so"
    includes = [f"-I{source.parent}" for source in SOURCES]
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-shared", "-fPIC"]
    source = Path(__file__).parents[1] / "cuda" / "emulate.c"
    subprocess.run([compiler, *flags, *includes, str(source), "-o", str(target), "-lm"], check=True)
    return ctypes.CDLL(str(target))


@pytest.mark.parametrize("integrated", [False, True])
def test_a_frames_whole_way_gives_the_bytes_of_the_c_kernels(install, emulated, integrated, monkeypatch):
    machine = Machine(integrated, kernels=emulated)
    path = install(machine)
    monkeypatch.setattr("seg_edge.runtime.engines.tensorrt.cubin", lambda architecture: Path(architecture))
    rng = np.random.default_rng(0)
    with Segmenter(path, "tensorrt", alpha=0.3) as gpu:
        cpu = Segmenter(gpu.engine, alpha=0.3)
        cpu._runner.device_path = None
        for size in ((72, 90), (72, 90), (31, 40), (20, 25)):
            blocks = rng.integers(0, 256, (size[0] // 8 + 1, size[1] // 8 + 1, 3), np.uint8)
            frame = np.ascontiguousarray(blocks.repeat(8, 0).repeat(8, 1)[: size[0], : size[1]])
            expected = cpu.process(frame)
            machine.events.clear()
            found = gpu.process(frame)
            np.testing.assert_array_equal(found.mask, expected.mask)
            np.testing.assert_array_equal(found.overlay_bgr, expected.overlay_bgr)
            assert len(np.unique(found.mask)) > 1
            steps = ["se_cuda_resize", "run", "se_cuda_corners", "se_cuda_upsample"]
            assert machine.events == ([*steps, "wait"] if integrated else ["up", *steps, "down", "down", "wait"])
            assert set(found.stages_ms) == {"pre", "engine", "post"}
            assert found.latency_ms > 0
        # One of the two only, into the caller's arrays; the frame itself may be painted.
        mask = np.zeros(size, np.uint8)
        assert gpu(frame, out=mask) is mask
        np.testing.assert_array_equal(mask, expected.mask)
        painted = frame.copy()
        assert gpu.overlay(painted, out=painted) is painted
        np.testing.assert_array_equal(painted, expected.overlay_bgr)
        wide = np.zeros((20, 50, 3), np.uint8)
        wide[:, :25] = frame
        np.testing.assert_array_equal(gpu(wide[:, :25]), expected.mask)
        with pytest.raises(ValueError, match=r"process: mask_out must be uint8 \(20, 25\) and writable, got \(3, 3\)"):
            gpu(frame, out=np.zeros((3, 3), np.uint8))
        with pytest.raises(TypeError, match="process: out must be uint8 .*got float32"):
            gpu.overlay(frame, out=np.zeros((20, 25, 3), np.float32))
        machine.ok = False
        with pytest.raises(EngineError, match="engine tensorrt: .* failed: TensorRT could not start the network"):
            gpu(frame)
    with pytest.raises(EngineError, match="process after close"):
        gpu(frame)
    assert machine.depth == 0


def test_without_nvcc_the_c_kernels_do_it_and_it_is_said(install, monkeypatch):
    def missing(_architecture):
        raise EngineError("nvcc is not installed")

    path = install(Machine(False))
    monkeypatch.setattr("seg_edge.runtime.engines.tensorrt.cubin", missing)
    with Segmenter(path, "tensorrt") as segmenter:
        assert segmenter.engine.why == "asked for; resize and overlay run on the CPU: nvcc is not installed"
        assert segmenter(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30)


def test_auto_takes_the_engine_file_of_a_folder(install, tiny_onnx, tmp_path):
    path = install(Machine(False))
    for model in (path, tmp_path):
        with open_engine(model) as engine:
            assert (engine.name, engine.path) == ("tensorrt", path)
    tiny_onnx(tmp_path / "model.fp32.onnx")
    with open_engine(tmp_path / "model.fp32.onnx") as engine:
        assert engine.name in ("openvino", "onnxruntime")
    with open_engine(tmp_path, "onnxruntime") as engine:
        assert engine.path.name == "model.fp32.onnx"


def test_a_network_that_is_not_what_its_record_says(install):
    for output in (
        ("scores", "FLOAT", (1, 3, 8, 10)),
        ("logits", "HALF", (1, 3, 8, 10)),
        ("logits", "FLOAT", (1, 4, 8, 10)),
    ):
        machine = Machine(False, output)
        with pytest.raises(EngineError, match="its spec says one output logits float32 .*, but the graph has"):
            open_engine(install(machine), "tensorrt")
        assert machine.depth == 0


def test_refusals_come_before_tensorrt_is_called(install, tmp_path):
    path = install(Machine(False))
    path.write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match="damaged or replaced"):
        open_engine(path, "tensorrt")
    with pytest.raises(ModelFileError, match=r"engine onnxruntime opens \.onnx files; take another `engine`"):
        open_engine(path, "onnxruntime")
    with pytest.raises(ModelFileError, match="no such file"):
        open_engine(tmp_path / "absent.engine", "tensorrt")
    (tmp_path / "model.json").unlink()
    with pytest.raises(
        ModelFileError, match="no engine file in this folder fits tensorrt on this machine; build one: seg-edge build"
    ):
        open_engine(tmp_path, "tensorrt")


def test_a_plan_that_is_refused_leaves_no_context(install):
    machine = Machine(False)
    path = install(machine)
    sys.modules["tensorrt"].Runtime = lambda _log: SimpleNamespace(deserialize_cuda_engine=lambda _data: None)
    with pytest.raises(EngineError, match="engine tensorrt: TensorRT 10.3.0 refuses the file: no reason given"):
        open_engine(path, "tensorrt")
    assert machine.depth == 0
    assert machine.events == []


def test_no_gpu_is_said_when_it_is_asked_for(install, monkeypatch):
    path = install(Machine(False))
    monkeypatch.setattr(gpu_support, "libcuda", lambda: {"version": None, "reason": "no driver", "devices": []})
    with pytest.raises(EngineError, match="engine tensorrt: not available: no NVIDIA GPU"):
        open_engine(path, "tensorrt")
    with pytest.raises(EngineError, match=r"no engine is available: tensorrt: no NVIDIA GPU"):
        open_engine(path)
