from __future__ import annotations

import json

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import get_spec, load, set_weight, weights
from seg_edge.core.artefact import sha256
from seg_edge.core.errors import GateError, InputError, UnknownNameError
from seg_edge.core.spec import METADATA_KEY
from seg_edge.export import chain
from seg_edge.export.chain import export_network
from seg_edge.export.checks import ledger
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.guard import check_graph
from seg_edge.export.options import ExportOptions
from seg_edge.export.report.document import BrokenGateError
from seg_edge.export.steps import from_torch

FP32_FILES = {"model.fp32.onnx", "model.json", "golden", "report.json", "report.md"}
FILES = FP32_FILES | {"model.int8.onnx", "calib.cache", "sensitivity.png"}


@pytest.fixture(scope="module")
def data(nets, tmp_path_factory):
    return nets.write_dataset(tmp_path_factory.mktemp("data"), nets.tiny())


@pytest.fixture
def options(data):
    return ExportOptions(int8=True, data=data, engine="onnxruntime", threads=1)


@pytest.fixture(scope="module")
def exported(nets, data, tmp_path_factory):
    """An artefact with INT8, and its report."""
    out = tmp_path_factory.mktemp("out") / "art"
    options = ExportOptions(int8=True, data=data, threads=1, max_drop=0.2, max_class_drop=0.5)
    return out, export_network(nets.tiny(), nets.SPEC, out, options)


def test_the_artefact_is_complete(exported):
    out, report = exported
    assert {path.name for path in out.iterdir()} == FILES
    assert json.loads((out / "report.json").read_text()) == report.to_dict()
    assert [path.name for path in out.parent.iterdir()] == ["art"]


def test_its_files_are_beyond_doubt(exported):
    """No place where engines disagree, biases in the product's scale, an opset of every engine, no foreign metadata."""
    for file in ("model.fp32.onnx", "model.int8.onnx"):
        model = onnx.load(exported[0] / file)
        assert check_graph(model) == []
        assert {entry.domain: entry.version for entry in model.opset_import} == {"": 17}
        assert [item.key for item in model.metadata_props] == [METADATA_KEY]
        assert not any(node.metadata_props for node in model.graph.node)
    made_by = {name: node for node in model.graph.node for name in node.output}
    numbers = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    biased = [node for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3]
    assert len(biased) > 4
    for node in biased:
        x, w, b = (numbers[made_by[name].input[1]] for name in node.input)
        np.testing.assert_allclose(b, x * w, rtol=1e-6)


def test_each_step_is_measured_against_the_one_before(exported):
    out, report = exported
    onnx_step, simplified, int8 = report.steps
    assert [step.step for step in report.steps] == ["onnx", "simplify", "int8"]
    assert [step.file for step in report.steps] == [None, "model.fp32.onnx", "model.int8.onnx"]
    for step in (simplified, int8):
        assert step.sha256 == sha256(out / step.file)
        assert step.bytes == (out / step.file).stat().st_size
        assert step.latency_ms["onnxruntime"] > 0
    assert onnx_step.agreement == simplified.agreement == 1.0
    assert onnx_step.max_abs_error < 1e-4 < int8.max_abs_error
    assert 0.97 < int8.agreement < 1
    # The labels are the network's own masks.
    assert simplified.miou > 0.999
    assert 0.8 < int8.miou < simplified.miou
    assert int8.worst_class["delta"] < 0


def test_every_step_is_also_held_against_torch(exported):
    onnx_step, simplified, int8 = exported[1].steps
    assert onnx_step.against_torch["agreement"] == simplified.against_torch["agreement"] == 1.0
    # Both steps before changed nothing but rounding, so all that is lost was lost in INT8.
    assert int8.against_torch["agreement"] == pytest.approx(int8.agreement, abs=1e-3)
    assert int8.against_torch["max_abs_error"] == pytest.approx(int8.max_abs_error, rel=1e-2)


def test_each_engine_is_held_against_the_graph(exported):
    report = exported[1]
    rows = {row.name: row for row in report.engines}
    assert {"fp32 on onnxruntime", "int8 on onnxruntime", "int8 on tensorrt"} <= set(rows)
    for name, row in rows.items():
        assert row.agreement > (0.999 if row.precision == "fp32" else 0.96)
        assert row.simulated == (name == "int8 on tensorrt")
        assert (row.worst_class is None) == (row.precision == "fp32")
        assert row.miou > 0.8
    assert rows["int8 on tensorrt"].max_abs_error > 0
    assert report.first_bad_step is None
    assert "| int8 | tensorrt (its dialect, simulated) |" in report.to_markdown()


def test_an_engine_that_computes_something_else_is_named(nets, tmp_path, monkeypatch):
    real = ledger.engine_logits
    monkeypatch.setattr(ledger, "engine_logits", lambda *args: [logits[:, ::-1] for logits in real(*args)])
    with pytest.raises(BrokenGateError, match=r"step fp32 on onnxruntime: .* at least 99 must") as caught:
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", ExportOptions(engine="onnxruntime", threads=1))
    assert caught.value.report.first_bad_step == "fp32 on onnxruntime"


def test_the_gates_are_recorded(exported):
    gates = {gate.name: gate for gate in exported[1].gates}
    parity = {f"{row.name}: parity" for row in exported[1].engines if not row.simulated}
    assert len(parity) >= 2
    others = {gate for gate in gates if gate.startswith("int8 on ") and not gate.endswith("parity")}
    assert set(gates) - parity - others == {
        "onnx: parity", "simplify: parity",
        "simplify: max_drop", "simplify: max_class_drop", "int8: max_drop", "int8: max_class_drop",
    }  # fmt: skip
    steps = exported[1].steps
    assert gates["int8: max_drop"].value == pytest.approx(steps[1].miou - steps[2].miou)
    assert gates["int8: max_class_drop"].value == pytest.approx(-steps[2].worst_class["delta"])


def test_the_spec_is_the_same_everywhere(exported, nets):
    out, report = exported
    inside = {precision: get_spec(load(out / f"model.{precision}.onnx")) for precision in ("fp32", "int8")}
    assert (inside["fp32"].precision, inside["int8"].precision) == ("fp32", "int8")
    assert json.loads((out / "model.json").read_text()) == report.spec.to_dict()
    assert inside["int8"].with_(precision="fp32") == report.spec
    assert inside["fp32"].with_(provenance={}) == nets.SPEC
    assert inside["int8"].provenance["int8"]["frames"] == 6
    assert "torch" in inside["fp32"].provenance["exported_with"]
    size = {key: inside["int8"].provenance[key] for key in ("params", "macs")}
    assert size == {"params": nets.PARAMS, "macs": nets.MACS}


def test_the_cache_is_reused_and_its_rebuild_explained(nets, options, tmp_path):
    from dataclasses import replace

    said = []
    for each in (options, options, replace(options, quant=QuantOptions(observer="mse")), replace(options, recalibrate=True)):
        lines = nets.Lines()
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", each, lines)
        said.append(next(line for line in lines.lines if line.startswith("calibrate")))
        said.append(sha256(tmp_path / "art" / "model.int8.onnx"))
    assert said[0] == "calibrate: no calibration cache yet"
    assert said[2] == "calibrate: reusing the calibration cache"
    assert said[1] == said[3] == said[7] != said[5]
    assert "observer minmax" in said[4]
    assert "observer mse" in said[4]
    assert said[6] == "calibrate: a new one was asked for"


def test_without_data_only_parity_is_measured(nets, tmp_path):
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", ExportOptions(engine="onnxruntime", threads=1))
    assert [step.miou for step in report.steps] == [None, None]
    assert "not measured without data" in report.steps[0].to_dict()["note"]
    assert report.steps[0].agreement == 1.0
    assert {path.name for path in (tmp_path / "art").iterdir()} == FP32_FILES


def test_a_broken_drop_names_the_step_and_keeps_the_earlier_export(nets, options, tmp_path):
    from dataclasses import replace

    out = tmp_path / "art"
    export_network(nets.tiny(), nets.SPEC, out, options)
    before = {path.name: sha256(path) for path in out.iterdir() if path.is_file()}
    with pytest.raises(BrokenGateError, match=r"step int8: mIoU drops by .* points .*`max_drop` allows 0.01") as caught:
        export_network(nets.tiny(), nets.SPEC, out, replace(options, max_drop=0.0001))
    assert isinstance(caught.value, GateError)
    assert {path.name: sha256(path) for path in out.iterdir() if path.is_file()} == before
    failed = json.loads((out / "failed" / "report.json").read_text())
    assert failed["gates"][-1] == caught.value.report.gates[-1].to_dict()
    assert failed["gates"][-1]["passed"] is False
    assert [step["step"] for step in failed["steps"]] == ["onnx", "simplify", "int8"]


def test_a_broken_gate_of_a_first_export_leaves_no_model(nets, options, tmp_path):
    from dataclasses import replace

    out = tmp_path / "art"
    with pytest.raises(BrokenGateError, match="IoU of class"):
        export_network(nets.tiny(), nets.SPEC, out, replace(options, max_class_drop=0.0001))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == ["failed/report.json", "failed/report.md"]
    export_network(nets.tiny(), nets.SPEC, out, options)
    assert {path.name for path in out.iterdir()} == FILES


def test_a_speed_that_no_quantization_reaches_fails(nets, options, tmp_path):
    from dataclasses import replace

    with pytest.raises(BrokenGateError, match=r"times as fast as fp32 on onnxruntime .*`min_speedup` asks for 1000"):
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", replace(options, min_speedup=1000))


def test_an_exporter_that_computes_something_else_is_caught(nets, tmp_path, monkeypatch):
    real = from_torch.to_onnx

    def damaged(network, spec):
        model = real(network, spec)
        set_weight(model, "mean_bgr", weights(model)["mean_bgr"][..., ::-1])
        return model

    monkeypatch.setattr(from_torch, "to_onnx", damaged)
    with pytest.raises(BrokenGateError, match="step onnx: logits differ by") as caught:
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", ExportOptions(engine="onnxruntime", threads=1))
    assert caught.value.report.first_bad_step == "onnx"
    assert json.loads((tmp_path / "art" / "failed" / "report.json").read_text())["first_bad_step"] == "onnx"
    assert "The first bad step is **onnx**." in (tmp_path / "art" / "failed" / "report.md").read_text()


def test_a_simplifier_that_breaks_the_graph_is_noted(nets, tmp_path):
    def breaks(model):
        result = onnx.ModelProto()
        result.CopyFrom(model)
        set_weight(result, "mean_bgr", weights(model)["mean_bgr"] * 0)
        return result

    options = ExportOptions(engine="onnxruntime", threads=1)
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options, simplifier=breaks)
    assert "the simplifier changed the outputs" in report.steps[1].to_dict()["note"]
    assert report.steps[1].max_abs_error == 0
    assert "the simplifier changed the outputs" in (tmp_path / "art" / "report.md").read_text()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interruption_leaves_the_earlier_export(nets, options, tmp_path, monkeypatch, error):
    out = tmp_path / "art"
    export_network(nets.tiny(), nets.SPEC, out, ExportOptions(engine="onnxruntime", threads=1))
    before = {path.name: sha256(path) for path in out.rglob("*") if path.is_file()}

    def interrupt(*_args):
        raise error

    monkeypatch.setattr(chain, "write_golden", interrupt)
    with pytest.raises(error):
        export_network(nets.tiny(1), nets.SPEC, out, options)
    assert {path.name: sha256(path) for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["art"]


def test_batches_are_exported_and_compared(nets, options, tmp_path):
    from dataclasses import replace

    from seg_edge.export.checks.replay import replay
    from seg_edge.runtime.engines import open_engine

    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", replace(options, batch=3))
    assert [(step.step, step.file) for step in report.steps] == [
        ("onnx", None), ("simplify", None), ("int8", None), ("batch3", "model.fp32.onnx"), ("batch3", "model.int8.onnx"),
    ]  # fmt: skip
    with open_engine(tmp_path / "art" / "model.int8.onnx", "onnxruntime") as engine:
        assert engine.infer(np.zeros((3, 64, 96, 3), np.uint8)).shape == (3, 4, 16, 24)
    assert all(row.passed for row in replay(tmp_path / "art", "onnxruntime"))


def test_the_size_can_be_changed(nets, tmp_path):
    options = ExportOptions(engine="onnxruntime", threads=1, input_hw=(96, 128))
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options)
    assert report.spec.input_hw == (96, 128)
    assert report.steps[0].agreement == 1.0


def test_golden_frames_are_original_and_masks_by_precision(exported, data):
    golden = exported[0] / "golden"
    names = {f"frame{i}{kind}.png" for i in range(3) for kind in ("", ".fp32", ".int8")}
    assert {path.name for path in golden.iterdir()} == names | {"golden.json"}
    assert np.array_equal(cv2.imread(str(golden / "frame0.png")), cv2.imread(str(data / "images" / "val" / "00.png")))
    expected = cv2.imread(str(data / "labels" / "val" / "00.png"), cv2.IMREAD_UNCHANGED)[4:]
    assert np.mean(cv2.imread(str(golden / "frame0.fp32.png"), cv2.IMREAD_UNCHANGED)[4:] == expected) > 0.999


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"int8": True}, "`int8=True`: needs real frames to calibrate on; pass `data`, a folder with images/train"),
        ({"max_drop": 0.01}, "`max_drop`: accuracy is measured on a val split; pass `data`"),
        ({"min_speedup": 2.0}, "`min_speedup`: compares INT8 with fp32"),
        ({"batch": 0}, "`batch`: expected at least 1, got 0"),
        ({"calib_frames": 0}, "`calib_frames`: expected at least 1, got 0"),
        ({"input_hw": (100, 64)}, "multiples of 32; nearest: 96x64"),
    ],
)
def test_options_that_make_no_sense_are_refused_first(values, text, nets, tmp_path):
    with pytest.raises(InputError) as caught:
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", ExportOptions(**values))
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_unknown_names_are_refused_first(nets, tmp_path, data):
    for make, kind in (
        (lambda: ExportOptions(engine="openvin"), "engine"),
        (lambda: ExportOptions(quant=QuantOptions(observer="max")), "observer"),
    ):
        with pytest.raises(UnknownNameError, match=f"unknown {kind}"):
            export_network(nets.tiny(), nets.SPEC, tmp_path / "art", make())
