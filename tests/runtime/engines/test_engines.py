"""One tester that every engine passes: contract of the network, checks, ownership, state."""

from __future__ import annotations

import contextlib
import itertools
import re
import threading

import numpy as np
import pytest

from seg_edge.core.cpu import resolve_threads
from seg_edge.core.errors import EngineError, InputError, ModelFileError, UnknownNameError
from seg_edge.runtime import engines as registry
from seg_edge.runtime.engines import AUTO, Availability, engine_class, engines, open_engine
from seg_edge.runtime.engines.openvino import compile_options


class EngineTester:
    name = ""

    @pytest.fixture(autouse=True)
    def _needs_backend(self):
        state = engine_class(self.name).available()
        if not state.ok:
            pytest.skip(state.reason)

    def open(self, path, **options):
        return open_engine(path, self.name, **options)

    def test_logits(self, tiny_model):
        frames = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), np.uint8)
        expected = frames.reshape(2, 8, 4, 10, 4, 3).mean((2, 4)).transpose(0, 3, 1, 2) / 255
        with self.open(tiny_model) as engine:
            assert engine.name == self.name
            assert engine.version
            logits = engine.infer(frames)
            assert logits.dtype == np.float32
            assert logits.flags.c_contiguous
            np.testing.assert_allclose(logits, expected, atol=1e-5)

    def test_labels(self, tmp_path, tiny_onnx):
        tiny_onnx(tmp_path / "m.onnx", output="labels")
        frames = np.zeros((1, 32, 40, 3), np.uint8)
        frames[:, :, :20, 1] = frames[:, :, 20:, 2] = 200
        with self.open(tmp_path / "m.onnx") as engine:
            labels = engine.infer(frames)
            assert labels.dtype == np.uint8
            assert labels.shape == (1, 32, 40)
            assert (labels[:, :, :20] == 1).all()
            assert (labels[:, :, 20:] == 2).all()

    def test_each_call_answers_for_its_own_frames(self, tiny_model):
        with self.open(tiny_model) as engine:
            for value in (10, 200, 60):
                frames = np.full((1, 32, 40, 3), value, np.uint8)
                np.testing.assert_allclose(engine.infer(frames), value / 255, atol=1e-5)
                assert (frames == value).all()

    def test_read_only_frames(self, tiny_model):
        frames = np.full((1, 32, 40, 3), 51, np.uint8)
        frames.flags.writeable = False
        with self.open(tiny_model) as engine:
            np.testing.assert_allclose(engine.infer(frames), 0.2, atol=1e-5)

    @pytest.mark.parametrize("dtype", [np.float32, np.int8])
    def test_wrong_dtype(self, tiny_model, dtype):
        with (
            self.open(tiny_model) as engine,
            pytest.raises(TypeError, match=f"frames must be a uint8 array.*{dtype.__name__}"),
        ):
            engine.infer(np.zeros((1, 32, 40, 3), dtype))

    def test_not_an_array(self, tiny_model):
        with self.open(tiny_model) as engine, pytest.raises(TypeError, match="got list"):
            engine.infer([[0]])

    @pytest.mark.parametrize("shape", [(32, 40, 3), (1, 40, 32, 3), (1, 3, 32, 40), (0, 32, 40, 3), (1, 32, 40, 4)])
    def test_wrong_shape(self, tiny_model, shape):
        with self.open(tiny_model) as engine, pytest.raises(ValueError, match=re.escape(f"(N, 32, 40, 3), got {shape}")):
            engine.infer(np.zeros(shape, np.uint8))

    def test_strided_frames(self, tiny_model):
        with self.open(tiny_model) as engine, pytest.raises(ValueError, match="C-contiguous"):
            engine.infer(np.zeros((1, 32, 80, 3), np.uint8)[:, :, ::2])

    def test_fixed_batch(self, tmp_path, tiny_onnx):
        tiny_onnx(tmp_path / "m.onnx", batch=2)
        with self.open(tmp_path / "m.onnx") as engine:
            assert engine.batch == 2
            assert engine.infer(np.zeros((2, 32, 40, 3), np.uint8)).shape == (2, 3, 8, 10)
            with pytest.raises(ValueError, match=r"\(2, 32, 40, 3\), got \(1, 32, 40, 3\)"):
                engine.infer(np.zeros((1, 32, 40, 3), np.uint8))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"names": ("image", "logits")}, r"one input frames uint8 \(any, 32, 40, 3\), but the graph has image uint8"),
            ({"names": ("frames", "out")}, r"one output logits float32 \(any, 3, 8, 10\), but the graph has out float32"),
            ({"dtype": "float32"}, "but the graph has frames float32"),
            ({"graph_hw": (64, 40)}, r"but the graph has frames uint8 \(any, 64, 40, 3\)"),
        ],
        ids=["input name", "output name", "dtype", "shape"],
    )
    def test_graph_that_contradicts_its_spec(self, tmp_path, tiny_onnx, change, message):
        tiny_onnx(tmp_path / "m.onnx", **change)
        with pytest.raises(EngineError, match=message):
            self.open(tmp_path / "m.onnx")

    def test_damaged_graph(self, tmp_path, tiny_onnx):
        import onnx

        tiny_onnx(tmp_path / "m.onnx")
        model = onnx.load(tmp_path / "m.onnx")
        model.graph.node[2].op_type = "NoSuchOperator"
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(EngineError, match=rf"engine {self.name}: .*m\.onnx can't be opened: .*NoSuchOperator") as caught:
            self.open(tmp_path / "m.onnx")
        assert "\n" not in str(caught.value)

    def test_use_after_close(self, tiny_model):
        engine = self.open(tiny_model)
        engine.close()
        engine.close()
        with pytest.raises(EngineError, match="infer after close"):
            engine.infer(np.zeros((1, 32, 40, 3), np.uint8))

    def test_requests_in_flight(self, tiny_model):
        """Each ticket answers for its own frames, whatever is computed before it is looked at."""
        frames = [np.full((1 + value % 2, 32, 40, 3), value, np.uint8) for value in range(0, 250, 25)]
        with self.open(tiny_model) as engine:
            tickets = [engine.start(one) for one in frames]
            outputs = [engine.wait(ticket) for ticket in tickets]
            assert len({output.ctypes.data for output in outputs}) == len(frames)
            for one, output in zip(frames, outputs, strict=True):
                np.testing.assert_allclose(output, one[0, 0, 0, 0] / 255, atol=1e-5)
                assert output.shape == (len(one), 3, 8, 10)
            # Started in this order, computed in this order; two clocks that are started together may be a little apart.
            done = [ticket.computed_s for ticket in tickets]
            assert all(ticket.computed_s > ticket.started_s for ticket in tickets)
            assert all(later > earlier - 0.02 for earlier, later in itertools.pairwise(done))
            for ticket in tickets:
                engine.release(ticket)
            assert len(engine._free) == engine.most_in_flight

    def test_infer_beside_requests(self, tiny_model):
        dark, bright = (np.full((1, 32, 40, 3), value, np.uint8) for value in (51, 204))
        with self.open(tiny_model) as engine:
            ticket = engine.start(dark)
            np.testing.assert_allclose(engine.infer(bright), 0.8, atol=1e-5)
            np.testing.assert_allclose(engine.wait(ticket), 0.2, atol=1e-5)

    def test_too_many_requests(self, tiny_model):
        frames = np.zeros((1, 32, 40, 3), np.uint8)
        with self.open(tiny_model) as engine:
            tickets = [engine.start(frames) for _ in range(engine.most_in_flight)]
            with pytest.raises(EngineError, match=f"{engine.most_in_flight} requests are in flight already"):
                engine.start(frames)
            engine.wait(tickets[0])
            engine.release(tickets[0])
            engine.wait(engine.start(frames))

    def test_wrong_frames_take_no_request(self, tiny_model):
        with self.open(tiny_model) as engine:
            with pytest.raises(ValueError, match=r"start: frames must be \(N, 32, 40, 3\)"):
                engine.start(np.zeros((1, 8, 8, 3), np.uint8))
            with pytest.raises(TypeError, match="start: frames must be a uint8 array"):
                engine.start(np.zeros((1, 32, 40, 3), np.float32))
            assert len(engine._free) == engine.most_in_flight

    def test_close_with_requests_in_flight(self, tiny_model):
        threads = set(threading.enumerate())
        engine = self.open(tiny_model)
        tickets = [engine.start(np.full((1, 32, 40, 3), 51, np.uint8)) for _ in range(4)]
        engine.close()
        for ticket in tickets:
            # Those that were done already are still right.
            with contextlib.suppress(EngineError):
                np.testing.assert_allclose(engine.wait(ticket), 0.2, atol=1e-5)
        assert not [one for one in set(threading.enumerate()) - threads if one.name.startswith("seg-edge")]
        with pytest.raises(EngineError, match="start after close"):
            engine.start(np.zeros((1, 32, 40, 3), np.uint8))

    def test_a_cancelled_request(self, tiny_model):
        frames = [np.full((1, 32, 40, 3), value, np.uint8) for value in (51, 102, 204)]
        with self.open(tiny_model) as engine:
            tickets = [engine.start(one) for one in frames]
            engine.cancel(tickets[1])
            engine.release(tickets[1])
            np.testing.assert_allclose(engine.wait(tickets[0]), 0.2, atol=1e-5)
            np.testing.assert_allclose(engine.wait(tickets[2]), 0.8, atol=1e-5)
            again = engine.start(frames[1])  # in the memory of the one that was cancelled
            np.testing.assert_allclose(engine.wait(again), 0.4, atol=1e-5)

    def test_threads(self, tiny_model):
        with self.open(tiny_model, threads=1) as engine:
            assert engine.threads == 1
            assert engine.device == "CPU, 1 thread"
        with self.open(tiny_model) as engine:
            assert engine.threads == resolve_threads(None) >= 1
        with pytest.raises(InputError, match="threads: expected at least 1, got 0"):
            self.open(tiny_model, threads=0)

    def test_missing_backend(self, tiny_model, monkeypatch):
        kind = engine_class(self.name)
        monkeypatch.setattr(kind, "available", classmethod(lambda cls: Availability(False, "not installed; pip install it")))
        assert next(row for row in engines() if row.name == self.name).reason == "not installed; pip install it"
        with pytest.raises(EngineError, match=f"engine {self.name}: not available: not installed"):
            self.open(tiny_model)
        others = [row.name for row in engines(".onnx") if row.available]
        with open_engine(tiny_model, AUTO) as engine:
            assert engine.name == others[0]


class TestOnnxRuntime(EngineTester):
    name = "onnxruntime"


class TestOpenVino(EngineTester):
    name = "openvino"

    @pytest.mark.parametrize(("precision", "hint"), [("fp32", "f32"), ("int8", "f32"), ("fp16", None)])
    def test_precision_is_the_graphs(self, tmp_path, tiny_onnx, precision, hint):
        # Only a CPU with bf16 or fp16 instructions would show the difference in the compiled network.
        spec = tiny_onnx(tmp_path / "m.onnx", precision=precision)
        assert compile_options(spec, 1).get("INFERENCE_PRECISION_HINT") == hint

    def test_options_are_taken(self, tiny_model):
        with self.open(tiny_model) as engine:
            assert engine._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
            assert engine._compiled.get_property("PERFORMANCE_HINT") == "LATENCY"


def test_auto_takes_the_first_available_and_says_why(tiny_model, monkeypatch):
    usable = [row for row in engines(".onnx") if row.available]
    if len(usable) < 2:
        pytest.skip("needs two engines")
    first, second = usable[:2]
    with open_engine(tiny_model) as engine:
        assert engine.name == first.name
        assert engine.why.startswith("the first available of ")
    monkeypatch.setattr(engine_class(first.name), "available", classmethod(lambda cls: Availability(False, "switched off")))
    with open_engine(tiny_model) as engine:
        assert engine.name == second.name
        assert f"{first.name} is not: switched off" in engine.why


def test_no_engine_at_all(tiny_model, monkeypatch):
    for name in registry.TABLE:
        monkeypatch.setattr(engine_class(name), "available", classmethod(lambda cls: Availability(False, "gone")))
    with pytest.raises(EngineError, match="no engine is available: .*: gone"):
        open_engine(tiny_model)


def test_backend_that_cannot_be_imported_is_listed(monkeypatch):
    import sys

    for name in ("onnxruntime", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    assert {row.name for row in engines()} == {"onnxruntime", "onnxruntime-cuda", "openvino", "rtx", "tensorrt"}
    rows = {row.name: row for row in engines(".onnx")}
    assert set(rows) == {"onnxruntime", "onnxruntime-cuda", "openvino"}
    assert "no NVIDIA GPU" in rows["onnxruntime-cuda"].reason or "onnxruntime" in rows["onnxruntime-cuda"].reason
    del rows["onnxruntime-cuda"]
    for name, row in rows.items():
        assert not row.available
        assert name in row.reason
        assert "pip install" in row.reason


def test_unknown_engine(tiny_model):
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        open_engine(tiny_model, "openvin")


def test_missing_model(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        open_engine(tmp_path / "absent.onnx")


def test_engines_agree(tiny_model):
    usable = [row for row in engines(".onnx") if row.available]
    if len(usable) < 2:
        pytest.skip("needs two engines")
    frames = np.random.default_rng(1).integers(0, 256, (1, 32, 40, 3), np.uint8)
    outputs = []
    for row in usable:
        with open_engine(tiny_model, row.name) as engine:
            outputs.append(engine.infer(frames).copy())
    for output in outputs[1:]:
        np.testing.assert_allclose(outputs[0], output, atol=1e-5)


def test_cuda_through_onnxruntime_says_what_is_missing(tiny_model, monkeypatch):
    import onnxruntime

    from seg_edge.runtime.machine import gpu as gpu_support

    kind = engine_class("onnxruntime-cuda")
    monkeypatch.setattr(gpu_support, "libcuda", lambda: {"version": None, "reason": "no driver", "devices": []})
    assert kind.available().reason == "no NVIDIA GPU can be used here (no driver)"
    gpu = {"version": "13.0", "reason": "", "devices": [{"name": "Fake", "compute_capability": "9.0"}]}
    monkeypatch.setattr(gpu_support, "libcuda", lambda: gpu)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert (
        "this onnxruntime is the CPU build; pip uninstall onnxruntime, pip install onnxruntime-gpu"
        in kind.available().reason
    )
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert kind.available().ok
    # What happens where CUDA's libraries don't load: ONNX Runtime warns and takes the CPU.
    opened = onnxruntime.InferenceSession

    def falls_back(path, options, providers):
        assert providers[0][0] == "CUDAExecutionProvider"
        return opened(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    with pytest.raises(EngineError, match="engine onnxruntime-cuda: ONNX Runtime .* can't start CUDA"):
        open_engine(tiny_model, "onnxruntime-cuda")
