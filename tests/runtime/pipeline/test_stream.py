"""``Segmenter.stream``: results that the caller may keep, and leaving early."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from seg_edge.runtime import Segmenter, Source, SourceFrame


class Frames(Source):
    """Frames whose grey level is their number."""

    def __init__(self, count):
        super().__init__("frames", count=count)
        self.delivered = 0

    def __iter__(self):
        for i in range(self.count):
            self.delivered += 1
            yield SourceFrame(np.full((32, 40, 3), i % 256, np.uint8), i, f"f{i}", time.perf_counter())


@pytest.fixture(params=[1, None], ids=["one at a time", "in flight"])
def in_flight(request):
    return request.param


@pytest.fixture
def seg(tiny_model):
    with Segmenter(tiny_model, threads=1, alpha=0) as segmenter:  # alpha 0: the overlay is the frame, so it can be told
        yield segmenter


@pytest.fixture(autouse=True)
def _no_thread_left():
    before = set(threading.enumerate())
    yield
    left = [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("seg-edge")]
    assert not left


def test_stream_gives_results_that_can_be_kept(seg, in_flight):
    results = list(seg.stream(Frames(20), in_flight=in_flight))
    assert [result.index for result in results] == list(range(20))
    assert [float(result.overlay_bgr.mean()) for result in results] == pytest.approx(range(20))
    assert all(result.mask.shape == (32, 40) for result in results)
    masks_only = list(seg.stream(Frames(3), overlay=False, in_flight=in_flight))
    assert [result.overlay_bgr for result in masks_only] == [None] * 3


def test_leaving_a_stream_early_stops_it(seg, in_flight):
    source = Frames(100_000)
    stream = seg.stream(source, in_flight=in_flight)
    for result in stream:
        if result.index == 3:
            break
    stream.close()
    delivered = source.delivered
    assert delivered < 20
    time.sleep(0.05)
    assert source.delivered == delivered
