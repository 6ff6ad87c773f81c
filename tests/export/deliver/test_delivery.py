"""An export with everything that it can deliver."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import get_spec, load, run, session
from seg_edge.core.artefact import sha256
from seg_edge.core.errors import EngineError, InputError
from seg_edge.export.chain import export_network
from seg_edge.export.checks.replay import check_files, replay
from seg_edge.export.deliver.options import DeliverOptions
from seg_edge.export.options import ExportOptions
from seg_edge.export.report.document import BrokenGateError
from seg_edge.export.trt import BuildOptions
from seg_edge.export.trt.backend import open_backend
from seg_edge.runtime import Segmenter
from seg_edge.runtime.engines import open_engine
from seg_edge.runtime.engines.base import Availability
from seg_edge.runtime.engines.nvinfer import module_available
from seg_edge.runtime.modelfile.plan import PlanHost

RTX = module_available("rtx")


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """fp32, fp16 and int8 with labels in the graph, IR of each, an engine, and a Triton repository."""
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("all")
    data = nets.write_dataset(folder / "data", nets.tiny(), train=3, val=2)
    plan = BuildOptions(compute_capabilities=("89",)) if RTX.ok else None
    deliver = DeliverOptions(head="labels", ir=True, triton=folder / "repo", plan=plan)
    options = ExportOptions(int8=True, fp16=True, data=data, threads=1, engine="onnxruntime", deliver=deliver)
    return folder / "art", export_network(nets.tiny(), nets.SPEC, folder / "art", options)


def test_each_step_has_its_row(exported):
    folder, report = exported
    names = [(step.step, step.precision) for step in report.steps]
    engine = [("engine", "int8")] if RTX.ok else []
    each = ("fp32", "fp16", "int8")
    assert names == [
        ("onnx", "fp32"), ("simplify", "fp32"), ("fp16", "fp16"), ("int8", "int8"), *(("labels", p) for p in each),
        *(("ir", p) for p in each for _ in range(2)), *engine,
    ]  # fmt: skip
    for step in report.steps:
        assert step.file is None or step.sha256 == sha256(folder / step.file)
    kept = [step for step in report.steps if step.step == "labels"]
    assert [step.file for step in kept] == [f"model.{p}.onnx" for p in each]
    assert all(step.latency_ms["onnxruntime"] > 0 for step in kept)
    half = report.steps[2]
    assert 0.99 < half.agreement <= 1
    assert half.miou > 0.98
    gates = {gate.name for gate in report.gates}
    assert {"fp16: parity", "labels fp32: parity", "labels fp16: parity", "labels int8: parity"} <= gates


def test_every_file_gives_labels(exported, nets):
    folder, report = exported
    assert report.spec.output == "labels"
    frame = nets.frames(1)[0]
    for precision in ("fp32", "fp16", "int8"):
        model = load(folder / f"model.{precision}.onnx")
        assert (get_spec(model).output, get_spec(model).precision) == ("labels", precision)
        assert run(session(model), frame)[0].shape == (1, 64, 96)
        with Segmenter(folder / f"model.{precision}.onnx", "onnxruntime") as segmenter:
            assert segmenter(np.ascontiguousarray(np.repeat(frame[0], 2, 0))).shape == (128, 96)


def test_golden_frames_verify(exported):
    folder, _ = exported
    rows = replay(folder, "onnxruntime", 1)
    assert {row.precision for row in rows} == {"fp32", "fp16", "int8"}
    assert all(row.agreement == 1.0 for row in rows)
    assert {path.suffix for path in check_files(folder).values()} == {".onnx"}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_ir_computes_what_its_onnx_file_does(exported, nets, precision):
    ov = pytest.importorskip("openvino")
    folder, _ = exported
    core = ov.Core()
    frame = nets.frames(1, seed=7)[0]
    outputs = []
    for file in (f"model.{precision}.xml", f"model.{precision}.onnx"):
        compiled = core.compile_model(str(folder / file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        outputs.append(next(iter(compiled({"frames": frame}).values())))
    assert (outputs[0] == outputs[1]).mean() > 0.999
    stored = core.read_model(str(folder / f"model.{precision}.xml")).get_rt_info(["seg_edge", "spec"])
    assert json.loads(stored.astype(str))["precision"] == precision


def test_triton_gets_the_smallest_model_that_it_can_serve(exported):
    folder, _ = exported
    placed = folder.parent / "repo" / "tiny"
    assert sha256(placed / "1" / "model.onnx") == sha256(folder / "model.int8.onnx")
    assert 'platform: "onnxruntime_onnx"' in (placed / "config.pbtxt").read_text()


def test_a_head_that_computes_something_else_is_caught(nets, tmp_path, monkeypatch):
    from seg_edge.export.steps import heads as deliver

    def broken(model):
        result = with_labels(model)
        next(n for n in result.graph.node if n.name == "labels.argmax").op_type = "ArgMin"
        return result

    with_labels = deliver.with_labels
    monkeypatch.setattr(deliver, "with_labels", broken)
    options = ExportOptions(threads=1, engine="onnxruntime", deliver=DeliverOptions(head="labels"))
    with pytest.raises(BrokenGateError, match="step labels, fp32: .* as the kernel makes them"):
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options)


def test_activations_beyond_half_precision_are_caught(nets, tmp_path):
    net = nets.tiny()
    # Each weight fits; their products don't.
    net.fuse[1].weight.data *= 3e4
    net.fuse[1].bias.data *= 3e4
    net.head.weight.data /= 3e4
    with pytest.raises(BrokenGateError, match="step fp16: logits differ by (nan|inf)"):
        export_network(net, nets.SPEC, tmp_path / "art", ExportOptions(fp16=True, threads=1, engine="onnxruntime"))


class StandIn:
    """A GPU's engine: the graph on ONNX Runtime, or noise, or a failure."""

    def __init__(self, graph, kind):
        self.graph, self.kind = open_engine(graph, "onnxruntime", 1), kind

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.graph.close()

    def close(self):
        self.graph.close()

    def infer(self, frames):
        if self.kind == "fails":
            raise EngineError("engine rtx: out of memory")
        right = self.graph.infer(frames)
        return np.random.default_rng(0).normal(size=right.shape).astype(np.float32) if self.kind == "noise" else right


@pytest.fixture
def export_with_gpu(nets, tmp_path, monkeypatch):
    """(kind of engine, its machine) → the report of an export whose TensorRT-RTX engine "runs" here."""
    if not RTX.ok:
        pytest.skip(RTX.reason)
    from seg_edge.export.steps import judge
    from seg_edge.export.trt import here
    from seg_edge.measure.benchmark import timing

    def export(kind, capability="8.9", build_for=("89",)):
        class Kind:
            @staticmethod
            def available():
                return Availability(True, version=RTX.version)

            @staticmethod
            def host():
                return PlanHost("rtx", RTX.version, capability)

        def opened(path, engine, threads=None):
            if engine != "rtx":
                return open_engine(path, engine, threads)
            if kind == "refused":
                raise EngineError("engine rtx: refuses the file")
            return StandIn(path.parent / "model.fp32.onnx", kind)

        monkeypatch.setattr(here, "engine_class", lambda name: Kind)
        monkeypatch.setattr(judge, "open_engine", opened)
        monkeypatch.setattr(timing, "open_engine", opened)
        options = DeliverOptions(plan=BuildOptions(compute_capabilities=build_for))
        options = ExportOptions(threads=1, engine="onnxruntime", deliver=options)
        return export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options)

    return export


def test_an_engine_that_runs_here_is_gated(export_with_gpu):
    report = export_with_gpu("right")
    assert report.steps[-1].step == "engine"
    assert report.steps[-1].agreement > 0.99
    assert report.steps[-1].latency_ms["rtx"] > 0
    assert "engine fp32: parity" in [gate.name for gate in report.gates]
    assert report.first_bad_step is None


def test_an_engine_that_computes_something_else_fails_the_export(export_with_gpu, tmp_path):
    with pytest.raises(BrokenGateError, match=r"step engine, fp32: .* % of the pixels .* at least 99 must") as caught:
        export_with_gpu("noise")
    assert caught.value.report.first_bad_step == "engine fp32"
    assert caught.value.report.steps[-1].agreement < 0.9
    assert json.loads((tmp_path / "art" / "failed" / "report.json").read_text())["first_bad_step"] == "engine fp32"
    assert not (tmp_path / "art" / "model.json").exists()


@pytest.mark.parametrize(("kind", "text"), [("fails", "out of memory"), ("refused", "refuses the file")])
def test_an_engine_that_fails_here_fails_the_export(export_with_gpu, kind, text):
    with pytest.raises(BrokenGateError, match=f"step engine, fp32: .*{text}") as caught:
        export_with_gpu(kind)
    assert caught.value.report.first_bad_step == "engine fp32"
    assert f"fails: engine rtx: {text}" in caught.value.report.to_markdown()


@pytest.mark.parametrize(
    ("kind", "capability", "build_for", "text"),
    [
        ("right", "12.0", ("89",), "built for 8.9, found 12.0"),
        ("refused", "9.0", (), "this GPU has 9.0; engine rtx: refuses the file"),
    ],
)
def test_an_engine_for_another_gpu_is_not_run(export_with_gpu, kind, capability, build_for, text):
    report = export_with_gpu(kind, capability, build_for)
    note = report.steps[-1].to_dict()["note"]
    assert "not run here: " in note
    assert text in note
    assert report.steps[-1].agreement is None
    assert not [gate for gate in report.gates if gate.name.startswith("engine")]


def test_what_cannot_be_delivered_is_said_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="`head`: expected one of"):
        DeliverOptions(head="masks")
    with pytest.raises(InputError, match="is a file; choose a folder"):
        DeliverOptions(triton=tmp_path / "file")
    import sys

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="engine tensorrt: not available"):
        open_backend(BuildOptions(flavour="tensorrt"))
    from seg_edge.export.deliver.openvino_ir import write_ir

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="`ir=True`: the package openvino can't be imported"):
        write_ir(tmp_path / "m.onnx", None, tmp_path / "m.xml")
    assert onnx.__version__
