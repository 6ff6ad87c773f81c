"""Other processes that load the machine: noted, named, waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seg_edge.measure.benchmark import configuration
from seg_edge.measure.benchmark import runs as bench_module
from seg_edge.measure.benchmark.outcome import load_warning
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.instruments import quiet
from seg_edge.measure.options import BenchOptions

FRAME_HW = (60, 80)


def test_load_by_others_is_noted_and_warned_about(tiny_model, monkeypatch):
    for cores, warns in ((None, False), (0.01, False), (1.4, True)):
        monkeypatch.setattr(configuration.OtherLoad, "cores", property(lambda self, cores=cores: cores))
        report = bench([tiny_model], BenchOptions(engines=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, runs=5))
        assert ("other processes kept 1.4 cores busy" in report["rows"][0]["note"]) is warns
        assert report["rows"][0]["other_cores"] == report["load"]["other_cores"] == cores
        assert bool(load_warning(report)) is warns


def test_a_busy_neighbour_is_named(tiny_model, monkeypatch):
    # Whatever else runs on the machine that the test has must not push it off the list.
    monkeypatch.setattr(bench_module, "_NAMED_COUNT", 50)
    monkeypatch.setattr(bench_module, "_NAMED_CORES", 0.01)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        if not Path(f"/proc/{busy.pid}/stat").is_file():
            pytest.skip("this machine does not show /proc")
        report = bench([tiny_model], BenchOptions(engines=["onnxruntime"], threads=[1], frame_hw=FRAME_HW, duration_s=1.5))
    finally:
        busy.kill()
        busy.wait()
    assert busy.pid in [one["pid"] for one in report["load"]["processes"]]
    if report["load"]["other_cores"] is not None and report["load"]["other_cores"] > 0.2:
        assert f"pid {busy.pid}" in load_warning(report)


def test_it_waits_for_the_others_as_long_as_it_is_told(monkeypatch):
    monkeypatch.setattr(quiet, "sleep", lambda seconds: None)
    said = []
    load = iter([0.9, 0.0])
    monkeypatch.setattr(quiet.OtherLoad, "cores", property(lambda self: next(load)))
    assert quiet.wait_for_quiet(60.0, lambda done, total, text: said.append(text)) < 5
    assert said == ["waiting: other processes use 0.9 cores"]
    monkeypatch.setattr(quiet.OtherLoad, "cores", property(lambda self: 0.9))
    assert 0.05 <= quiet.wait_for_quiet(0.05, lambda done, total, text: None) < 5
    assert quiet.wait_for_quiet(0.0, lambda done, total, text: None) < 0.05
