"""Engine files in the benchmark: they choose their engine themselves. The GPU is a stand-in."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, UnknownNameError
from seg_edge.measure.benchmark.finding import find_models
from seg_edge.measure.benchmark.outcome import require_measured
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.runtime.engines import Availability, engines
from seg_edge.runtime.engines.base import Tensor
from seg_edge.runtime.engines.tensorrt import TensorRtRtxEngine
from seg_edge.runtime.machine import gpu as gpu_support
from seg_edge.runtime.modelfile.plan import PlanHost, PlanRecord, with_plan

SHORT = {"threads": [1], "frame_hw": (60, 80), "runs": 1}
AVAILABLE = [row.name for row in engines(".onnx") if row.available]


@pytest.fixture
def plan(tmp_path, tiny_onnx):
    """An artefact folder's engine file for TensorRT-RTX, with its record."""
    onnx, path = tmp_path / "model.int8.onnx", tmp_path / "model.int8.engine"
    spec = tiny_onnx(onnx)
    path.write_bytes(b"plan")
    record = PlanRecord("rtx", "1.7.1.116", "13", None, ["8.9"], "int8", onnx.name, sha256(onnx), sha256(path))
    (tmp_path / "model.json").write_text(with_plan(spec, path.name, record).to_json())
    return path


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(gpu_support, "libcuda", lambda: {"version": None, "reason": "no driver", "devices": []})


@pytest.fixture
def gpu(monkeypatch):
    """A GPU engine that answers with zeros."""
    monkeypatch.setattr(TensorRtRtxEngine, "available", classmethod(lambda cls: Availability(True, version="1.7.1")))
    for name, body in {
        "_open": lambda self: ([Tensor("frames", "uint8", (1, 32, 40, 3))], [Tensor("logits", "float32", (1, 3, 8, 10))]),
        "_infer": lambda self, frames: np.zeros((1, 3, 8, 10), np.float32),
        "_close": lambda self: None,
        "frame_path": lambda self: None,
    }.items():
        monkeypatch.setattr(TensorRtRtxEngine, name, body)


@pytest.mark.parametrize("names", [None, ["auto"], ["rtx"]])
def test_it_runs_on_the_engine_that_built_it(gpu, plan, names):
    (row,) = bench([plan], BenchOptions(engines=names, **SHORT))["rows"]
    assert (row["engine"], row["model"], row["precision"]) == ("rtx", "tiny", "int8")
    assert row["fps_e2e"] > 0


def test_each_file_gets_the_engines_that_open_it(gpu, plan, tiny_model):
    found = [(row["file"], row["engine"]) for row in bench([plan, tiny_model], BenchOptions(**SHORT))["rows"]]
    assert found == [(str(plan), "rtx"), *((str(tiny_model), name) for name in AVAILABLE)]
    named = bench([plan, tiny_model], BenchOptions(engines=["onnxruntime", "rtx"], **SHORT))["rows"]
    assert [(row["file"], row["engine"]) for row in named] == [(str(plan), "rtx"), (str(tiny_model), "onnxruntime")]


def test_where_it_can_not_run_the_reason_is_said(no_gpu, plan, tiny_model):
    report = bench([plan], BenchOptions(**SHORT))
    assert (report["rows"][0]["engine"], report["rows"][0]["precision"]) == ("rtx", "int8")
    with pytest.raises(EngineError, match=r"tiny int8 on rtx, 1 thread: not measured: .*no NVIDIA GPU can be used here"):
        require_measured(report)
    beside = bench([plan, tiny_model], BenchOptions(engines=["auto"], **SHORT))
    assert [row["fps_e2e"] is None for row in beside["rows"]] == [True, False]
    require_measured(beside)


def test_an_engine_of_another_kind_is_refused_with_what_it_opens(plan, tiny_model, no_gpu):
    report = bench([plan], BenchOptions(engines=["onnxruntime"], **SHORT))
    with pytest.raises(EngineError, match=r"model\.int8\.engine: engine onnxruntime opens \.onnx files"):
        require_measured(report)
    with pytest.raises(EngineError, match=r"on rtx.*"):
        require_measured(bench([tiny_model], BenchOptions(engines=["rtx"], **SHORT)))
    with pytest.raises(UnknownNameError, match="rtx"):
        bench([plan], BenchOptions(engines=["rtz"], **SHORT))


def test_without_its_record_the_row_says_what_to_copy(plan):
    (plan.parent / "model.json").unlink()
    with pytest.raises(EngineError, match=r"model\.json: can't be read .* copy model\.json together with the engine"):
        require_measured(bench([plan], BenchOptions(**SHORT)))


def test_a_folder_stands_for_its_engine_file_too_where_that_runs(gpu, plan, monkeypatch):
    ada = PlanHost("rtx", "1.7.1.116", "8.9", "RTX 4090", "13.0")
    monkeypatch.setattr(TensorRtRtxEngine, "host", classmethod(lambda cls: ada))
    onnx = plan.with_suffix(".onnx")
    assert find_models([plan.parent]) == find_models([plan.parent], ["auto"]) == [onnx, plan]
    assert find_models([plan.parent], ["onnxruntime"]) == [onnx]
    rows = bench([plan.parent], BenchOptions(engines=["auto"], **SHORT))["rows"]
    assert [(row["file"], row["engine"]) for row in rows] == [(str(onnx), AVAILABLE[0]), (str(plan), "rtx")]
    turing = PlanHost("rtx", "1.7.1.116", "7.5", "T4", "13.0")
    monkeypatch.setattr(TensorRtRtxEngine, "host", classmethod(lambda cls: turing))
    assert find_models([plan.parent]) == [onnx]


def test_a_folder_without_a_gpu_is_its_graphs(no_gpu, plan):
    assert find_models([plan.parent]) == [plan.with_suffix(".onnx")]
