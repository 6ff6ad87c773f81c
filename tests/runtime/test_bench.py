"""Benchmarks of the tiny network: real engines, short runs; times are checked against stand-ins that take a known time."""

from __future__ import annotations

import json
import time

import cv2
import numpy as np
import onnx
import pytest

from seg_edge.core.errors import DataError, EngineError, GateError, InputError, ModelFileError, UnknownNameError
from seg_edge.core.spec import METADATA_KEY
from seg_edge.runtime import bench_lane, kernels
from seg_edge.runtime.bench import _schedule, bench, check, find_models, load_warning
from seg_edge.runtime.bench_report import markdown, table
from seg_edge.runtime.engines import engines
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine

AVAILABLE = [row.name for row in engines(".onnx") if row.available]
FRAME_HW = (60, 80)
ROW_KEYS = [
    "model", "file", "precision", "engine", "threads", "imgsz", "frame", "batch", "params", "macs", "bytes", "engine_ms",
    "e2e_ms", "stages_ms", "fps_engine", "fps_e2e", "miou", "watts", "joules_per_frame", "temperature_c", "note",
]  # fmt: skip


@pytest.fixture(scope="module")
def artefact(tmp_path_factory, tiny_onnx):
    """An artefact folder with two precisions."""
    folder = tmp_path_factory.mktemp("art") / "tiny"
    for precision in ("int8", "fp32"):
        tiny_onnx(folder / f"model.{precision}.onnx", precision=precision)
    return folder


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


@pytest.fixture(scope="module")
def report(artefact):
    return bench([artefact], threads=[1, 2], frame_hw=FRAME_HW, runs=12)


def test_every_combination_has_a_row_in_order(report, artefact):
    found = [(row["precision"], row["engine"], row["threads"]) for row in report["rows"]]
    assert found == [(p, e, t) for p in ("fp32", "int8") for e in AVAILABLE for t in (1, 2)]
    assert report["rows"][0]["file"] == str(artefact / "model.fp32.onnx")


def test_the_report_has_the_documented_keys_and_survives_json(report):
    assert list(report) == ["machine", "rows", "reference"]
    assert json.loads(json.dumps(report, allow_nan=False)) == report
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
    (row,) = bench([path], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5)["rows"]
    assert (row["params"], row["macs"], row["bytes"]) == (147, 11520, path.stat().st_size)
    assert "MACs" not in row["note"]


@pytest.fixture
def slow(monkeypatch):
    """The network takes 4 ms, the resize 2 ms and the overlay 3 ms longer than they do."""

    def slower(function, seconds):
        def wrapped(*args, **kwargs):
            time.sleep(seconds)
            return function(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", slower(OnnxRuntimeEngine._infer, 0.004))
    monkeypatch.setattr(kernels, "resize", slower(kernels.resize, 0.002))
    monkeypatch.setattr(kernels, "upsample_overlay", slower(kernels.upsample_overlay, 0.003))


def test_the_engine_is_timed_alone_and_the_whole_way_is_all_of_it(slow, tiny_model):
    (row,) = bench([tiny_model], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=20)["rows"]
    stages, engine_ms, e2e_ms = row["stages_ms"], row["engine_ms"]["p50"], row["e2e_ms"]["p50"]
    assert engine_ms >= 4
    assert (stages["pre"] >= 2, stages["engine"] >= 4, stages["post"] >= 3) == (True, True, True)
    assert e2e_ms >= 9
    assert engine_ms < e2e_ms - 3  # the engine alone has neither resize nor overlay in it
    assert stages["pre"] < e2e_ms - 6
    assert e2e_ms == pytest.approx(sum(stages.values()), rel=0.2)
    assert row["e2e_ms"]["p50"] <= row["e2e_ms"]["p95"] <= row["e2e_ms"]["p99"]
    assert row["fps_e2e"] <= 1000 / 9
    assert row["fps_engine"] <= 1000 / 4
    assert row["fps_e2e"] == pytest.approx(1000 / e2e_ms, rel=0.3)
    assert row["fps_engine"] == pytest.approx(1000 / engine_ms, rel=0.3)


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
    bench([tmp_path / "a.onnx", tmp_path / "b.onnx"], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=10)
    changes = sum(a != b for a, b in zip(order, order[1:], strict=False))
    assert changes >= 5
    measured = order[-2 * 2 * 5 * (2 + bench_lane.REFILL) :]
    assert measured.count("a.onnx") == measured.count("b.onnx")


def test_the_number_of_runs_is_kept_for_each_kind():
    for runs in (1, 4, 7, 100, 999):
        shares = _schedule(None, runs)
        assert sum(share.runs for share in shares) == runs
        assert all(share.runs >= 1 for share in shares)
    seconds = _schedule(3.0, None)
    assert sum(2 * share.seconds for share in seconds) == pytest.approx(3.0)
    assert len(seconds) >= 5


def test_duration_is_kept(tiny_model):
    began = time.perf_counter()
    (row,) = bench([tiny_model], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, duration_s=0.4)["rows"]
    assert 0.4 < time.perf_counter() - began < 3
    assert row["fps_e2e"] > 0


def test_frames_of_a_dataset_and_miou(tiny_model, split):
    (row, other) = bench([tiny_model], engine_names=["onnxruntime"], threads=[1, 2], frame_hw=FRAME_HW, runs=5, data=split)[
        "rows"
    ]
    assert 0.8 < row["miou"] <= 1
    assert row["miou"] == other["miou"]
    assert "fed 2 frames of data (val), stretched to 80x60" in row["note"]


def test_a_dataset_with_other_classes_is_a_note_beside_the_times(tiny_model, split):
    (split / "classes.json").write_text('{"names": ["road", "car"]}')
    for path in (split / "labels/val").iterdir():
        cv2.imwrite(str(path), np.zeros((32, 48), np.uint8))
    (row,) = bench([tiny_model], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5, data=split)["rows"]
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
    report = bench([tiny_model], engine_names=["openvino", "onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5)
    missing, there = report["rows"]
    assert "openvino is away" in missing["note"]
    assert list(missing) == ROW_KEYS
    assert missing["engine_ms"] == missing["e2e_ms"] == {"p50": None, "p95": None, "p99": None}
    assert missing["stages_ms"] == {"pre": None, "engine": None, "post": None}
    assert (missing["fps_engine"], missing["fps_e2e"]) == (None, None)
    assert there["fps_e2e"] > 0
    check(report)
    assert "openvino is away" in markdown(report)
    with pytest.raises(GateError, match="was not measured"):
        check(report, min_fps=0.001)


def test_an_engine_that_fails_half_way_leaves_no_half_measured_row(tiny_model, monkeypatch):
    real, calls = OnnxRuntimeEngine._infer, []

    def infer(self, frames):
        calls.append(self.threads)
        if self.threads == 2 and calls.count(2) > 25:
            raise RuntimeError("device lost")
        return real(self, frames)

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", infer)
    good, bad = bench([tiny_model], engine_names=["onnxruntime"], threads=[1, 2], frame_hw=FRAME_HW, runs=20)["rows"]
    assert good["fps_e2e"] > 0
    assert (bad["fps_e2e"], bad["fps_engine"], bad["e2e_ms"]["p50"]) == (None, None, None)
    assert "device lost" in bad["note"]


def test_all_failing_is_an_error_that_says_why(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    report = bench([path], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5)
    assert (report["rows"][0]["model"], report["rows"][0]["bytes"]) == ("broken", 11)
    with pytest.raises(EngineError, match=r"no configuration could be measured.*not an ONNX file"):
        check(report)


def test_gate(report):
    slowest = min(row["fps_e2e"] for row in report["rows"])
    check(report, min_fps=slowest)
    with pytest.raises(GateError, match=rf"1 of {len(report['rows'])} rows miss --min-fps"):
        check(report, min_fps=slowest * 1.0001)


def test_load_by_others_is_noted_and_warned_about(tiny_model, monkeypatch):
    for cores, warns in ((None, False), (0.01, False), (1.4, True)):
        monkeypatch.setattr(bench_lane.OtherLoad, "cores", property(lambda self, cores=cores: cores))
        report = bench([tiny_model], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5)
        assert ("other processes kept 1.4 cores busy" in report["rows"][0]["note"]) is warns
        assert bool(load_warning(report)) is warns


def test_energy_and_temperature_are_reported_where_they_can_be_read(slow, tiny_model, monkeypatch):
    counter = iter(range(0, 10**12, 45_000))  # 45 mJ at every reading: a block of 2 frames and more
    monkeypatch.setattr(bench_lane.EnergyMeter, "read_uj", lambda self: [next(counter)])
    monkeypatch.setattr(bench_lane.EnergyMeter, "joules", lambda self, before, after: (after[0] - before[0]) / 1e6)
    monkeypatch.setattr(bench_lane, "temperature_c", lambda root: 61.5)
    (row,) = bench([tiny_model], engine_names=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=10)["rows"]
    assert row["joules_per_frame"] == pytest.approx(5 * 0.045 / 10)
    assert row["watts"] == pytest.approx(row["joules_per_frame"] * row["fps_e2e"])
    assert row["temperature_c"] == 61.5
    assert "not measurable" not in row["note"]


def test_find_models(artefact, tiny_model, tmp_path):
    fp32, int8 = artefact / "model.fp32.onnx", artefact / "model.int8.onnx"
    assert find_models([artefact]) == [fp32, int8]
    assert find_models([artefact.parent]) == [fp32, int8]
    assert find_models([int8, artefact, tiny_model]) == [int8, fp32, tiny_model]
    with pytest.raises(ModelFileError, match="no such file or folder"):
        find_models([tmp_path / "away.onnx"])
    with pytest.raises(ModelFileError, match=r"holds a model \(model\.fp32\.onnx"):
        find_models([tmp_path])
    with pytest.raises(InputError, match="no model given"):
        find_models([])


def test_wrong_options(tiny_model, tmp_path):
    for wrong, what in (
        ({"runs": 0}, "--runs"),
        ({"duration_s": 0.0}, "--duration"),
        ({"duration_s": float("nan")}, "--duration"),
        ({"duration_s": 1.0, "runs": 1}, "not both"),
        ({"threads": [0]}, "threads"),
        ({"frame_hw": (0, 5)}, "frame"),
    ):
        with pytest.raises(InputError, match=what):
            bench([tiny_model], **wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        bench([tiny_model], engine_names=["openvin"])
    with pytest.raises(DataError, match="no such folder"):
        bench([tiny_model], data=tmp_path / "away")


def test_table_counts_its_footnotes_and_leaves_empty_columns_out(report):
    columns, rows, notes = table(report)
    assert "mIoU %" not in columns
    assert "params M" not in columns
    assert len(rows) == len(report["rows"])
    used = {int(word.strip("[]")) for row in rows for word in row[-1].split()}
    assert used == set(range(1, len(notes) + 1))
    ratio = rows[0][columns.index("e2e ÷ engine")]
    first = report["rows"][0]
    assert float(ratio) == pytest.approx(first["e2e_ms"]["p50"] / first["engine_ms"]["p50"], abs=0.006)


def test_reference_figures_stand_beside_the_measured_ones_and_say_that_nobody_measured_them_here(report):
    assert [(row["model"], row["miou"], row["fps"]) for row in report["reference"]["rows"]] == [
        ("FCN", 0.712, 28),
        ("U-Net", 0.735, 25),
        ("DeepLabV3", 0.793, 20),
        ("DeepLabV3+", 0.801, 18),
    ]
    text = markdown(report)
    assert text.index("| tiny |") < text.index("not measured here") < text.index("| DeepLabV3+ | ResNet-50 | 80.1 | 18 |")
    assert "Cityscapes" in text
