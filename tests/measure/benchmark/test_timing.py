"""Timing engines outside the benchmark's table: turns, interval, and a word about other processes."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import EngineError, InputError, UnknownNameError
from seg_edge.measure.benchmark import timing
from seg_edge.measure.benchmark.timing import QUICK, THOROUGH, Candidate, time_engines
from seg_edge.measure.benchmark.turns import LEAST_TURNS, Share
from seg_edge.measure.instruments.sensors import Neighbour

SHORT = (Share(runs=2),) * LEAST_TURNS


@pytest.fixture
def log(monkeypatch):
    """Which engine ran, run by run; opened engines are numbered."""
    runs = []
    opened = []

    def open_watched(path, engine, threads):
        found = open_engine(path, engine, threads)
        number, infer = len(opened), found.infer
        opened.append(found)

        def watched(frames):
            runs.append((number, frames.shape))
            return infer(frames)

        found.infer = watched
        return found

    open_engine = timing.open_engine
    monkeypatch.setattr(timing, "open_engine", open_watched)
    runs_of = {"runs": runs, "opened": opened}
    yield runs_of
    assert all(engine._closed for engine in opened)


def quiet(monkeypatch, cores):
    monkeypatch.setattr(timing.OtherLoad, "cores", property(lambda self: cores))


def test_each_candidate_has_a_median_in_the_middle_of_its_interval(tiny_model, monkeypatch):
    quiet(monkeypatch, 0.0)
    seen = []
    timings = time_engines(
        [Candidate(tiny_model, "onnxruntime", 1), Candidate(tiny_model, "openvino", 1)],
        turns=SHORT,
        count=lambda done, total: seen.append((done, total)),
    )
    assert len(timings) == 2
    for found in timings:
        assert found.runs == 2 * LEAST_TURNS
        assert 0 < found.interval_ms[0] <= found.median_ms <= found.interval_ms[1]
        assert (found.other_cores, found.warning) == (0.0, None)
    assert [seen[0], seen[-1]] == [(0, 12), (12, 12)]


def test_engines_take_turns(tiny_model, log):
    candidates = [Candidate(tiny_model, "onnxruntime", 1), Candidate(tiny_model, "onnxruntime", 1)]
    time_engines(candidates, turns=(Share(runs=3),) * 4)
    order = [number for number, _shape in log["runs"]]
    blocks = [order[0]]
    for number in order[1:]:
        if number != blocks[-1]:
            blocks.append(number)
    assert len(blocks) >= 6  # warm-ups and four turns of each: neither was measured in one piece
    assert {shape for _number, shape in log["runs"]} == {(1, 32, 40, 3)}


def test_frames_that_are_given_are_the_ones_that_run(tiny_model, log):
    frames = np.zeros((2, 32, 40, 3), np.uint8)
    time_engines([Candidate(tiny_model, "onnxruntime", 1, frames)], turns=QUICK[:1])
    assert {shape for _number, shape in log["runs"]} == {(2, 32, 40, 3)}


def test_the_quick_mode_is_shorter_and_the_thorough_one_has_an_interval():
    assert len(QUICK) < LEAST_TURNS <= len(THOROUGH)


@pytest.mark.parametrize(("cores", "warns"), [(None, False), (0.05, False), (1.4, True)])
def test_other_processes_are_named_in_a_warning(tiny_model, monkeypatch, cores, warns):
    quiet(monkeypatch, cores)
    monkeypatch.setattr(timing.Neighbours, "busiest", lambda self, least, count: [Neighbour("cc1plus", 7, 1.4)])
    (found,) = time_engines([Candidate(tiny_model, "onnxruntime", 1)], turns=QUICK[:1])
    assert (found.other_cores, found.interval_ms) == (cores, None)
    if warns:
        assert found.warning == (
            "tiny.onnx on onnxruntime was timed while other processes kept 1.4 cores busy (cc1plus (pid 7, 1.4 cores)): "
            "the time is too long; stop them and measure again"
        )
    else:
        assert found.warning is None


def test_what_cannot_be_timed_is_an_error_and_everything_is_closed(tiny_model, tmp_path, log):
    good, bad = Candidate(tiny_model, "onnxruntime", 1), tmp_path / "bad.onnx"
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        time_engines([good, Candidate(tiny_model, "onnxruntme", 1)])
    with pytest.raises(InputError, match="at least 1"):
        time_engines([good, Candidate(tiny_model, "onnxruntime", 0)])
    bad.write_bytes(b"no model")
    with pytest.raises((EngineError, InputError)):
        time_engines([good, Candidate(bad, "onnxruntime", 1)])
