"""A paused run: files wait and lose nothing, live sources are read on, and a stop still ends it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from seg_edge.runtime import Pipeline, Segmenter, Sink, Source, SourceFrame


class Frames(Source):
    def __init__(self, count, live):
        super().__init__("frames", fps=25, count=count)
        self.live, self.delivered = live, 0

    def __iter__(self):
        for i in range(self.count):
            if self.live:
                time.sleep(0.002)
            self.delivered += 1
            yield SourceFrame(np.zeros((32, 40, 3), np.uint8), i, f"f{i}", time.perf_counter())


class Pausing(Sink):
    """Pauses the run at its first frame; keeps what it may call."""

    def __init__(self):
        super().__init__("pausing")
        self.indices, self.run = [], None
        self.paused = threading.Event()

    def start(self, run):
        self.run = run

    def take(self, result):
        self.indices.append(result.index)
        if len(self.indices) == 1:
            self.run.pause(True)
            self.paused.set()

    def write(self, frame_bgr):
        raise AssertionError("take does it")


@pytest.fixture
def seg(tiny_model):
    with Segmenter(tiny_model, threads=1) as segmenter:
        yield segmenter


def started(pipeline):
    stats = []
    thread = threading.Thread(target=lambda: stats.append(pipeline.run()))
    thread.start()
    return thread, stats


def settled(sink):
    """How many results came once no more come."""
    count = -1
    while count != len(sink.indices):
        count = len(sink.indices)
        time.sleep(0.15)
    return count


def test_a_file_waits_and_loses_nothing(seg):
    sink = Pausing()
    thread, stats = started(Pipeline(Frames(60, live=False), seg, [sink]))
    assert sink.paused.wait(5)
    assert settled(sink) < 60
    assert sink.run.stats()["state"] == "paused"
    sink.run.pause(False)
    thread.join(10)
    assert sink.indices == list(range(60))
    assert (stats[0]["state"], stats[0]["frames_in"]) == ("ended", 60)


def test_a_live_source_is_read_on(seg):
    sink, source = Pausing(), Frames(100_000, live=True)
    pipeline = Pipeline(source, seg, [sink], max_frames=40)
    thread, stats = started(pipeline)
    assert sink.paused.wait(5)
    count, delivered = settled(sink), source.delivered
    deadline = time.monotonic() + 5
    while source.delivered < delivered + 20:
        assert time.monotonic() < deadline, "the camera is not read"
        time.sleep(0.01)
    assert len(sink.indices) == count
    sink.run.pause(False)
    thread.join(10)
    assert sink.indices[count] > sink.indices[count - 1] + 20  # what came meanwhile was left out
    assert stats[0]["frames_in"] == stats[0]["frames_out"] + sum(stats[0]["dropped"].values())
    assert stats[0]["frames_in"] < source.delivered - 20


@pytest.mark.parametrize("live", [False, True])
def test_a_paused_run_ends_in_time(seg, live):
    sink = Pausing()
    thread, stats = started(Pipeline(Frames(100_000, live), seg, [sink], duration_s=0.5))
    thread.join(10)
    assert not thread.is_alive()
    assert stats[0]["state"] == "stopped"
