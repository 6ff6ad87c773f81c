"""The TensorRT engine without a GPU: refusals with the real module; the order of calls with stand-ins for it and pycuda."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from seg_edge.core.artifact import sha256
from seg_edge.core.errors import EngineError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.core.plan import PlanRecord, with_plan
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import gpu_support, nvinfer
from seg_edge.runtime.engines import engine_class, engines, open_engine
from seg_edge.runtime.engines.tensorrt import deserialize, tensors

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
    backend, log = nvinfer.load("rtx"), []
    with pytest.raises(
        EngineError, match=r"engine rtx: TensorRT-RTX 1\..* refuses the file: .*; build it again on this machine"
    ):
        deserialize(backend, b"no plan at all" * 100, False, None, log)
    assert log


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
    """Memory by address, a stream that notes what happens, and a network: logit c of a pixel is frame mean + c."""

    def __init__(self, integrated, output=("logits", "FLOAT", (1, 3, 8, 10))):
        self.integrated, self.output = integrated, output
        self.memory, self.events, self.depth = {}, [], 0
        self.ok = True

    def pycuda(self):
        machine = self

        class Pinned(np.ndarray):
            pass

        class Memory:
            def __init__(self, array):
                self.address = 0x1000 * (len(machine.memory) + 1)
                machine.memory[self.address] = array

            def __int__(self):
                return self.address

            def get_device_pointer(self):
                return self.address

        def pagelocked_empty(shape, dtype, mem_flags=0):
            base = np.zeros(shape, dtype).view(Pinned)
            array = base.view(np.ndarray)
            if mem_flags:
                held = Memory(array)
                array = Mapped(array, held)
            return array

        class Mapped(np.ndarray):
            def __new__(cls, array, held):
                made = array.view(cls)
                made.held = held
                return made

            @property
            def base(self):
                return self.held

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
            machine.memory[int(target)][...] = source

        def down(target, source, _stream):
            machine.events.append("down")
            target[...] = machine.memory[int(source)]

        device = SimpleNamespace(
            name=lambda: "Fake", retain_primary_context=Context, get_attribute=lambda _which: int(machine.integrated)
        )
        module = ModuleType("pycuda.driver")
        module.__dict__.update(
            init=lambda: None, Device=lambda _i: device, Stream=Stream, Context=Context, pagelocked_empty=pagelocked_empty,
            mem_alloc=None, memcpy_htod_async=up, memcpy_dtoh_async=down,
            host_alloc_flags=SimpleNamespace(DEVICEMAP=2), device_attribute=SimpleNamespace(INTEGRATED=18),
        )  # fmt: skip
        sizes = {"frames": ((1, 32, 40, 3), "uint8"), self.output[0]: (self.output[2], "float32")}
        queue = list(sizes.values())

        def mem_alloc(_bytes):
            queue.append(queue.pop(0))
            return Memory(np.zeros(*queue[-1]))

        module.mem_alloc = mem_alloc
        return module

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
                frame = machine.memory[self.addresses["frames"]].astype(np.float32)
                target = machine.memory[self.addresses[name]]
                target[...] = frame.mean() + np.arange(target.shape[1])[None, :, None, None]
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
            assert logits[0, 2, 0, 0] == value + 2
        # On a board with shared memory nothing is copied.
        once = ["run", "wait"] if integrated else ["up", "run", "down", "wait"]
        assert machine.events == 2 * once
        machine.ok = False
        with pytest.raises(EngineError, match="TensorRT could not start the network"):
            engine.infer(np.zeros((1, 32, 40, 3), np.uint8))
    assert machine.depth == 0


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
    with pytest.raises(ModelFileError, match=r"engine onnxruntime opens \.onnx files; take another --engine"):
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
