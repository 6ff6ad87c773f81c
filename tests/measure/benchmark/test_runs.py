"""Benchmarks of the tiny network: real engines, short runs; times are checked against stand-ins that take a known time."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.core.errors import (
    DataError,
    EngineError,
    GateError,
    InputError,
    UnknownNameError,
)
from seg_edge.core.spec import METADATA_KEY
from seg_edge.measure.benchmark import blocks, configuration
from seg_edge.measure.benchmark.outcome import require_fps, require_measured
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.benchmark.turns import REFILL, schedule
from seg_edge.measure.options import BenchOptions
from seg_edge.measure.report.difference import compare_reports
from seg_edge.measure.report.tables import markdown
from seg_edge.runtime.engines import engines
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from seg_edge.runtime.frame import kernels, runner

AVAILABLE = [row.name for row in engines(".onnx") if row.available]
FRAME_HW = (60, 80)
ROW_KEYS = [
    "model", "file", "precision", "engine", "threads", "imgsz", "frame", "batch", "params", "macs", "bytes", "sha256",
    "engine_ms", "e2e_ms", "stages_ms", "fps_engine", "fps_e2e", "fps_cold", "cold", "interval", "turns",
    "turns_at_s", "runs", "startup_ms", "memory",
    "miou", "watts", "joules_per_frame", "power_source", "temperature_c", "clocks_mhz", "throttled", "other_cores", "camera",
    "ratio", "note",
]  # fmt: skip


def short(**words):
    """A quick measurement on one engine."""
    return BenchOptions(**{"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW} | words)


@pytest.fixture
def split(tmp_path, colour_frame):
    """A dataset whose labels are what the tiny network answers, but for one column of pixels that lies to its left."""
    for kind in ("images", "labels"):
        (tmp_path / f"data/{kind}/val").mkdir(parents=True)
    for i in range(2):
        frame = colour_frame(32, 48)
        cv2.imwrite(str(tmp_path / f"data/images/val/{i}.png"), frame)
        cv2.imwrite(str(tmp_path / f"data/labels/val/{i}.png"), frame.argmax(2).astype(np.uint8))
    return tmp_path / "data"


def test_every_combination_has_a_row_in_order(report, artefact):
    found = [(row["precision"], row["engine"], row["threads"]) for row in report["rows"]]
    assert found == [(p, e, t) for p in ("fp32", "int8") for e in AVAILABLE for t in (1, 2)]
    assert report["rows"][0]["file"] == str(artefact / "model.fp32.onnx")


def test_the_report_has_the_documented_keys_and_survives_json(report):
    assert list(report) == ["machine", "load", "method", "rows", "reference"]
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report
    for row in report["rows"]:
        assert list(row) == ROW_KEYS
        assert list(row["engine_ms"]) == list(row["e2e_ms"]) == ["p50", "p95", "p99"]
        assert list(row["stages_ms"]) == ["pre", "engine", "post"]
        assert (row["model"], row["imgsz"], row["frame"], row["batch"]) == ("tiny", [32, 40], [60, 80], 1)
    assert report["machine"]["isa"] == kernels.isa()


def test_what_can_not_be_known_is_null_with_a_note(report):
    row = report["rows"][0]
    assert (row["params"], row["macs"], row["miou"]) == (None, None, None)
    assert "params and MACs: the model file doesn't say" in row["note"]
    assert "fed 8 generated street scenes of 80x60" in row["note"]
    if row["watts"] is None:
        assert "power not measurable here" in row["note"]
    if row["temperature_c"] is None:
        assert "temperature not measurable here" in row["note"]


def test_sizes_come_from_the_model(tiny_onnx, tmp_path):
    path = tmp_path / "known.onnx"
    spec = tiny_onnx(path)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.with_(provenance={"params": 147, "macs": 11520}).to_json()})
    onnx.save(model, path)
    (row,) = bench([path], short(runs=5))["rows"]
    assert (row["params"], row["macs"], row["bytes"]) == (147, 11520, path.stat().st_size)
    assert "MACs" not in row["note"]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the benchmark's clock runs ahead, in a list: what takes seconds on it takes no time here, and what a busy
    machine adds, milliseconds, vanishes beside them."""
    ahead = [0.0]
    for module in (blocks, configuration, runner):
        monkeypatch.setattr(module, "perf_counter", lambda: time.perf_counter() + ahead[0])
    return ahead


def lasting(clock, function, seconds):
    """The function, taking so long by that clock."""

    def wrapped(*args, **kwargs):
        clock[0] += seconds
        return function(*args, **kwargs)

    return wrapped


def test_the_engine_is_timed_alone_and_the_whole_way_is_all_of_it(clock, tiny_model, monkeypatch):
    """The network takes 4 s, the resize 2 s, the overlay 3 s."""
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lasting(clock, OnnxRuntimeEngine._infer, 4))
    monkeypatch.setattr(kernels, "resize", lasting(clock, kernels.resize, 2))
    monkeypatch.setattr(kernels, "upsample_overlay", lasting(clock, kernels.upsample_overlay, 3))
    (row,) = bench([tiny_model], short(runs=20))["rows"]
    assert row["stages_ms"] == {
        "pre": pytest.approx(2000, rel=0.05), "engine": pytest.approx(4000, rel=0.05), "post": pytest.approx(3000, rel=0.05)
    }  # fmt: skip
    for key, seconds in (("engine", 4), ("e2e", 9)):  # the engine alone has neither resize nor overlay in it
        times_ms = row[f"{key}_ms"]
        assert times_ms["p50"] == pytest.approx(1000 * seconds, rel=0.05)
        assert 1000 * seconds <= times_ms["p50"] <= times_ms["p95"] <= times_ms["p99"]
        assert 0.95 / seconds < row[f"fps_{key}"] <= 1 / seconds
    assert sum(row["stages_ms"].values()) == pytest.approx(row["e2e_ms"]["p50"], rel=0.02)


def test_a_slow_stage_shows_end_to_end_and_in_the_breakdown_but_not_in_the_engine(clock, tiny_model, monkeypatch):
    """The network takes 1 s. 4 s planted into the resize: another run is "slower" end to end, and its engine is as fast."""
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW, "runs": 12}
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lasting(clock, OnnxRuntimeEngine._infer, 1))
    before = bench([tiny_model], BenchOptions(**words))
    monkeypatch.setattr(kernels, "resize", lasting(clock, kernels.resize, 4))
    after = bench([tiny_model], BenchOptions(**words))
    (a,), (b,) = before["rows"], after["rows"]
    assert b["stages_ms"]["pre"] - a["stages_ms"]["pre"] == pytest.approx(4000, rel=0.05)
    assert b["e2e_ms"]["p50"] - a["e2e_ms"]["p50"] == pytest.approx(4000, rel=0.05)
    assert b["fps_e2e"] < 1 / 5
    assert b["engine_ms"]["p50"] == pytest.approx(a["engine_ms"]["p50"], rel=0.1)
    assert b["stages_ms"]["engine"] == pytest.approx(a["stages_ms"]["engine"], rel=0.1)
    (found,) = compare_reports(before, after)["rows"]
    assert found["verdict"] == "slower"
    assert found["e2e_ms"]["change"] == pytest.approx(-0.8, abs=0.02)
    assert found["engine_ms"]["change"] == pytest.approx(0, abs=0.1)


def test_configurations_take_turns(monkeypatch, tiny_onnx, tmp_path):
    """Neither model is measured in one block: a machine that slows down half way hits both alike."""
    order = []
    real = OnnxRuntimeEngine._infer

    def infer(self, frames):
        order.append(self.path.name)
        return real(self, frames)

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", infer)
    for name in ("a.onnx", "b.onnx"):
        tiny_onnx(tmp_path / name)
    bench(
        [tmp_path / "a.onnx", tmp_path / "b.onnx"],
        short(runs=10),
    )
    changes = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert changes >= 5
    measured = order[-2 * 2 * (10 + 6 * REFILL) :]
    assert measured.count("a.onnx") == measured.count("b.onnx")


def test_the_number_of_runs_is_kept_for_each_kind():
    for runs in (1, 4, 7, 100, 999):
        shares = schedule(None, runs)
        assert sum(share.runs for share in shares) == runs
        assert all(share.runs >= 1 for share in shares)
    seconds = schedule(3.0, None)
    assert sum(2 * share.seconds for share in seconds) == pytest.approx(3.0)
    assert len(seconds) >= 5


def test_duration_is_kept(tiny_model):
    began = time.perf_counter()
    (row,) = bench([tiny_model], short(duration_s=0.4))["rows"]
    assert 0.4 < time.perf_counter() - began < 3
    assert row["fps_e2e"] > 0


def test_frames_of_a_dataset_and_miou(tiny_model, split):
    (row, other) = bench([tiny_model], short(threads=[1, 2], runs=5, data=split))["rows"]
    assert 0.8 < row["miou"] <= 1
    assert row["miou"] == other["miou"]
    assert "fed 2 frames of data (val), stretched to 80x60" in row["note"]


def test_a_dataset_with_other_classes_is_a_note_beside_the_times(tiny_model, split):
    (split / "classes.json").write_text('{"names": ["road", "car"]}')
    for path in (split / "labels/val").iterdir():
        cv2.imwrite(str(path), np.zeros((32, 48), np.uint8))
    (row,) = bench([tiny_model], short(runs=5, data=split))["rows"]
    assert row["miou"] is None
    assert row["fps_e2e"] > 0
    assert "mIoU not measured" in row["note"]
    assert "2 classes" in row["note"]


def test_a_missing_engine_is_a_row_and_not_a_crash(tiny_model, monkeypatch):
    from seg_edge.runtime.engines import Availability

    monkeypatch.setattr(
        "seg_edge.runtime.engines.openvino.OpenVinoEngine.available",
        classmethod(lambda cls: Availability(False, "the package openvino is away; pip install it")),
    )
    report = bench([tiny_model], BenchOptions(engines=["openvino", "onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5))
    missing, there = report["rows"]
    assert "openvino is away" in missing["note"]
    assert list(missing) == ROW_KEYS
    assert missing["engine_ms"] == missing["e2e_ms"] == {"p50": None, "p95": None, "p99": None}
    assert missing["stages_ms"] == {"pre": None, "engine": None, "post": None}
    assert (missing["fps_engine"], missing["fps_e2e"]) == (None, None)
    assert there["fps_e2e"] > 0
    require_measured(report)
    assert "openvino is away" in markdown(report)
    with pytest.raises(GateError, match="was not measured"):
        require_fps(report, min_fps=0.001)


def test_an_engine_that_fails_half_way_leaves_no_half_measured_row(tiny_model, monkeypatch):
    real, calls = OnnxRuntimeEngine._infer, []

    def infer(self, frames):
        calls.append(self.threads)
        if self.threads == 2 and calls.count(2) > 25:
            raise RuntimeError("device lost")
        return real(self, frames)

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", infer)
    good, bad = bench([tiny_model], short(threads=[1, 2], runs=20))["rows"]
    assert good["fps_e2e"] > 0
    assert (bad["fps_e2e"], bad["fps_engine"], bad["e2e_ms"]["p50"]) == (None, None, None)
    assert "device lost" in bad["note"]


def test_all_failing_is_an_error_that_says_why(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    report = bench([path], short(runs=5))
    assert (report["rows"][0]["model"], report["rows"][0]["bytes"]) == ("broken", 11)
    with pytest.raises(EngineError, match=r"no configuration could be measured.*not an ONNX file"):
        require_measured(report)


def test_gate(report):
    slowest = min(row["fps_e2e"] for row in report["rows"])
    require_fps(report, min_fps=slowest)
    with pytest.raises(GateError, match=rf"1 of {len(report['rows'])} rows miss `min_fps`"):
        require_fps(report, min_fps=slowest * 1.0001)


def test_settle_stops_early(tiny_model, monkeypatch):
    monkeypatch.setattr(
        configuration.Configuration, "spread", lambda self: 0.01 if len(self.figures.turns["e2e_ms"]) >= 7 else None
    )
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW, "runs": 400}
    assert len(bench([tiny_model], BenchOptions(settle=0.02, **words))["rows"][0]["turns"]["e2e_ms"]) == 7
    assert len(bench([tiny_model], BenchOptions(settle=0.005, **words))["rows"][0]["turns"]["e2e_ms"]) == 20
    with pytest.raises(InputError, match="settle"):
        bench([tiny_model], BenchOptions(settle=2.0))


def test_models_of_one_name_can_be_told_apart(tiny_onnx, tmp_path):
    for name in ("one", "two"):
        tiny_onnx(tmp_path / name / "model.fp32.onnx")
    report = bench([tmp_path], short(runs=1, relative_to="tiny"))
    assert [row["model"] for row in report["rows"]] == ["tiny (one/model.fp32.onnx)", "tiny (two/model.fp32.onnx)"]
    assert [row["ratio"]["to"] for row in report["rows"]] == ["tiny fp32"] * 2


def test_wrong_options(tiny_model, tmp_path):
    for wrong, what in (
        ({"runs": 0}, "`runs`"),
        ({"duration_s": 0.0}, "`duration_s`"),
        ({"duration_s": float("nan")}, "`duration_s`"),
        ({"duration_s": 1.0, "runs": 1}, "not both"),
        ({"threads": [0]}, "threads"),
        ({"frame_hw": (0, 5)}, "frame"),
    ):
        with pytest.raises(InputError, match=what):
            bench([tiny_model], BenchOptions(**wrong))
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        bench([tiny_model], BenchOptions(engines=["openvin"]))
    with pytest.raises(DataError, match="no such folder"):
        bench([tiny_model], BenchOptions(data=tmp_path / "away"))
