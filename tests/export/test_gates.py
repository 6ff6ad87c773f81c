"""Faults that are planted into the chain: each is caught by its gate."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.calib.graph import convolutions, set_weight, weights
from seg_edge.core.errors import DataError, InputError
from seg_edge.export.chain import export_network
from seg_edge.export.checks.measure import Latencies
from seg_edge.export.int8 import fallback
from seg_edge.export.options import ExportOptions
from seg_edge.export.report.document import BrokenGateError
from seg_edge.export.steps import int8, judge


def hostile(nets):
    """A network whose second layer reads one channel a thousand times as large as the others."""
    net = nets.tiny()
    net.stem[1].weight.data[0] *= 1000
    net.stem[1].bias.data[0] *= 1000
    net.down[0].weight.data[:, 0] /= 1000
    return net


@pytest.fixture(scope="module")
def data(nets, tmp_path_factory):
    return nets.write_dataset(tmp_path_factory.mktemp("data"), nets.tiny())


@pytest.fixture(scope="module")
def hostile_data(nets, tmp_path_factory):
    return nets.write_dataset(tmp_path_factory.mktemp("hostile"), hostile(nets))


@pytest.fixture
def options(data):
    return ExportOptions(int8=True, data=data, engine="onnxruntime", threads=1)


def darkened(nets, root, most, noise):
    """A dataset whose train frames hold values 0..most with little contrast."""
    data = nets.write_dataset(root, nets.tiny())
    rng = np.random.default_rng(0)
    for path in (data / "images" / "train").iterdir():
        shape = cv2.imread(str(path)).shape
        dark = np.full(shape, most // 2) + noise * rng.integers(-(most // 2), most // 2 + 1, shape)
        cv2.imwrite(str(path), dark.astype(np.uint8))
    return data


def test_black_calibration_frames_are_refused(nets, options, tmp_path):
    data = darkened(nets, tmp_path / "data", 0, 0)
    with pytest.raises(DataError, match="calibration: 6 of 6 frames are of one colour"):
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", replace(options, data=data))
    assert not (tmp_path / "art" / "model.int8.onnx").exists()


def test_a_bad_calibration_breaks_the_limit_and_says_how_close_it_came(nets, options, tmp_path):
    data = darkened(nets, tmp_path / "data", 30, 1)
    with pytest.raises(
        BrokenGateError, match=r"step int8: mIoU drops by .*; fp32 for up to 2 of 5 .* points above"
    ) as caught:
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", replace(options, data=data, max_drop=0.02))
    tries = json.loads((tmp_path / "art" / "failed" / "report.json").read_text())["fallback"]
    assert [each["held"] for each in tries] == [False] * 3
    assert sorted(len(each["float_layers"]) for each in tries) == [0, 1, 2]
    # The one that was closest is the one that the gate judged.
    assert caught.value.report.steps[-1].miou == max(each["miou"] for each in tries) == tries[-1]["miou"]


def test_without_a_limit_a_bad_calibration_is_pointed_out(nets, options, tmp_path, monkeypatch):
    lines = nets.Lines()
    real = int8.calibrate

    def clipping(*args, **more):
        found = real(*args, **more)
        return replace(found, activations={k: replace(p, scale=p.scale / 8) for k, p in found.activations.items()})

    monkeypatch.setattr(int8, "calibrate", clipping)
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options, lines)
    assert report.steps[-1].agreement < 0.9
    assert any(line.startswith("warning: int8: only") and "typical?" in line for line in lines.lines)


def test_a_class_that_collapses_is_named(nets, options, tmp_path, monkeypatch):
    real = fallback.quantize

    def collapsing(*args):
        model = real(*args)
        head = convolutions(model)[-1]
        name = next((node.input[0] for node in model.graph.node if node.output[0] == head.input[2]), head.input[2])
        bias = weights(model)[name].copy()
        bias[2] = -(2**30) if bias.dtype == np.int32 else -1e3
        set_weight(model, name, bias)
        return model

    monkeypatch.setattr(fallback, "quantize", collapsing)
    # The limit of the mean is wide enough to miss it.
    limits = replace(options, max_drop=0.8, max_class_drop=0.5)
    with pytest.raises(BrokenGateError, match=r"step int8: IoU of class2 drops by .* points, `max_class_drop` allows 50"):
        export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits)


def test_the_most_sensitive_layer_goes_back_to_float(nets, options, hostile_data, tmp_path):
    lines = nets.Lines()
    limits = replace(options, data=hostile_data, max_drop=0.06)
    report = export_network(hostile(nets), nets.SPEC, tmp_path / "art", limits, lines)
    second = report.sensitivity[1]
    assert [cost.precision for cost in report.sensitivity] == ["int8", "fp32", "int8", "int8", "int8"]
    assert second.noise == max(cost.noise for cost in report.sensitivity)
    assert [(len(trial.layers), trial.held) for trial in report.fallback] == [(0, False), (1, True)]
    assert any(line.startswith("int8: a limit is broken by") for line in lines.lines)
    int8 = report.to_dict()["steps"][-1]
    assert f"1 of 5 convolutions went back to fp32: {second.layer}" in int8["note"]
    assert report.spec.provenance["int8"]["float_layers"] == [second.layer]
    assert all(gate.passed for gate in report.gates)
    page = (tmp_path / "art" / "report.md").read_text()
    assert f"| {second.layer} | {second.noise:.2e} |" in page
    assert "## Fallback" in page
    # Only this layer's weights are float in the file that is shipped.
    model = onnx.load(tmp_path / "art" / "model.int8.onnx")
    assert sum("weight.int8" in tensor.name for tensor in model.graph.initializer) == 4


def test_fallback_can_be_switched_off(nets, options, hostile_data, tmp_path):
    limits = replace(options, data=hostile_data, max_drop=0.06, fallback=0)
    with pytest.raises(BrokenGateError, match=r"`max_drop` allows 6; the report is in") as caught:
        export_network(hostile(nets), nets.SPEC, tmp_path / "art", limits)
    assert caught.value.report.fallback == []
    with pytest.raises(InputError, match="`fallback`: expected 0 or more convolutions, got -1"):
        export_network(hostile(nets), nets.SPEC, tmp_path / "art", replace(limits, fallback=-1))


def measured(int8_ms, warning=""):
    def latencies(paths, _frame, engines, _threads, _progress=None):
        table = {name: dict.fromkeys(engines, int8_ms if name == "int8" else 10.0) for name in paths}
        return Latencies(table, {name: dict.fromkeys(engines, warning) for name in paths})

    return latencies


@pytest.mark.parametrize(("int8_ms", "passes"), [(4.9, True), (5.1, False), (12.0, False)])
def test_an_int8_graph_that_is_too_slow_is_caught(nets, options, tmp_path, monkeypatch, int8_ms, passes):
    monkeypatch.setattr(judge, "latencies", measured(int8_ms))
    limits = replace(options, min_speedup=2.0)
    if passes:
        report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits)
        assert report.gates[-1].to_dict() == {
            "name": "int8: min_speedup", "limit": 2.0, "value": pytest.approx(10 / int8_ms), "passed": True,
        }  # fmt: skip
    else:
        with pytest.raises(BrokenGateError, match=rf"10.00 → {int8_ms:.2f} ms\), `min_speedup` asks for 2"):
            export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits)
        assert not (tmp_path / "art" / "model.int8.onnx").exists()


def test_a_slower_int8_graph_is_not_shipped_silently(nets, options, tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "latencies", measured(12.0))
    lines = nets.Lines()
    report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", options, lines)
    warning = "INT8 is no faster than fp32 on onnxruntime (0.83 times as fast): ship model.fp32.onnx there"
    assert f"warning: {warning}" in lines.lines
    assert warning in report.steps[-1].to_dict()["note"]
    assert warning in (tmp_path / "art" / "report.md").read_text()


@pytest.mark.parametrize(("int8_ms", "passes"), [(4.0, True), (6.0, False)])
def test_a_disturbed_measurement_is_said_with_its_rows_and_its_gate(nets, options, tmp_path, monkeypatch, int8_ms, passes):
    warning = "timed while other processes kept 1.4 cores busy"
    monkeypatch.setattr(judge, "latencies", measured(int8_ms, warning))
    lines, limits = nets.Lines(), replace(options, min_speedup=2.0)
    if passes:
        report = export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits, lines)
    else:
        with pytest.raises(BrokenGateError, match=rf"`min_speedup` asks for 2 \({warning}\)") as caught:
            export_network(nets.tiny(), nets.SPEC, tmp_path / "art", limits, lines)
        report = caught.value.report
    assert f"warning: latency: {warning}" in lines.lines
    assert report.gates[-1].to_dict()["note"] == warning
    assert [warning in row.notes for row in report.steps] == [row.file is not None for row in report.steps]
    assert f"{'ok' if passes else 'BROKEN'} ({warning})" in report.to_markdown()
