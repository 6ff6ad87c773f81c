"""Batches above 1: times are checked against an engine that takes a known time for each frame."""

from __future__ import annotations

import time
from statistics import median

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import EngineError, GateError, InputError
from seg_edge.measure.benchmark.outcome import require_fps, require_measured
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.measure.report.difference import MISSING_A, compare_reports
from seg_edge.measure.report.tables import csv_text, legend, table, title
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from seg_edge.runtime.frame import kernels

SHORT = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": (60, 80)}
FRAME_S, BATCH_S = 0.002, 0.004


@pytest.fixture
def seen(monkeypatch):
    """The sizes of the batches that the engine ran; each takes 4 ms and 2 ms a frame longer than it does."""
    real, sizes = OnnxRuntimeEngine._infer, []

    def infer(self, frames):
        sizes.append(len(frames))
        time.sleep(BATCH_S + FRAME_S * len(frames))
        return real(self, frames)

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", infer)
    return sizes


@pytest.fixture(scope="module")
def batch4(tmp_path_factory, tiny_onnx):
    """A file that fixes batches of 4."""
    path = tmp_path_factory.mktemp("batch") / "four.onnx"
    tiny_onnx(path, batch=4)
    return path


def test_a_free_batch_is_measured_with_each_size(seen, tiny_model):
    report = bench([tiny_model], BenchOptions(batches=[1, 4], runs=12, **SHORT))
    one, four = report["rows"]
    assert (one["batch"], four["batch"]) == (1, 4)
    assert set(seen) == {1, 4}
    assert four["engine_ms"]["p50"] >= 1e3 * (BATCH_S + 4 * FRAME_S)  # of the whole batch
    assert four["engine_ms"]["p50"] > one["engine_ms"]["p50"] + 4
    assert four["e2e_ms"]["p50"] >= 1e3 * (BATCH_S + 4 * FRAME_S)
    assert four["e2e_ms"]["p50"] == pytest.approx(sum(four["stages_ms"].values()), rel=0.3)
    # Per frame: 3 ms instead of 6.
    assert four["fps_engine"] <= 1 / (BATCH_S / 4 + FRAME_S)
    assert four["fps_engine"] > 1.2 * one["fps_engine"]
    assert median(four["turns"]["fps_engine"]) > 1.2 * median(one["turns"]["fps_engine"])
    assert one["fps_e2e"] < four["fps_e2e"] <= 1 / (BATCH_S / 4 + FRAME_S)
    assert four["runs"] == {"engine": 12, "e2e": 12}
    assert four["cold"]["frames"] % 4 == 0
    shown = table(report)
    assert [row[shown.columns.index("batch")] for row in shown.rows] == ["1", "4"]
    assert "batch 1, 4, on" in title(report)
    assert any("per frame" in line for line in legend(report))
    assert ",batch," in csv_text(report).splitlines()[0]


def test_the_stages_of_a_batch_hold_the_work_of_all_its_frames(seen, tiny_model, monkeypatch):
    real = kernels.resize

    def resize(*args, **kwargs):
        time.sleep(0.002)
        return real(*args, **kwargs)

    monkeypatch.setattr(kernels, "resize", resize)
    (row,) = bench([tiny_model], BenchOptions(batches=[3], runs=6, **SHORT))["rows"]
    assert row["stages_ms"]["pre"] >= 6
    assert row["engine_ms"]["p50"] >= 10


def test_a_file_with_a_fixed_batch_is_measured_with_that(seen, batch4, tiny_model):
    (row,) = bench([batch4], BenchOptions(runs=6, **SHORT))["rows"]
    assert row["batch"] == 4
    assert row["fps_e2e"] > 0
    assert set(seen) == {4}
    rows = bench([batch4, tiny_model], BenchOptions(batches=[1, 4], runs=1, **SHORT))["rows"]
    assert "batch 1 not measured: the file takes batches of 4, seg-edge export --batch makes others" in rows[0]["note"]
    assert "not measured" not in rows[1]["note"]
    assert [(row["file"], row["batch"]) for row in rows] == [(str(batch4), 4), (str(tiny_model), 1), (str(tiny_model), 4)]


def test_a_batch_that_the_file_does_not_take_is_one_clear_error(batch4, tiny_model):
    report = bench([batch4], BenchOptions(batches=[2], runs=1, **SHORT))
    with pytest.raises(
        EngineError, match=r"batch 2: not measured: .*four\.onnx: takes batches of 4, not of 2, pass `batches=4`"
    ):
        require_measured(report)
    beside = bench([batch4, tiny_model], BenchOptions(batches=[2], runs=1, **SHORT))
    assert [row["fps_e2e"] is None for row in beside["rows"]] == [True, False]
    require_measured(beside)
    with pytest.raises(GateError, match="was not measured"):
        require_fps(beside, min_fps=0.001)


@pytest.mark.parametrize("wrong", [[0], [1, -4], [257]])
def test_sizes_that_are_none(tiny_model, wrong):
    with pytest.raises(InputError, match="`batches` must be 1 to 256 frames, got"):
        bench([tiny_model], BenchOptions(batches=wrong, **SHORT))


def test_a_batch_has_a_miou_and_no_camera(batch4, tiny_model, tmp_path, colour_frame):
    for kind in ("images", "labels"):
        (tmp_path / f"data/{kind}/val").mkdir(parents=True)
    frame = colour_frame(32, 48)
    cv2.imwrite(str(tmp_path / "data/images/val/0.png"), frame)
    cv2.imwrite(str(tmp_path / "data/labels/val/0.png"), frame.argmax(2).astype(np.uint8))
    words = {**SHORT, "data": tmp_path / "data", "source": "camera:100", "runs": 6}
    single, four = bench([tiny_model, batch4], BenchOptions(**words))["rows"]
    assert four["miou"] == single["miou"] > 0.8
    assert single["camera"] is not None
    assert four["camera"] is None
    assert "camera to sink not measured: one source never fills a batch of 4" in four["note"]


def test_reports_are_matched_by_batch(tiny_model):
    one = bench([tiny_model], BenchOptions(batches=[1], runs=1, **SHORT))
    four = bench([tiny_model], BenchOptions(batches=[4], runs=1, **SHORT))
    assert [row["verdict"] for row in compare_reports(one, four)["rows"]][1] == MISSING_A
    assert len(compare_reports(four, four)["rows"]) == 1
