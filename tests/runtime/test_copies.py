"""Zero copies of frames between stages, counted: from the source's array to the sink's, by address and by allocation.

``tracemalloc`` sees every array that NumPy or OpenCV allocates for Python. Once a run has all its buffers, what is still
allocated for a frame is the frame itself, by its source; everything else would be a copy.
"""

from __future__ import annotations

import time
import tracemalloc

import cv2
import numpy as np
import pytest

from seg_edge.runtime import CallbackSink, Pipeline, Segmenter, Source, SourceFrame, open_source
from seg_edge.runtime.engines import engines
from seg_edge.runtime.frame.inputs import NetworkInputs
from seg_edge.runtime.sources.base import Source as BaseSource

ENGINES = [row.name for row in engines(".onnx") if row.available and row.name in ("onnxruntime", "openvino")]
HEIGHT, WIDTH = 720, 1280
SETTLED, LAST = 8, 40


def draw(pixel_format: str) -> np.ndarray:
    shapes = {"bgr": (HEIGHT, WIDTH, 3), "nv12": (HEIGHT * 3 // 2, WIDTH), "yuyv": (HEIGHT, WIDTH, 2)}
    return np.random.default_rng(0).integers(0, 256, shapes[pixel_format], np.uint8)


class Same(Source):
    """One array over and over: whatever is allocated, the source did not."""

    def __init__(self, frame, pixel_format, count=LAST + 10):
        super().__init__("same", count=count)
        self._frame, self._format = frame, pixel_format

    def __iter__(self):
        for i in range(self.count):
            yield SourceFrame(self._frame, i, f"f{i}", time.perf_counter(), pixel_format=self._format)


class Watch:
    """Takes results; after all buffers are there, counts what is allocated beyond them, and the arrays that it sees."""

    def __init__(self):
        self.frames, self.overlays, self.masks, self.peak = set(), set(), set(), 0
        self.pipeline = None
        self.settled = (0, 0)

    def __call__(self, result):
        self.frames.add(result.frame.ctypes.data)
        self.overlays.add(result.overlay_bgr.ctypes.data)
        self.masks.add(result.mask.ctypes.data)
        if result.index < SETTLED:
            # Until the queue in front of the sinks is full, and the painter holds one more: then every buffer is there.
            until_s = time.perf_counter() + 1
            while len(self.pipeline._results._items) < 2 and time.perf_counter() < until_s:
                time.sleep(0.002)
            time.sleep(0.01)
        elif result.index == SETTLED:
            self.settled = len(self.overlays), len(self.masks)
            tracemalloc.start()
        elif result.index == LAST:
            # Less the buffers that a slow start left to be made; they are no copies.
            fresh = 3 * (len(self.overlays) - self.settled[0]) + len(self.masks) - self.settled[1]
            self.peak = tracemalloc.get_traced_memory()[1] - fresh * HEIGHT * WIDTH
            tracemalloc.stop()


@pytest.fixture(autouse=True)
def _stop_tracing():
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("in_flight", [1, 3])
@pytest.mark.parametrize("pixel_format", ["bgr", "nv12", "yuyv"])
def test_from_the_source_to_the_sink(tiny_model, pixel_format, in_flight):
    """The sink gets the source's own array, and overlays and masks out of a few that go round; nothing else is made."""
    frame, watch = draw(pixel_format), Watch()
    before = frame.copy()
    with Segmenter(tiny_model, threads=1) as segmenter:
        sink = CallbackSink(watch, mask=True, overlay=True)
        watch.pipeline = Pipeline(Same(frame, pixel_format), segmenter, [sink], in_flight=in_flight)
        watch.pipeline.run()
    assert watch.frames == {frame.ctypes.data}
    # One is painted, two wait, one is at the sink, and one may be on its way back.
    assert len(watch.overlays) <= 6
    assert len(watch.masks) <= 6
    assert frame.ctypes.data not in watch.overlays
    np.testing.assert_array_equal(frame, before)
    assert 0 < watch.peak < HEIGHT * WIDTH / 2  # the smallest copy would be a mask's


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("in_flight", [1, 3])
def test_a_frame_of_the_networks_size_is_its_input(tiny_model, engine, in_flight, monkeypatch):
    """Not even the resize writes it: the engine is given the source's memory."""
    seen, sent = set(), set()
    with Segmenter(tiny_model, engine, threads=1) as segmenter:
        start, infer = segmenter.engine.start, segmenter.engine.infer
        monkeypatch.setattr(segmenter.engine, "start", lambda frames: seen.add(frames.ctypes.data) or start(frames))
        monkeypatch.setattr(segmenter.engine, "infer", lambda frames: seen.add(frames.ctypes.data) or infer(frames))
        if engine == "openvino":  # what OpenVINO itself reads from
            shared = segmenter.engine._shared
            monkeypatch.setattr(
                segmenter.engine, "_shared", lambda frames: [t := shared(frames), sent.add(t.data.ctypes.data)][0]
            )
        frame = np.zeros((*segmenter.spec.input_hw, 3), np.uint8)
        Pipeline(Same(frame, "bgr", 10), segmenter, mask=True, in_flight=in_flight).run()
    assert seen == {frame.ctypes.data}
    assert sent == ({frame.ctypes.data} if engine == "openvino" else set())


def recorded(source: BaseSource, monkeypatch) -> list[np.ndarray]:
    """The arrays that a source hands out, as it does."""
    handed: list[np.ndarray] = []
    frames = type(source).__iter__

    def each(self):
        for frame in frames(self):
            handed.append(frame.image)
            yield frame

    monkeypatch.setattr(type(source), "__iter__", each)
    return handed


def test_a_video_files_frames(tiny_model, tmp_path, monkeypatch):
    """The decoder's array is the one that the sink sees."""
    video = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for i in range(12):
        video.write(np.full((48, 64, 3), 10 * i, np.uint8))
    video.release()
    seen = []
    with Segmenter(tiny_model) as segmenter, open_source(tmp_path / "v.avi") as source:
        handed = recorded(source, monkeypatch)
        Pipeline(source, segmenter).run(lambda result: seen.append(result.frame))
    assert len(seen) == 12
    assert all(isinstance(each, tuple) and len(each) == 3 for each in seen)
    assert all(ours is theirs for ours, theirs in zip(seen, handed, strict=True))


@pytest.mark.parametrize(("format", "width"), [("BGR", 66), ("NV12", 66), ("YUY2", 64)])
def test_a_gstreamer_pipelines_frames(need_element, tiny_model, monkeypatch, format, width):
    """The bytes are read from the pipe into the array that the sink sees, its padded rows included."""
    need_element("videotestsrc")
    caps = f"video/x-raw,format={format},width={width},height=48,framerate=100/1"
    seen = []
    with Segmenter(tiny_model) as segmenter, open_source(f"gst://videotestsrc is-live=true ! {caps}") as source:
        handed = recorded(source, monkeypatch)
        filled = []
        fill = type(source._feed)._fill
        monkeypatch.setattr(
            type(source._feed), "_fill", lambda self, until_s, *views: filled.extend(views) or fill(self, until_s, *views)
        )
        Pipeline(source, segmenter, max_frames=5).run(lambda result: seen.append(result.frame))
    ours = {array.ctypes.data for array in seen}
    assert len(ours) == 5 <= len(handed)
    assert ours <= {array.ctypes.data for array in handed}
    read_into = {np.frombuffer(view, np.uint8).ctypes.data for view in filled if len(view) > 2000}
    assert ours <= read_into


def test_the_count_would_see_a_copy(tiny_model, monkeypatch):
    """The test of the test: a stage that copies is caught."""
    resize = NetworkInputs.resize

    def copies(self, frame, pixel_format, out, colours):
        resize(self, frame.copy(), pixel_format, out, colours)

    monkeypatch.setattr(NetworkInputs, "resize", copies)
    watch = Watch()
    with Segmenter(tiny_model, threads=1) as segmenter:
        sink = CallbackSink(watch, mask=True, overlay=True)
        watch.pipeline = Pipeline(Same(draw("bgr"), "bgr"), segmenter, [sink], in_flight=3)
        watch.pipeline.run()
    assert watch.peak > HEIGHT * WIDTH * 3
