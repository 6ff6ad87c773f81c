"""Threads and queues: errors in every stage, slow stages, drops, order, exact counts, no thread left behind."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from seg_edge.core.errors import EngineError, InputError, SinkError
from seg_edge.runtime import Pipeline, Segmenter, Sink, Source, SourceFrame


class Frames(Source):
    """``count`` frames whose grey level is their number; optionally slow, live, endless or failing."""

    def __init__(self, count=20, *, live=False, pause_s=0.0, fail_at=None, size_hw=(32, 40)):
        super().__init__("frames", fps=25, count=count)
        self.live = live
        self._pause_s, self._fail_at, self._size_hw = pause_s, fail_at, size_hw
        self.delivered = 0

    def __iter__(self):
        for i in range(self.count):
            if i == self._fail_at:
                raise OSError("camera unplugged")
            if self._pause_s:
                time.sleep(self._pause_s)
            self.delivered += 1
            yield SourceFrame(np.full((*self._size_hw, 3), i % 256, np.uint8), i, f"f{i}", time.perf_counter())


class Keep(Sink):
    """Keeps a number made from each frame; optionally slow or failing."""

    def __init__(self, *, pause_s=0.0, fail_at=None, stop_at=None):
        super().__init__("keep")
        self.means, self.threads = [], set()
        self._pause_s, self._fail_at, self._stop_at = pause_s, fail_at, stop_at

    def write(self, frame_bgr):
        if len(self.means) == self._fail_at:
            raise SinkError("disk full")
        time.sleep(self._pause_s)
        self.means.append(float(frame_bgr.mean()))
        self.threads.add(threading.current_thread())
        self.stop = len(self.means) == self._stop_at


@pytest.fixture(autouse=True, params=[1, None], ids=["one at a time", "in flight"])
def _in_flight(request, monkeypatch):
    """Whatever holds for frames in flight holds for one at a time."""
    if request.param:
        monkeypatch.setattr("seg_edge.runtime.pipeline.in_flight.IN_FLIGHT_FILE", request.param)
        monkeypatch.setattr("seg_edge.runtime.pipeline.in_flight.IN_FLIGHT_LIVE", request.param)


@pytest.fixture
def slow_seg(tiny_model):
    """A network that takes 20 ms at least; the batches that it saw are in ``batches``."""
    with Segmenter(tiny_model, "onnxruntime", threads=1, alpha=0) as segmenter:
        infer, segmenter.batches = segmenter.engine._infer, []

        def slow(frames):
            segmenter.batches.append(len(frames))
            time.sleep(0.02)
            return infer(frames)

        segmenter.engine._infer = slow
        yield segmenter


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


def balanced(stats):
    return stats["frames_in"] == stats["frames_out"] + sum(stats["dropped"].values())


@pytest.mark.parametrize("pause_s", [0, 0.003])
@pytest.mark.parametrize("sink_pause_s", [0, 0.004])
def test_a_file_loses_nothing_and_keeps_order(seg, pause_s, sink_pause_s):
    sink = Keep(pause_s=sink_pause_s)
    indices = []
    stats = Pipeline(Frames(60, pause_s=pause_s), seg, [sink]).run(lambda result: indices.append(result.index))
    assert indices == list(range(60))
    assert sink.means == pytest.approx(range(60))
    assert sink.threads == {threading.current_thread()}
    assert (stats["frames_in"], stats["frames_out"]) == (60, 60)
    assert stats["dropped"] == {"stale": 0, "corrupt": 0, "queue": 0}
    assert stats["state"] == "ended"


def test_statistics(seg):
    stats = Pipeline(Frames(30, pause_s=0.008), seg, [Keep(pause_s=0.04)]).run()
    assert set(stats) == {
        "engine", "device", "seconds", "frames_in", "frames_out", "in_flight", "parallel", "dropped", "reconnects", "state",
        "sources", "sinks", "fps", "latency_ms", "frame_age_ms", "stages_ms", "areas", "computed",
    }  # fmt: skip
    assert stats["engine"] == seg.engine.name
    assert stats["device"] == "CPU, 1 thread"
    stages = ["capture", "pre", "engine", "post", "sink"]
    assert list(stats["stages_ms"]) == (stages if stats["in_flight"] == 1 else [*stages[:2], "wait", *stages[2:]])
    assert 40 <= stats["stages_ms"]["sink"]["p50"] < 100
    assert 8 <= stats["stages_ms"]["capture"]["p50"] < 40
    # The sink is the bottleneck: 40 ms a frame, and less than 25 FPS. A frame waits for the four or so before it.
    assert 8 < stats["fps"] <= 25
    assert stats["frame_age_ms"]["p50"] > 80
    # Frames in flight wait for the sink too, and say so.
    assert 0 < stats["latency_ms"]["p50"] - ((stats["stages_ms"].get("wait") or {"p50": 0})["p50"]) < 40
    assert stats["latency_ms"]["p50"] <= stats["latency_ms"]["p95"] <= stats["latency_ms"]["p99"]
    assert stats["seconds"] >= 1.2
    json.dumps(stats, allow_nan=False)


def test_overlays_are_painted_into_the_same_few_arrays(seg):
    seen = []  # holds every array, so that none can be another one at the same address
    Pipeline(Frames(50), seg, [Keep()]).run(lambda result: seen.append(result.overlay_bgr))
    assert len({id(overlay) for overlay in seen}) <= 8


def test_stages_overlap(seg):
    pipeline = Pipeline(Frames(20, pause_s=0.04), seg, [Keep(pause_s=0.04)])
    stats = pipeline.run()
    assert stats["seconds"] < 1.4  # one after the other they would take 1.6 s and more


def test_live_source_drops_the_oldest_and_counts(seg):
    sink = Keep(pause_s=0.02)
    source = Frames(100, live=True, pause_s=0.002)
    stats = Pipeline(source, seg, [sink]).run()
    assert stats["frames_in"] == source.delivered == 100
    assert stats["frames_out"] == len(sink.means) < 60
    assert sum(stats["dropped"].values()) == 100 - len(sink.means)
    assert stats["dropped"]["queue"] > 0
    assert sink.means == sorted(sink.means)
    assert sink.means[-1] == pytest.approx(99)  # the newest always gets through
    # A frame never waits behind more than the two in the queue.
    assert stats["frame_age_ms"]["p95"] < 4 * 20


def test_slow_inference_makes_live_frames_stale(slow_seg):
    stats = Pipeline(Frames(100, live=True, pause_s=0.002), slow_seg, [Keep()]).run()
    assert stats["dropped"]["stale"] > 30
    assert stats["dropped"]["queue"] == 0
    assert balanced(stats)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("fail_at", [0, 7])
def test_source_fails(seg, live, fail_at):
    pipeline = Pipeline(Frames(fail_at=fail_at, live=live, pause_s=0.002), seg, [Keep()])
    with pytest.raises(OSError, match="camera unplugged") as caught:
        pipeline.run()
    assert any(entry.name == "__iter__" for entry in caught.traceback)  # the original error, from where it was raised
    stats = pipeline.stats()
    assert stats["state"] == "failed"
    assert stats["frames_in"] == fail_at
    assert balanced(stats)
    if not live:
        assert stats["frames_out"] == fail_at  # what was captured before the failure still got out


def test_engine_fails(slow_seg, monkeypatch):
    infer = slow_seg.engine._infer

    def burn(frames):
        if len(slow_seg.batches) == 5:
            raise ZeroDivisionError("engine burnt")
        return infer(frames)

    monkeypatch.setattr(slow_seg.engine, "_infer", burn)
    pipeline = Pipeline(Frames(1000), slow_seg, [Keep()])
    with pytest.raises(EngineError, match="engine burnt") as caught:
        pipeline.run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert pipeline.stats()["state"] == "failed"
    assert pipeline.stats()["frames_out"] <= 5
    assert balanced(pipeline.stats())


@pytest.mark.parametrize("fail_at", [0, 4])
def test_sink_fails(seg, fail_at):
    first, second = Keep(), Keep(fail_at=fail_at)
    pipeline = Pipeline(Frames(1000), seg, [first, second])
    with pytest.raises(SinkError, match="disk full"):
        pipeline.run()
    assert len(first.means) == fail_at + 1
    assert pipeline.stats()["state"] == "failed"
    assert balanced(pipeline.stats())


def test_callback_fails(seg):
    pipeline = Pipeline(Frames(1000), seg, [Keep()])

    def callback(result):
        raise LookupError("callback")

    with pytest.raises(LookupError, match="callback"):
        pipeline.run(callback)
    assert pipeline.stats()["state"] == "failed"


def test_interrupt_in_the_callers_thread(seg):
    sink = Keep()
    pipeline = Pipeline(Frames(10_000), seg, [sink])

    def interrupt(result):
        if result.index == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(interrupt)
    stats = pipeline.stats()
    assert stats["state"] == "interrupted"
    assert stats["frames_out"] == len(sink.means) == 10
    assert balanced(stats)


def test_sink_asks_to_stop(seg):
    sink = Keep(stop_at=5)
    stats = Pipeline(Frames(1000), seg, [sink]).run()
    assert len(sink.means) == stats["frames_out"] == 5
    assert stats["state"] == "stopped"
    assert balanced(stats)


def test_max_frames_of_a_file_reads_no_more(seg):
    source = Frames(1000)
    stats = Pipeline(source, seg, [Keep()], max_frames=7).run()
    assert (stats["frames_in"], stats["frames_out"], source.delivered) == (7, 7, 7)
    assert stats["state"] == "stopped"


def test_max_frames_of_a_live_source_counts_what_came_out(seg):
    stats = Pipeline(Frames(10_000, live=True, pause_s=0.001), seg, [Keep(pause_s=0.005)], max_frames=10).run()
    assert stats["frames_out"] == 10
    assert stats["frames_in"] > 10
    assert balanced(stats)


def test_duration(seg):
    started = time.perf_counter()
    stats = Pipeline(Frames(100_000, pause_s=0.005), seg, [Keep()], duration_s=0.3).run()
    assert 0.3 <= time.perf_counter() - started < 1.5
    assert 10 < stats["frames_out"] <= 60
    assert stats["frames_in"] == stats["frames_out"]  # what was taken is finished
    assert stats["state"] == "stopped"


def test_duration_of_a_silent_source(seg):
    """Its frames stop coming; the run ends in time, and what was under way gets out."""

    class Silent(Frames):
        cancelled = threading.Event()

        def __iter__(self):
            yield from super().__iter__()
            self.cancelled.wait(20)

        def cancel(self):
            self.cancelled.set()

    started = time.perf_counter()
    stats = Pipeline(Silent(3, pause_s=0.01), seg, [Keep()], duration_s=0.5).run()
    assert 0.5 <= time.perf_counter() - started < 1
    assert (stats["frames_in"], stats["frames_out"], stats["state"]) == (3, 3, "stopped")


def test_corrupt_images_are_counted(seg, tmp_path):
    import cv2

    from seg_edge.runtime import open_source

    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((32, 40, 3), i, np.uint8))
    (tmp_path / "2.png").write_bytes(b"x")
    sink = Keep()
    with open_source(tmp_path) as source:
        stats = Pipeline(source, seg, [sink]).run()
    assert sink.means == pytest.approx([0, 1, 3, 4])
    assert (stats["frames_in"], stats["frames_out"], stats["dropped"]["corrupt"]) == (5, 4, 1)


def test_one_frame_has_no_rate(seg):
    stats = Pipeline(Frames(1), seg, [Keep()]).run()
    assert stats["fps"] is None
    assert "it takes 2 frames, and 1 came out" in stats["note"]


def test_frames_of_several_sizes(seg):
    class Mixed(Frames):
        def __iter__(self):
            for i, frame in enumerate(super().__iter__()):
                size = (32 + 8 * (i % 3), 40)
                yield SourceFrame(np.full((*size, 3), i, np.uint8), i, frame.name, frame.captured_s)

    sink = Keep()
    Pipeline(Mixed(30), seg, [sink]).run()
    assert sink.means == pytest.approx(range(30))


def several(*counts, **options):
    """Sources whose frames can be told apart by their brightness: 100 for each source, and their number."""

    class Numbered(Frames):
        def __init__(self, base, count):
            super().__init__(count, **options)
            self.base = base

        def __iter__(self):
            for frame in super().__iter__():
                frame.image_bgr[:] += np.uint8(self.base)
                yield frame

    return [Numbered(100 * i, count) for i, count in enumerate(counts)]


def test_several_files_lose_nothing_and_keep_their_order(seg):
    seen: dict[int, list[float]] = {0: [], 1: [], 2: []}
    names = set()

    def note(result):
        seen[result.origin].append(float(result.overlay_bgr.mean()))
        names.add(result.name)

    stats = Pipeline(several(30, 10, 20), seg, [Keep()]).run(note)
    assert seen[0] == pytest.approx(range(30))
    assert seen[1] == pytest.approx(range(100, 110))
    assert seen[2] == pytest.approx(range(200, 220))
    assert len(names) == 60  # they become file names
    assert (stats["frames_in"], stats["frames_out"], stats["state"]) == (60, 60, "ended")
    assert [row["source"] for row in stats["sources"]] == ["frames"] * 3


def test_frames_that_wait_together_share_an_inference(slow_seg):
    batches = slow_seg.batches
    stats = Pipeline(several(20, 20), slow_seg, [Keep()]).run()
    assert sum(batches) == stats["frames_out"] == 40
    assert max(batches) == 2
    assert batches.count(2) > 10


def test_a_fast_live_source_does_not_crowd_out_a_slow_one(slow_seg):
    fast, calm = several(150, 10, live=True)
    fast._pause_s, calm._pause_s = 0.002, 0.06
    origins = []
    stats = Pipeline([fast, calm], slow_seg, [Keep()]).run(lambda result: origins.append(result.origin))
    assert origins.count(1) == 10
    assert origins.count(0) < 100
    assert balanced(stats)


@pytest.mark.parametrize("live", [False, True])
def test_one_of_several_sources_fails(seg, live):
    good, bad = several(100_000, 100_000, live=live, pause_s=0.001)
    bad._fail_at = 7
    pipeline = Pipeline([good, bad], seg, [Keep()])
    with pytest.raises(OSError, match="camera unplugged"):
        pipeline.run()
    assert pipeline.stats()["state"] == "failed"
    assert balanced(pipeline.stats())


def test_max_frames_of_several_files_is_exact(seg):
    stats = Pipeline(several(1000, 1000), seg, [Keep()], max_frames=7).run()
    assert (stats["frames_in"], stats["frames_out"]) == (7, 7)


def test_live_sources_and_files_do_not_mix(seg):
    with pytest.raises(InputError, match="all live or all files, got frames is live, frames is a file; run them apart"):
        Pipeline([Frames(live=True), Frames()], seg)


def test_bad_limits(seg):
    for options in ({"max_frames": 0}, {"duration_s": -1}, {"queue_size": 0}):
        with pytest.raises(InputError, match=f"`{next(iter(options))}`: expected a number above 0"):
            Pipeline(Frames(), seg, **options)
    with pytest.raises(InputError, match="keep shows overlays"):
        Pipeline(Frames(), seg, [Keep()], overlay=False)
    pipeline = Pipeline(Frames(2), seg)
    pipeline.run()
    with pytest.raises(InputError, match="runs once"):
        pipeline.run()
