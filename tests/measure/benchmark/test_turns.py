"""Turns of stand-in configurations that take a known time."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from seg_edge.core.errors import InputError
from seg_edge.measure.benchmark import configuration
from seg_edge.measure.benchmark import runs as bench_module
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.benchmark.turns import LEAST_TURNS, schedule, take_turns
from seg_edge.measure.options import BenchOptions


class Measured:
    """Notes who was measured when."""

    def __init__(self, title, log, seconds=0.0):
        self.title, self.log, self.seconds = title, log, seconds

    def turn(self, share, engine_first):
        time.sleep(self.seconds)
        self.log.append((self.title, engine_first))

    def reopen(self):
        self.log.append((self.title, "reopened"))


@pytest.fixture
def log():
    return []


def test_everybody_has_a_turn_before_anybody_has_another_in_changing_order(log):
    measured = [Measured(name, log) for name in "abcd"]
    assert take_turns(measured, schedule(6.0, None), lambda: None) == "all 12 turns"
    turns = [[name for name, _ in log[i : i + 4]] for i in range(0, len(log), 4)]
    assert [sorted(turn) for turn in turns] == [list("abcd")] * 12
    assert len({tuple(turn) for turn in turns}) > 6
    before = Counter(pair for turn in turns for pair in zip(turn, turn[1:], strict=False))
    assert max(before.values()) <= 7  # nobody always follows the same one
    assert [first for _, first in log[::4]] == [True, False] * 6
    again = []
    take_turns([Measured(name, again) for name in "abcd"], schedule(6.0, None), lambda: None)
    assert again == log


def test_it_stops_when_the_figures_have_settled(log):
    widths = iter([None, None, 0.5, 0.1, 0.02, 0.5])
    said = take_turns([Measured("a", log)], schedule(10.0, None), lambda: next(widths), settle=0.03)
    assert (said, len(log)) == ("settled within 2.0 %, after 5 turns", 5)


def test_it_stops_at_the_limit_but_not_before_there_is_an_interval(log):
    said = take_turns([Measured("a", log, 0.02)], schedule(50.0, None), lambda: None, limit_s=0.001)
    assert (said, len(log)) == (f"the limit of 0.001 s, after {LEAST_TURNS} turns", LEAST_TURNS)
    log.clear()
    said = take_turns([Measured("a", log, 0.02)], schedule(50.0, None), lambda: None, limit_s=0.3)
    assert LEAST_TURNS < len(log) < 100
    assert f"after {len(log)} turns" in said


def test_everybody_is_opened_anew_after_some_turns(log):
    take_turns([Measured("a", log), Measured("b", log)], schedule(3.0, None), lambda: None, reopen=2)
    assert [what for name, what in log if name == "a"] == [True, False, "reopened", True, False, "reopened", True, False]
    assert [what for name, what in log if name == "b"].count("reopened") == 2


def test_a_model_opened_anew_is_another_engine_with_the_same_work(tiny_onnx, tmp_path, monkeypatch):
    tiny_onnx(tmp_path / "a.onnx")
    opened, closed = [], []

    class Watched(configuration.BatchSegmenter):
        def __init__(self, *args, **words):
            super().__init__(*args, **words)
            opened.append(words)

        def close(self):
            closed.append(self)
            super().close()

    monkeypatch.setattr(configuration, "BatchSegmenter", Watched)
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": (60, 80), "runs": 6}
    report = bench([tmp_path / "a.onnx"], BenchOptions(reopen=2, **words))
    assert opened == [{"engine": "onnxruntime", "threads": 1}] * 3  # six turns: before the first, the third and the fifth
    assert len(set(closed)) == 3
    (row,) = report["rows"]
    assert row["runs"] == {"engine": 6, "e2e": 6}
    assert report["method"]["reopened"] == 2
    with pytest.raises(InputError, match="`reopen`: expected at least 1, got 0"):
        bench([tmp_path / "a.onnx"], BenchOptions(reopen=0, **words))


def test_the_ratios_decide_where_there_are_some(tiny_onnx, tmp_path, monkeypatch):
    """``settle`` waits for the ratios' intervals, not for the times'."""
    for name in ("a", "b"):
        tiny_onnx(tmp_path / f"{name}.onnx")
    asked = []
    monkeypatch.setattr(bench_module, "half_width", lambda interval: asked.append(interval) or 0.01)
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": (60, 80), "runs": 200}
    report = bench([tmp_path / "a.onnx", tmp_path / "b.onnx"], BenchOptions(settle=0.03, relative_to="tiny", **words))
    assert report["method"]["stopped"].startswith("settled within 1.0 %, after 1 turns")
    assert len(asked) == 4  # two rows, end to end and engine alone
    with pytest.raises(InputError, match="`limit_s`: expected a number above 0"):
        bench([tmp_path / "a.onnx"], BenchOptions(limit_s=0.0, **words))
