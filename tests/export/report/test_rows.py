from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import GateError, ModelFileError
from seg_edge.export.checks.ledger import EngineRow
from seg_edge.export.int8.fallback import Trial
from seg_edge.export.int8.sensitivity import LayerCost
from seg_edge.export.report.document import BrokenGateError, ExportReport
from seg_edge.export.report.rows import Gate, StepRow


@pytest.fixture
def report(nets, tmp_path):
    file = tmp_path / "model.int8.onnx"
    file.write_bytes(b"weights")
    step = StepRow.of("int8", file, "int8")
    step.agreement, step.miou, step.max_abs_error = 0.99123, 0.6425, 0.5
    step.worst_class, step.latency_ms = {"name": "pole", "delta": -0.012}, {"openvino": 4.2}
    step.against_torch = {"agreement": 0.991, "max_abs_error": 0.6}
    return ExportReport(nets.SPEC, [StepRow.of("onnx", file, "fp32", kept=False), step])


def test_json_has_the_documented_keys(report, tmp_path):
    report.steps[0].notes.append("not kept")
    report.add_gate(Gate("int8: max_drop", 0.003, 0.002), "")
    report.write_folder(tmp_path / "out")
    data = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(data) == {"name", "spec", "steps", "gates", "engines", "first_bad_step"}
    keys = [
        "step",
        "file",
        "sha256",
        "bytes",
        "precision",
        "agreement",
        "miou",
        "worst_class",
        "max_abs_error",
        "against_torch",
        "latency_ms",
    ]
    assert list(data["steps"][1]) == keys
    assert list(data["steps"][0]) == [*keys, "note"]
    assert data["steps"][0]["file"] is None
    assert data["steps"][1]["sha256"] == sha256(tmp_path / "model.int8.onnx")
    assert data["steps"][1]["bytes"] == 7
    assert data["gates"] == [{"name": "int8: max_drop", "limit": 0.003, "value": 0.002, "passed": True}]


def test_the_page_is_for_people(report):
    report.steps[0].notes.append("not kept")
    with pytest.raises(GateError):
        report.add_gate(Gate("int8: min_speedup", 2.0, 1.5, at_least=True), "too slow")
    text = report.to_markdown()
    assert "| int8 | model.int8.onnx | int8 | 0.00 | 99.123 | 64.25 | pole -1.20 | 0.5 | 99.100 | openvino 4.20 |" in text
    assert "- onnx: not kept" in text
    assert "| int8: min_speedup | ≥ 2 | 1.5 | BROKEN |" in text


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (Gate("g", 0.3, 0.3), True),
        (Gate("g", 0.3, 0.31), False),
        (Gate("g", 2, 2, at_least=True), True),
        (Gate("g", 2, 1.9, at_least=True), False),
        (Gate("g", 0.3, float("nan")), False),
    ],
)
def test_gates(gate, passed, report):
    if passed:
        report.add_gate(gate, "")
    else:
        with pytest.raises(BrokenGateError, match="broken on purpose") as caught:
            report.add_gate(gate, "broken on purpose")
        assert caught.value.report is report
        assert caught.value.exit_code == 3
    assert report.gates == [gate]
    assert gate.passed is passed


def test_a_report_is_read_back(tmp_path, nets):
    steps = [
        StepRow("int8", "model.int8.onnx", "a" * 64, 10, "int8", agreement=0.9, latency_ms={"x": 1.0}, notes=["one", "two"])
    ]
    gates = [Gate("a", 0.1, 0.2), Gate("b", 2.0, 3.0, at_least=True), Gate("c", 2.0, 1.0, at_least=True)]
    report = ExportReport(nets.SPEC, steps, gates)
    report.write_folder(tmp_path)
    again = ExportReport.read(tmp_path)
    assert again.to_dict() == report.to_dict()
    assert [gate.passed for gate in again.gates] == [False, True, False]
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(ModelFileError, match=r"report\.json: damaged"):
        ExportReport.read(tmp_path)
    with pytest.raises(ModelFileError, match=r"report\.json: can't be read"):
        ExportReport.read(tmp_path / "absent")


def test_nothing_of_a_full_report_is_lost_on_the_way(report, tmp_path):
    report.steps[1].notes.append("calibrated")
    report.gates = [Gate("int8: max_drop", 0.003, 0.002), Gate("int8 on openvino: parity", 0.95, 0.9, at_least=True)]
    report.sensitivity = [LayerCost("stem", 0.01, 0.99, 0.3), LayerCost("head", 0.2, 0.97, 1.5, "fp16")]
    report.fallback = [
        Trial((), 0.60, 0.05, {"name": "pole", "delta": -0.1}, 0.02, {"miou": 0.6}),
        Trial(("head", "stem"), 0.64, 0.01, None, -0.01, {}),
    ]
    report.engines = [
        EngineRow("fp32", "onnxruntime", "1.20", 1.0, 0.0, 0.65),
        EngineRow("int8", "tensorrt", None, 0.9, math.nan, 0.6, {"name": "pole", "delta": -0.1}, simulated=True),
    ]
    empty = [field.name for field in fields(report) if not getattr(report, field.name)]
    assert empty == []  # a new field belongs in here, and in read
    report.write_folder(tmp_path / "a")
    ExportReport.read(tmp_path / "a").write_folder(tmp_path / "b")
    for file in ("report.json", "report.md"):
        assert (tmp_path / "b" / file).read_text() == (tmp_path / "a" / file).read_text()
    for part in ("## Engines", "## Sensitivity", "## Fallback"):
        assert part in (tmp_path / "b" / "report.md").read_text()


def test_logits_that_are_not_finite_are_read_back_too(report, tmp_path):
    report.steps[1].max_abs_error = math.inf
    report.steps[1].against_torch = {"agreement": 0.5, "max_abs_error": math.inf}
    report.write_folder(tmp_path)
    assert ExportReport.read(tmp_path).to_dict() == json.loads((tmp_path / "report.json").read_text())
