"""NV12 and YUYV from the camera to the overlay: no picture in BGR is made but in the overlay itself."""

from __future__ import annotations

import time

import numpy as np
import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.runtime import CallbackSink, Pipeline, Segmenter, Source, SourceFrame, open_sink, open_source
from seg_edge.runtime.engines import open_engine
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.colours import Colours

FORMATS = ("nv12", "yuyv")


def draw(pixel_format, height, width, seed=0):
    shape = (height * 3 // 2, width) if pixel_format == "nv12" else (height, width, 2)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture(params=["logits", "labels"])
def seg(request, tmp_path, tiny_onnx):
    tiny_onnx(tmp_path / "m.onnx", output=request.param)
    with Segmenter(tmp_path / "m.onnx", threads=1) as segmenter:
        yield segmenter


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("size", [(32, 40), (64, 80), (72, 66)])  # the network's own size, and two that are scaled
def test_mask_and_overlay(seg, pixel_format, size):
    frame = draw(pixel_format, *size)
    bgr = kernels.to_bgr(frame, pixel_format)
    seen = kernels.resize(frame, seg.spec.input_hw, seg.spec.resize, pixel_format=pixel_format)
    result = seg.process(frame, pixel_format=pixel_format, index=3)
    assert (result.frame is frame, result.pixel_format, result.index) == (True, pixel_format, 3)
    np.testing.assert_array_equal(result.frame_bgr, bgr)
    # The network saw what the resize made of the frame; the overlay is painted on the converted frame.
    output = seg.engine.infer(seen[None])[0].copy()
    mask, overlay, *_others = seg._runner.painter.paint(output, bgr, "bgr", True, True, (None, None), 0)
    np.testing.assert_array_equal(result.mask, mask)
    np.testing.assert_array_equal(result.overlay_bgr, overlay)
    np.testing.assert_array_equal(seg(frame, pixel_format=pixel_format), mask)
    np.testing.assert_array_equal(seg.overlay(frame, pixel_format=pixel_format), overlay)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_rows_that_lie_apart(seg, pixel_format):
    wide = draw(pixel_format, 32, 48)
    frame = wide[:, :40]
    np.testing.assert_array_equal(
        seg(frame, pixel_format=pixel_format), seg(np.ascontiguousarray(frame), pixel_format=pixel_format)
    )


def test_no_other_picture_is_made(seg, monkeypatch):
    """Neither a mask nor an overlay converts the frame as a whole; what asks for BGR gets it."""
    made = []
    to_bgr = kernels.to_bgr
    monkeypatch.setattr(kernels, "to_bgr", lambda *a, **k: made.append(to_bgr(*a, **k)) or made[-1])
    frame, out = draw("nv12", 64, 80), np.empty((64, 80, 3), np.uint8)
    seg.process(frame, overlay=False, pixel_format="nv12")
    result = seg.process(frame, out=out, pixel_format="nv12")
    assert made == []
    assert out is result.overlay_bgr
    assert result.frame_bgr is result.frame_bgr is made[0]


def test_colours_reach_the_network_and_the_overlay(seg):
    frame, colours = draw("nv12", 64, 80), Colours("bt709", True)
    planes = frame[:64], frame[64:]
    bgr = kernels.to_bgr(frame, "nv12", colours=colours)
    expected = seg.process(bgr)
    for image in (frame, planes):
        result = seg.process(image, pixel_format="nv12", colours=colours)
        np.testing.assert_array_equal(result.mask, expected.mask)
        np.testing.assert_array_equal(result.overlay_bgr, expected.overlay_bgr)
        np.testing.assert_array_equal(result.frame_bgr, bgr)
        pending = seg.start([SourceFrame(image, 0, "f", 0.0, pixel_format="nv12", colours=colours)])
        (later,) = seg.finish(pending, [(None, None)])
        np.testing.assert_array_equal(later.overlay_bgr, expected.overlay_bgr)
        assert later.colours == colours
    if seg.spec.output == "logits":
        np.testing.assert_array_equal(seg.logits(frame, pixel_format="nv12", colours=colours), seg.logits(bgr))


def test_the_devices_own_path_gets_bgr(tiny_onnx, tmp_path, monkeypatch):
    tiny_onnx(tmp_path / "m.onnx")
    engine, seen = open_engine(tmp_path / "m.onnx"), []

    def way(frame, mask, overlay, mask_out, out, alpha):
        seen.append(frame)
        return None, None, {"pre": 0.0}

    monkeypatch.setattr(type(engine), "frame_path", lambda self: way)
    frame = draw("nv12", 64, 80)
    with Segmenter(engine) as segmenter:
        assert segmenter.process(frame, pixel_format="nv12").stages_ms["pre"] > 0
    np.testing.assert_array_equal(seen[0], kernels.to_bgr(frame, "nv12"))


PLANES = (np.zeros((6, 4), np.uint8), np.zeros((3, 2), np.uint8), np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize(
    ("frame", "pixel_format", "kind", "message"),
    [
        (PLANES[0], "i420", TypeError, "a tuple of uint8 planes, I420, got ndarray"),
        (PLANES, "i010", TypeError, "a tuple of uint16 planes, I010, got .'uint8', 'uint8', 'uint8'."),
        (PLANES[:2], "i420", ValueError, r"planes of .*\(3, 2\).* got \[\(6, 4\), \(3, 2\)\]"),
        (PLANES, "i444", ValueError, "planes of .*I444"),
        ((), "i420", ValueError, "got ..;"),
        ((PLANES[0][:0], *PLANES[1:]), "i420", ValueError, "their chroma"),
        ((PLANES[0], np.zeros((3, 4), np.uint8)[:, ::2], PLANES[2]), "i420", ValueError, "planes must have contiguous rows"),
    ],
)
def test_wrong_planes(seg, frame, pixel_format, kind, message):
    with pytest.raises(kind, match=message):
        seg(frame, pixel_format=pixel_format)


@pytest.mark.parametrize(
    ("frame", "pixel_format", "message"),
    [
        (np.zeros((6, 4, 3), np.uint8), "nv12", r"must be \(3\*H/2, W\), NV12, H and W even, got \(6, 4, 3\)"),
        (np.zeros((7, 4), np.uint8), "nv12", r"got \(7, 4\)"),
        (np.zeros((6, 5), np.uint8), "nv12", r"got \(6, 5\)"),
        (np.zeros((0, 4), np.uint8), "nv12", r"got \(0, 4\)"),
        (np.zeros((4, 5, 2), np.uint8), "yuyv", r"must be \(H, W, 2\), YUYV, W even, got \(4, 5, 2\)"),
        (np.zeros((4, 4, 3), np.uint8), "yuyv", r"got \(4, 4, 3\)"),
        (np.zeros((6, 8), np.uint8)[:, ::2], "nv12", "contiguous rows"),
    ],
)
def test_wrong_frames(seg, frame, pixel_format, message):
    with pytest.raises(ValueError, match=message):
        seg(frame, pixel_format=pixel_format)
    with pytest.raises(TypeError, match="got float32"):
        seg(frame.astype(np.float32), pixel_format=pixel_format)


def test_unknown_format(seg):
    with pytest.raises(UnknownNameError, match="did you mean 'nv12'"):
        seg(draw("nv12", 4, 4), pixel_format="nv21")


class Camera(Source):
    def __init__(self, pixel_format, count=12):
        super().__init__("camera", fps=30, count=count)
        self._format = pixel_format

    def __iter__(self):
        for i in range(self.count):
            yield SourceFrame(draw(self._format, 64, 80, i), i, f"f{i}", time.perf_counter(), pixel_format=self._format)


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("in_flight", [1, 3])
def test_through_the_pipeline(seg, pixel_format, in_flight, tmp_path):
    seen = []
    sink = CallbackSink(lambda result: seen.append((result.mask.copy(), result.overlay_bgr.copy())), overlay=True)
    with open_sink(f"{tmp_path}/out/") as pictures:
        stats = Pipeline(Camera(pixel_format), seg, [sink, pictures], hud=False, in_flight=in_flight).run()
    assert stats["frames_out"] == len(seen) == 12
    for i, (mask, overlay) in enumerate(seen):
        alone = seg.process(draw(pixel_format, 64, 80, i), pixel_format=pixel_format)
        np.testing.assert_array_equal(mask, alone.mask)
        np.testing.assert_array_equal(overlay, alone.overlay_bgr)
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 12


def test_two_cameras_of_different_formats_share_an_inference(seg):
    shapes = set()
    sources = [Camera("nv12"), Camera("yuyv")]
    stats = Pipeline(sources, seg, mask=True).run(lambda result: shapes.add((result.pixel_format, result.mask.shape)))
    assert stats["frames_out"] == 24
    assert shapes == {("nv12", (64, 80)), ("yuyv", (64, 80))}


def test_from_gstreamer(need_element, tiny_model):
    need_element("videotestsrc")
    caps = "video/x-raw,format=NV12,width=80,height=64,framerate=50/1"
    results = []
    with Segmenter(tiny_model) as segmenter, open_source(f"gst://videotestsrc pattern=red ! {caps}") as source:
        pipeline = Pipeline(source, segmenter, mask=True, max_frames=3)
        pipeline.run(lambda result: results.append((result.pixel_format, int(result.mask.min()), result.mask.shape)))
    assert results == [("nv12", 2, (64, 80))] * 3  # the tiny network's class of red
