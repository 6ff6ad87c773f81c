"""What a row says beside the times: instruments, intervals, the start."""

from __future__ import annotations

import time

import pytest

from seg_edge.measure.benchmark import configuration, warmup
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.instruments import vitals
from seg_edge.measure.instruments.power import Meter
from seg_edge.measure.options import BenchOptions
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine

FRAME_HW = (60, 80)


def short(**words):
    """A quick measurement on one engine."""
    return BenchOptions(**{"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW} | words)


class CountingMeter(Meter):
    """45 mJ a block."""

    source, scope = "a planted meter", "a planted board"

    def start(self):
        pass

    def stop(self):
        return 0.045


def test_energy_temperature_and_clocks_are_reported_where_they_can_be_read(slow, tiny_model, monkeypatch):
    monkeypatch.setattr(configuration, "open_meter", lambda kind, root: CountingMeter())
    monkeypatch.setattr(vitals, "temperature_c", lambda root: 61.5)
    monkeypatch.setattr(vitals, "cpu_mhz", lambda root: 1800.0)
    monkeypatch.setattr(vitals, "throttle_alerts", lambda root: ["cpu-throttle-alert"])
    (row,) = bench([tiny_model], short(runs=12))["rows"]
    assert row["joules_per_frame"] == pytest.approx(6 * 0.045 / 12)
    assert row["watts"] == pytest.approx(row["joules_per_frame"] * row["fps_e2e"])
    assert (row["temperature_c"], row["power_source"]) == (61.5, "a planted meter")
    assert row["clocks_mhz"] == {"cpu": [1800.0, 1800.0], "gpu": None}
    assert row["throttled"] == ["cpu-throttle-alert"]
    assert "throttled meanwhile: cpu-throttle-alert" in row["note"]
    assert "power is that of a planted board (a planted meter)" in row["note"]
    assert "not measurable" not in row["note"]


class FailingMeter(CountingMeter):
    """An instrument that can be read in every other block only."""

    stops = 0

    def stop(self):
        self.stops += 1
        return super().stop() if self.stops % 2 else None


def test_power_is_that_of_the_turns_in_which_it_could_be_read(slow, tiny_model, monkeypatch):
    monkeypatch.setattr(configuration, "open_meter", lambda kind, root: FailingMeter())
    (row,) = bench([tiny_model], short(runs=12))["rows"]
    assert row["joules_per_frame"] == pytest.approx(3 * 0.045 / (3 * 2))  # three blocks of two runs each
    seconds = sum(2 / fps for fps in row["turns"]["fps_e2e"][::2])
    assert row["watts"] == pytest.approx(3 * 0.045 / seconds)
    assert "power could be read in 3 of 6 turns" in row["note"]


def test_intervals_come_from_the_turns(report):
    for row in report["rows"]:
        for key, values in row["turns"].items():
            assert len(values) == 6
            assert row["interval"][key] == [min(values), max(values)]
        assert row["runs"] == {"engine": 12, "e2e": 12}


def test_too_few_turns_give_no_interval_and_say_so(tiny_model):
    (row,) = bench([tiny_model], short(runs=5))["rows"]
    assert row["interval"] == dict.fromkeys(row["turns"])
    assert "no interval: 5 turns, it takes 6" in row["note"]
    assert "few runs: 5 engine alone, 5 end to end, in 5 turns" in row["note"]


def test_cold_start_and_memory(tiny_model, monkeypatch):
    """The first frame takes 0.3 s longer than the rest: it is in the start-up time and the cold rate, not in the steady."""
    real, calls = OnnxRuntimeEngine._infer, []

    def infer(self, frames):
        calls.append(1)
        if len(calls) == 1:
            time.sleep(0.3)
        return real(self, frames)

    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", infer)
    (row,) = bench([tiny_model], short(runs=12))["rows"]
    assert row["startup_ms"] >= 300
    assert row["fps_cold"] == row["cold"]["fps"] == pytest.approx(row["cold"]["frames"] / row["cold"]["seconds"])
    assert 0.3 <= row["cold"]["seconds"] <= warmup.COLD_S
    assert row["cold"]["frames"] >= 11
    assert row["fps_cold"] < row["fps_e2e"]
    assert row["e2e_ms"]["p99"] < 300
    if row["memory"]["process_peak_bytes"] is not None:
        assert 0 <= row["memory"]["model_bytes"] < row["memory"]["process_peak_bytes"]
        assert row["memory"]["process_peak_bytes"] > 10_000_000
