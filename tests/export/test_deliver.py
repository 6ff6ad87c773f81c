"""An export with everything that it can deliver."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import get_spec, load, run, session
from seg_edge.core.artifact import sha256
from seg_edge.core.errors import EngineError, InputError
from seg_edge.export.chain import export_network
from seg_edge.export.deliver import DeliverOptions
from seg_edge.export.options import ExportOptions
from seg_edge.export.report import BrokenGateError
from seg_edge.export.trt import BuildOptions
from seg_edge.export.verify import check_files, verify
from seg_edge.runtime import Segmenter
from seg_edge.runtime.nvinfer import module_available

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
    rows = verify(folder, "onnxruntime", 1)
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
    from seg_edge.export import deliver

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


def test_what_cannot_be_delivered_is_said_at_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--head: expected one of"):
        DeliverOptions(head="masks").check()
    with pytest.raises(InputError, match="is a file; choose a folder"):
        DeliverOptions(triton=tmp_path / "file").check()
    import sys

    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match="engine tensorrt: not available"):
        DeliverOptions(plan=BuildOptions(flavour="tensorrt")).check()
    from seg_edge.export.openvino_ir import write_ir

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="--ir: the package openvino can't be imported"):
        write_ir(tmp_path / "m.onnx", None, tmp_path / "m.xml")
    assert onnx.__version__
