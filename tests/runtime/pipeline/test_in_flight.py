"""Several frames in flight: the same bytes as one at a time, in order, no older, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from seg_edge.core.errors import EngineError, InputError
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame
from seg_edge.runtime.engines import engines

ENGINES = [row.name for row in engines(".onnx") if row.available]
STREET = Path(__file__).parents[2] / "data" / "street.int8.onnx"
ENGINE_S = 0.1


class Noise(Source):
    """Frames that differ everywhere, in sizes that change; optionally at a camera's pace, or with a bad one among them."""

    def __init__(self, count, *, rate=None, bad_at=None, sizes=((96, 128),)):
        super().__init__("noise", fps=rate, count=count)
        self.live = rate is not None
        self._bad_at, self._sizes = bad_at, sizes

    def __iter__(self):
        began = time.perf_counter()
        for i in range(self.count):
            if self.fps:
                time.sleep(max(began + i / self.fps - time.perf_counter(), 0))
            image = np.random.default_rng(i).integers(0, 256, (*self._sizes[i % len(self._sizes)], 3), np.uint8)
            if i == self._bad_at:
                image = image.astype(np.float32)
            yield SourceFrame(image, i, f"f{i}", time.perf_counter())


@pytest.fixture(params=[name for name in ENGINES if name in ("onnxruntime", "openvino")])
def slow(request, tiny_model):
    """A network of 100 ms: every request of OpenVINO is held up after it, the call of ONNX Runtime in its thread."""
    with Segmenter(tiny_model, request.param, threads=1, alpha=0.3) as segmenter:
        engine = segmenter.engine
        if request.param == "openvino":
            wait, free_s = engine._collect, [0.0]

            def late(ticket):
                output = wait(ticket)
                # One network at a time: a request begins when the one before it is done.
                free_s[0] = max(free_s[0], ticket.started_s) + ENGINE_S
                time.sleep(max(free_s[0] - time.perf_counter(), 0))
                ticket.computed_s = free_s[0]
                return output

            engine._collect = late
        else:
            infer = engine._infer
            engine._infer = lambda frames: time.sleep(ENGINE_S) or infer(frames)
        yield segmenter


def balanced(stats):
    return stats["frames_in"] == stats["frames_out"] + sum(stats["dropped"].values())


def nothing_in_flight(segmenter):
    return len(segmenter.engine._free) == segmenter.engine.most_in_flight


def run(segmenter, source, in_flight, **options):
    kept = []
    pipeline = Pipeline(source, segmenter, in_flight=in_flight, mask=True, **options)
    stats = pipeline.run(lambda result: kept.append((result.index, result.mask.copy(), result.overlay_bgr.copy())))
    return stats, kept


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("smooth", [None, 0.5])
def test_the_same_bytes_as_one_at_a_time(engine, smooth):
    """On a real INT8 network; two of the sizes are scaled, one is the network's own and goes in without a copy."""
    with Segmenter(STREET, engine, threads=1, smooth=smooth) as segmenter:
        sizes = ((96, 128), segmenter.spec.input_hw, (50, 70))
        _, expected = run(segmenter, Noise(12, sizes=sizes), 1)
        assert len({mask.tobytes() for _, mask, _ in expected}) == 12  # the frames do differ
        for in_flight in (2, 3, 7):
            segmenter.reset()
            stats, found = run(segmenter, Noise(12, sizes=sizes), in_flight)
            assert stats["in_flight"] == in_flight
            assert [index for index, _, _ in found] == list(range(12))
            for (_, mask, overlay), (_, mask_alone, overlay_alone) in zip(found, expected, strict=True):
                np.testing.assert_array_equal(mask, mask_alone)
                np.testing.assert_array_equal(overlay, overlay_alone)
            assert nothing_in_flight(segmenter)


@pytest.mark.parametrize("engine", [name for name in ENGINES if name in ("onnxruntime", "openvino")])
def test_the_same_bytes_side_by_side(engine):
    sizes = ((96, 128), (50, 70))
    with Segmenter(STREET, engine, threads=2, throughput=True) as segmenter:
        assert segmenter.engine.parallel == 2
        segmenter.warmup()
        assert nothing_in_flight(segmenter)
        _, expected = run(segmenter, Noise(12, sizes=sizes), 1)
        for in_flight in (None, 7):
            stats, found = run(segmenter, Noise(12, sizes=sizes), in_flight)
            assert (stats["in_flight"], stats["parallel"]) == (in_flight or 4, 2)
            assert [index for index, _, _ in found] == list(range(12))
            for (_, mask, overlay), (_, mask_alone, overlay_alone) in zip(found, expected, strict=True):
                np.testing.assert_array_equal(mask, mask_alone)
                np.testing.assert_array_equal(overlay, overlay_alone)
            assert nothing_in_flight(segmenter)


def test_side_by_side_two_take_the_time_of_one(tiny_model):
    """A network of 100 ms that sleeps: two of them at once give 50 ms a frame, and each still took 100."""
    with Segmenter(tiny_model, "onnxruntime", threads=2, throughput=True) as segmenter:
        infer = segmenter.engine._infer
        segmenter.engine._infer = lambda frames: time.sleep(ENGINE_S) or infer(frames)
        stats, found = run(segmenter, Noise(12), None)
    assert [index for index, _, _ in found] == list(range(12))
    assert stats["seconds"] < 12 * ENGINE_S * 0.8
    assert 0.9 * ENGINE_S < stats["stages_ms"]["engine"]["p50"] / 1e3 < 1.6 * ENGINE_S


def test_preparing_computing_and_painting_overlap(slow, monkeypatch):
    """20 ms before and after a network of 100 ms: one at a time a frame takes 140 ms, in flight it takes 100."""
    inputs, painter = slow._runner.inputs, slow._runner.painter
    resize, paint = inputs.resize, painter.paint
    monkeypatch.setattr(inputs, "resize", lambda *a: time.sleep(0.02) or resize(*a))
    monkeypatch.setattr(painter, "paint", lambda *a: time.sleep(0.02) or paint(*a))
    serial, _ = run(slow, Noise(8), 1)
    stats, _ = run(slow, Noise(16), None)
    assert stats["in_flight"] == 3
    assert (stats["frames_out"], stats["dropped"]) == (16, {"stale": 0, "corrupt": 0, "queue": 0})
    assert 1e3 / stats["fps"] < 130
    if slow.engine.name == "onnxruntime":  # the delay of the other one is in flight only
        assert 1e3 / serial["fps"] > 138
    # The network's own time is told apart from the wait for it.
    assert 95 < stats["stages_ms"]["engine"]["p50"] < 125
    assert stats["stages_ms"]["wait"]["p50"] > 50
    assert stats["latency_ms"]["p50"] > 180


@pytest.mark.parametrize("in_flight", [1, None, 6])
def test_frames_of_a_live_source_grow_no_older(slow, in_flight):
    """60 frames per second, a network of 100 ms: a frame's age is one inference and what it waited in the queue of two."""
    if in_flight == 1 and slow.engine.name == "openvino":
        pytest.skip("its delay is in flight only")
    ages = []
    pipeline = Pipeline(Noise(75, rate=60), slow, in_flight=in_flight)
    stats = pipeline.run(lambda result: ages.append(1e3 * (time.perf_counter() - result.captured_s)))
    assert stats["in_flight"] == (in_flight or 2)
    assert balanced(stats)
    assert stats["dropped"]["stale"] > 20
    # The queue is two intervals of the source, 33 ms; a request that waited for another one would be 100 ms older.
    assert np.median(ages) < 1e3 * ENGINE_S + 75
    assert np.median(ages[len(ages) // 2 :]) < np.median(ages[: len(ages) // 2]) + 50


@pytest.mark.parametrize("in_flight", [2, 5])
@pytest.mark.parametrize("fail_at", [0, 4])
def test_a_request_fails(tiny_model, in_flight, fail_at):
    with Segmenter(tiny_model, threads=1) as segmenter:
        wait, count = segmenter.engine._collect, [0]

        def burn(ticket):
            count[0] += 1
            if count[0] == fail_at + 1:
                raise ZeroDivisionError("engine burnt")
            return wait(ticket)

        segmenter.engine._collect = burn
        pipeline = Pipeline(Noise(100), segmenter, in_flight=in_flight)
        with pytest.raises(EngineError, match="engine burnt") as caught:
            pipeline.run()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        stats = pipeline.stats()
        assert stats["state"] == "failed"
        assert stats["frames_out"] <= fail_at
        assert stats["dropped"]["stale"] >= 1
        assert balanced(stats)
        assert nothing_in_flight(segmenter)
        # The segmenter is as good as before.
        assert Pipeline(Noise(5), segmenter, in_flight=in_flight).run()["frames_out"] == 5


def test_a_frame_cannot_be_prepared(tiny_model):
    """Those before it still come out; the error is the original one."""
    with Segmenter(tiny_model, threads=1) as segmenter:
        pipeline = Pipeline(Noise(100, bad_at=6), segmenter, in_flight=3)
        with pytest.raises(TypeError, match="got float32"):
            pipeline.run()
        stats = pipeline.stats()
        assert (stats["frames_out"], stats["state"]) == (6, "failed")
        assert balanced(stats)
        assert nothing_in_flight(segmenter)


@pytest.mark.parametrize("live", [False, True])
def test_leaving_early_leaves_nothing_in_flight(slow, live):
    source = Noise(1000, rate=200 if live else None)
    for result in slow.stream(source, in_flight=4):
        if result.index >= 3:
            break
    assert nothing_in_flight(slow)
    assert slow(np.zeros((32, 40, 3), np.uint8)).shape == (32, 40)


def test_numbers_that_make_no_sense(tiny_model):
    with Segmenter(tiny_model) as segmenter:
        with pytest.raises(InputError, match="`in_flight`: expected a number of frames from 1 on, got 0"):
            Pipeline(Noise(1), segmenter, in_flight=0)
        most = segmenter.most_in_flight
        with pytest.raises(InputError, match=f"takes at most {most} at the same time here, got {most + 1}"):
            Pipeline(Noise(1), segmenter, in_flight=most + 1)


def test_a_device_that_does_it_all_takes_one(tiny_model, monkeypatch):
    from seg_edge.runtime import open_engine

    engine = open_engine(tiny_model)
    monkeypatch.setattr(type(engine), "frame_path", lambda self: lambda frame, *_: (None, frame, {}))
    with Segmenter(engine) as segmenter:
        assert Pipeline(Noise(1), segmenter).in_flight == 1
        with pytest.raises(InputError, match="at most 1"):
            Pipeline(Noise(1), segmenter, in_flight=2)


SLOW = """
import json, sys, time
import numpy as np
from seg_edge.runtime import Pipeline, Segmenter, Source, SourceFrame

class Endless(Source):
    def __iter__(self):
        for i in range(10**6):
            yield SourceFrame(np.zeros((32, 40, 3), np.uint8), i, f"{i}", time.perf_counter())

segmenter = Segmenter(sys.argv[1], "onnxruntime")
infer = segmenter.engine._infer
segmenter.engine._infer = lambda frames: time.sleep(0.7) or infer(frames)
pipeline = Pipeline(Endless("endless"), segmenter, in_flight=8)
try:
    pipeline.run(lambda result: print("frame", flush=True))
except KeyboardInterrupt:
    segmenter.close()
    print(json.dumps({**pipeline.stats(), "closed_s": time.perf_counter()}), flush=True)
"""


def test_ctrl_c_with_slow_requests_in_flight(tiny_model):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tiny_model)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == "frame\n"
        began = time.perf_counter()
        process.send_signal(signal.SIGINT)
        while (line := process.stdout.readline()) == "frame\n":
            pass
        assert process.wait(5) == 0
        stats = json.loads(line)
    assert stats["closed_s"] - began < 2
    assert stats["state"] == "interrupted"
    assert balanced(stats)
