"""Masks and overlays against a NumPy reference that says what they should be."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import EngineError, InputError
from seg_edge.runtime import Segmenter, open_engine
from seg_edge.runtime.engines import engines

ENGINES = [row.name for row in engines(".onnx") if row.available]


def upsample(logits: np.ndarray, height: int, width: int) -> np.ndarray:
    """(C, h, w) → float64 (C, height, width): bilinear between pixel centres, edges clamped."""

    def axis(values: np.ndarray, size: int) -> np.ndarray:
        count = values.shape[-1]
        at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
        low = np.minimum(at.astype(int), count - 1)
        high = np.minimum(low + 1, count - 1)
        return values[..., low] + (values[..., high] - values[..., low]) * (at - low)

    rows = axis(logits.astype(np.float64).swapaxes(1, 2), height).swapaxes(1, 2)
    return axis(rows, width)


def network(frame: np.ndarray) -> np.ndarray:
    """What the tiny network computes for a frame of its input size: float64 (3, h, w)."""
    height, width = frame.shape[:2]
    return frame.reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3)).transpose(2, 0, 1) / 255


def assert_mask(mask: np.ndarray, logits: np.ndarray) -> None:
    full = upsample(logits, *mask.shape)
    top = np.sort(full, axis=0)
    clear = top[-1] - top[-2] > 1e-4  # where two classes tie, float32 and float64 may part
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(mask[clear], full.argmax(0)[clear])


@pytest.fixture(params=ENGINES)
def seg(request, tiny_model):
    with Segmenter(tiny_model, request.param) as segmenter:
        yield segmenter


def test_mask_of_a_frame_of_input_size(seg):
    frame = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    mask = seg(frame)
    assert mask.dtype == np.uint8
    assert_mask(mask, network(frame))


def test_mask_of_a_larger_frame(seg):
    # Three times as high and twice as wide: the area rule is then a plain mean of blocks.
    cells = np.random.default_rng(1).integers(0, 256, (8, 10, 3), np.uint8)
    frame = np.ascontiguousarray(cells.repeat(12, 0).repeat(8, 1))
    small = frame.reshape(32, 3, 40, 2, 3).mean((1, 3))
    mask = seg(frame)
    assert mask.shape == (96, 80)
    # The resized frame is rounded to 8 bits (half a grey level), so near ties may fall either way.
    full = upsample(network(small), 96, 80)
    top = np.sort(full, axis=0)
    clear = top[-1] - top[-2] > 2 / 255
    assert clear.mean() > 0.8
    np.testing.assert_array_equal(mask[clear], full.argmax(0)[clear])


@pytest.mark.parametrize(("rule", "winner"), [("area", 0), ("bilinear", 1)])
def test_the_specs_resize_rule_is_used(tmp_path, tiny_onnx, rule, winner):
    # Of three rows the middle one is strong green, the others weaker blue. The mean is blue; the middle is green.
    tiny_onnx(tmp_path / "m.onnx", resize=rule)
    frame = np.zeros((96, 40, 3), np.uint8)
    frame[:, :, 0], frame[1::3] = 100, (0, 150, 0)
    with Segmenter(tmp_path / "m.onnx") as seg:
        assert (seg(frame) == winner).all()


def test_mask_shows_the_colours(seg, colour_frame):
    mask = seg(colour_frame(64, 120))
    assert mask.shape == (64, 120)
    assert [set(mask[:, columns].ravel()) for columns in (slice(0, 36), slice(44, 76), slice(84, 120))] == [{0}, {1}, {2}]


def test_overlay_is_the_blend_of_mask_and_frame(tiny_model, colour_frame):
    frame = colour_frame(50, 70)
    for alpha in (0.0, 0.5, 1.0):
        with Segmenter(tiny_model, alpha=alpha) as seg:
            result = seg.process(frame)
            colours = seg.labels.palette_bgr[result.mask].astype(float)
            np.testing.assert_allclose(result.overlay_bgr, (1 - alpha) * frame + alpha * colours, atol=1)
            np.testing.assert_array_equal(seg.overlay(frame), result.overlay_bgr)
            np.testing.assert_array_equal(seg(frame), result.mask)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [(32, 40), (64, 80), (75, 33)])
def test_labels_head_gives_the_same_picture(tmp_path, tiny_onnx, colour_frame, engine, size):
    spec = tiny_onnx(tmp_path / "labels.onnx", output="labels")
    frame = colour_frame(*size)
    with Segmenter(tmp_path / "labels.onnx", engine) as seg:
        result = seg.process(frame)
        width = size[1]
        thirds = [
            set(result.mask[:, int(a * width) : int(b * width)].ravel()) for a, b in ((0, 0.27), (0.4, 0.6), (0.73, 1))
        ]
        assert thirds == [{0}, {1}, {2}]
        colours = spec.labels.palette_bgr[result.mask].astype(float)
        np.testing.assert_allclose(result.overlay_bgr, (frame + colours) / 2, atol=1)
        own = np.full(size, 9, np.uint8)
        assert seg(frame, out=own) is own or np.shares_memory(seg(frame, out=own), own)
        np.testing.assert_array_equal(own, result.mask)
        with pytest.raises(EngineError, match="`head='labels'`, so it gives no logits"):
            seg.logits(frame)
        with pytest.raises(ValueError, match="mask_out must be uint8"):
            seg(frame, out=np.zeros((3, 3), np.uint8))


@pytest.mark.parametrize("size", [(75, 33), (16, 90)])
def test_labels_are_scaled_by_the_nearest_pixel_centre(tmp_path, tiny_onnx, size):
    tiny_onnx(tmp_path / "labels.onnx", output="labels")
    frame = np.zeros((*size, 3), np.uint8)
    frame[:, : size[1] // 2, 0], frame[:, size[1] // 2 :, 2] = (
        200,
        200,
    )  # 0 beside 2: a blend would be 1
    with Segmenter(tmp_path / "labels.onnx") as seg:
        mask = seg(frame)
        small = seg.engine.infer(seg._runner.inputs.single(frame, "bgr"))[0].copy()
    rows, columns = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(size, (32, 40), strict=True))
    assert set(small.ravel()) == {0, 2}
    np.testing.assert_array_equal(mask, small[rows][:, columns])


def test_logits_belong_to_the_caller(seg):
    first = seg.logits(np.full((32, 40, 3), 51, np.uint8))
    seg.logits(np.full((32, 40, 3), 255, np.uint8))
    assert first.shape == (3, 8, 10)
    np.testing.assert_allclose(first, 0.2, atol=1e-5)


def test_masks_belong_to_the_caller(seg, colour_frame):
    frame = colour_frame(64, 120)
    first, kept = seg(frame), seg(frame).copy()
    seg(frame[:, ::-1].copy())
    np.testing.assert_array_equal(first, kept)


def test_results_go_into_the_callers_arrays(seg, colour_frame):
    frame = colour_frame(64, 120)
    mask, overlay = np.full((64, 120), 9, np.uint8), np.zeros_like(frame)
    result = seg.process(frame, mask_out=mask, out=overlay, index=4, name="x", captured_s=1.5)
    assert result.mask is mask
    assert result.overlay_bgr is overlay
    assert (result.index, result.name, result.captured_s) == (4, "x", 1.5)
    np.testing.assert_array_equal(mask, seg(frame))
    np.testing.assert_array_equal(overlay, seg.overlay(frame))


def test_a_crop_is_a_frame(seg):
    big = np.random.default_rng(2).integers(0, 256, (90, 110, 3), np.uint8)
    for rows, columns in ((slice(5, 37), slice(7, 47)), (slice(0, 80), slice(10, 90))):
        crop = big[rows, columns]
        np.testing.assert_array_equal(seg(crop), seg(crop.copy()))


def test_stages_are_timed(seg, colour_frame):
    result = seg.process(colour_frame(64, 120))
    assert set(result.stages_ms) == {"pre", "engine", "post"}
    assert all(spent > 0 for spent in result.stages_ms.values())
    assert result.latency_ms == pytest.approx(sum(result.stages_ms.values()))
    seg.warmup(2)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), TypeError, "uint8 array .H, W, 3., BGR, got float32"),
        ([[1]], TypeError, "got list"),
        (np.zeros((8, 8), np.uint8), ValueError, r"got \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, r"got \(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, r"got \(0, 8, 3\)"),
        (np.zeros((8, 16, 3), np.uint8)[:, ::2], ValueError, "contiguous rows"),
    ],
    ids=["float", "list", "grey", "bgra", "empty", "strided"],
)
def test_wrong_frames(seg, frame, error, message):
    for call in (seg, seg.overlay, seg.logits):
        with pytest.raises(error, match=message):
            call(frame)


def test_options(tiny_model, tmp_path, tiny_onnx):
    with pytest.raises(InputError, match="alpha: expected 0 .* got 1.5"):
        Segmenter(tiny_model, alpha=1.5)
    tiny_onnx(tmp_path / "b4.onnx", batch=4)
    with pytest.raises(EngineError, match=r"b4\.onnx: takes batches of 4 frames only"):
        Segmenter(tmp_path / "b4.onnx")


def test_engine_is_closed_with_the_segmenter(tiny_model):
    engine = open_engine(tiny_model)
    with Segmenter(engine) as seg:
        assert seg.engine is engine
        assert seg.spec is engine.spec
    with pytest.raises(EngineError, match="infer after close"):
        seg(np.zeros((32, 40, 3), np.uint8))


@pytest.mark.parametrize("output", ["logits", "labels"])
def test_a_batch_gives_what_single_frames_give(tiny_onnx, tmp_path, colour_frame, output):
    from seg_edge.runtime import SourceFrame

    tiny_onnx(tmp_path / "m.onnx", output=output)
    frames = [SourceFrame(colour_frame(*size), i, f"f{i}", 1.5, i) for i, size in enumerate(((48, 64), (32, 40), (60, 33)))]
    with Segmenter(tmp_path / "m.onnx", threads=1) as seg:
        out = np.empty((32, 40, 3), np.uint8)
        results = seg.process_batch(frames, [(None, None), (None, out), (None, None)])
        for frame, result in zip(frames, results, strict=True):
            one = seg.process(frame.image_bgr)
            np.testing.assert_array_equal(result.mask, one.mask)
            np.testing.assert_array_equal(result.overlay_bgr, one.overlay_bgr)
            assert (result.index, result.name, result.captured_s, result.origin) == (
                frame.index,
                frame.name,
                1.5,
                frame.origin,
            )
            assert set(result.stages_ms) == {"pre", "engine", "post"}
        assert results[1].overlay_bgr is out
        (masks_only,) = seg.process_batch(frames[:1], [(None, None)], overlay=False)
        assert masks_only.overlay_bgr is None


@pytest.mark.parametrize(
    ("look", "on_device"),
    [
        ({}, True),
        ({"alpha": 0.2}, True),
        ({"contours": True}, False),
        ({"alpha": {"class0": 1.0}}, False),
        ({"smooth": 0.5}, False),
        ({"confidence": "margin"}, False),
    ],
)
def test_the_device_does_what_it_can_paint(tiny_model, colour_frame, monkeypatch, look, on_device):
    """A frame's whole way on the engine's device is for one opacity and single frames; the C kernels do the rest."""
    engine = open_engine(tiny_model)
    seen = []

    def way(frame, mask, overlay, mask_out, out, alpha):
        seen.append(alpha)
        return None, frame, {}

    monkeypatch.setattr(type(engine), "frame_path", lambda self: way)
    frame = colour_frame(32, 40)
    with Segmenter(engine, **look) as segmenter:
        assert (segmenter.process(frame).overlay_bgr is frame) is on_device
    assert seen == ([look.get("alpha", 0.5)] if on_device else [])
