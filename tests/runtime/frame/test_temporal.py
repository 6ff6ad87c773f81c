"""Smoothing over time and the measure of flicker, on numbers that can be checked by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime import Segmenter
from seg_edge.runtime.frame.temporal import AdaptiveSmoother, FlickerMeter, LogitsSmoother, make_smoother

RNG = np.random.default_rng(29)


# ---- smoothing ----


def test_the_mean_by_hand() -> None:
    smoother = LogitsSmoother(0.25)
    means = [smoother(np.full((1, 1, 2), value, np.float32))[0, 0, 0] for value in (8, 0, 4)]
    assert means == [8, 6, 5.5]
    smoother.reset()
    assert smoother(np.full((1, 1, 2), 3, np.float32)).tolist() == [[[3, 3]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint8])
def test_the_mean_is_the_recursion_in_float32(dtype: Any) -> None:
    frames = [(RNG.normal(size=(4, 6, 7)) * 40 + 60).clip(0, 120).astype(dtype) for _ in range(6)]
    smoother, kept, new = LogitsSmoother(0.3), np.float32(1 - 0.3), np.float32(0.3)
    state = frames[0].astype(np.float32)
    np.testing.assert_array_equal(smoother(frames[0]), state)
    for frame in frames[1:]:
        state = kept * state + frame.astype(np.float32) * new
        ours = smoother(frame)
        assert ours.dtype == np.float32
        assert ours.flags.c_contiguous
        np.testing.assert_array_equal(ours, state)


def test_a_weight_of_1_changes_nothing_and_inputs_stay_as_they_are() -> None:
    smoother = LogitsSmoother(1)
    for _ in range(3):
        frame = RNG.normal(size=(3, 4, 5)).astype(np.float32)
        before = frame.copy()
        np.testing.assert_array_equal(smoother(frame), before)
        np.testing.assert_array_equal(frame, before)


def test_what_is_not_finite_does_not_stay() -> None:
    smoother, bad = LogitsSmoother(0.5), np.ones((1, 2, 2), np.float32)
    bad[0, 0] = np.nan, np.inf
    smoother(np.ones((1, 2, 2), np.float32))
    np.testing.assert_array_equal(smoother(bad), bad)
    after = smoother(np.full((1, 2, 2), 2, np.float32))
    assert after.tolist() == [[[2, 2], [1.5, 1.5]]]


def test_another_shape_begins_anew() -> None:
    smoother = LogitsSmoother(0.5)
    smoother(np.zeros((1, 2, 2), np.float32))
    assert (smoother(np.ones((1, 2, 3), np.float32)) == 1).all()


def test_refusals() -> None:
    for weight in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="smooth: expected the new frame's share"):
            LogitsSmoother(weight)
    with pytest.raises(TypeError, match=r"got float64; use logits_chw.astype\(np.float32\)"):
        LogitsSmoother(0.5)(np.zeros((1, 2, 2)))


# ---- adaptive ----


def probabilities(*columns: tuple[float, ...]) -> Any:
    """Logits, float32 (C, 1, N), whose softmax are these columns."""
    return np.log(np.array(columns, np.float32).T[:, None, :])


def test_what_wavers_is_smoothed_and_what_changes_is_followed() -> None:
    smoother = AdaptiveSmoother()
    smoother(probabilities((0.6, 0.4), (0.9, 0.1)))
    mean = np.exp(smoother(probabilities((0.4, 0.6), (0.1, 0.9))))
    np.testing.assert_allclose(mean[0, 0], [0.6 - 0.05 * 0.2, 0.1], atol=1e-6)  # a difference of 0.2, and one of 0.8


def test_between_the_weight_rises() -> None:
    smoother = AdaptiveSmoother()
    smoother(probabilities((0.75, 0.25)))
    np.testing.assert_allclose(np.exp(smoother(probabilities((0.25, 0.75))))[0, 0], [0.75 - 0.5 * 0.525], atol=1e-6)


def test_at_rest_the_first_frames_are_a_plain_mean() -> None:
    smoother = AdaptiveSmoother(resting=True)
    shown = [np.exp(smoother(probabilities((p, 1 - p))))[0, 0, 0] for p in (0.6, 0.5, 0.4, 0.5)]
    np.testing.assert_allclose(shown, [0.6, 0.55, 0.5, 0.5], rtol=1e-5)
    # The fifth: weight 1 / 5 and what a difference of 0.45 adds.
    assert np.exp(smoother(probabilities((0.95, 0.05))))[0, 0, 0] == pytest.approx(0.5 + 0.5 * 0.45, rel=1e-5)


def test_wavering_never_flips_a_class_and_a_lasting_change_does() -> None:
    smoother = AdaptiveSmoother()
    smoother(probabilities((0.55, 0.45)))
    wavering = [smoother(probabilities((p, 1 - p))).argmax(0)[0, 0] for p in (0.45, 0.55) * 20]
    assert set(wavering) == {0}
    lasting = [smoother(probabilities((0.4, 0.6))).argmax(0)[0, 0] for _ in range(60)]
    assert lasting[-1] == 1


def test_what_is_not_finite_keeps_its_state() -> None:
    smoother = AdaptiveSmoother()
    first = smoother(probabilities((0.8, 0.2), (0.3, 0.7)))
    broken = probabilities((0.1, 0.9), (0.3, 0.7))
    broken[0, 0, 0] = np.nan
    np.testing.assert_allclose(smoother(broken), first, atol=1e-6)
    smoother.reset()
    assert np.isfinite(smoother(broken)).all()


def test_adaptive_takes_no_codes_and_other_words_are_refused() -> None:
    with pytest.raises(TypeError, match="must be float32 or float16, got int8"):
        AdaptiveSmoother()(np.zeros((2, 1, 1), np.int8))
    assert isinstance(make_smoother(0.5), LogitsSmoother)
    with pytest.raises(InputError, match="`smooth`: expected adaptive, or the new frame's share"):
        make_smoother("adaptiv")


# ---- flicker ----


def masks(*rows: str) -> list[Any]:
    return [np.array([[int(c) for c in row]], np.uint8) for row in rows]


def test_flicker_without_truth_is_every_change() -> None:
    meter = FlickerMeter()
    assert meter.flicker is None
    assert [meter.update(mask) for mask in masks("0011", "0111", "0111", "1000")] == [None, 0.25, 0, 1]
    assert meter.flicker == pytest.approx(1.25 / 3)
    assert meter.per_frame == (0.25, 0, 1)


def test_flicker_with_truth_forgives_what_the_scene_changes() -> None:
    meter = FlickerMeter(classes=3)
    predicted = masks("00112", "01102", "01112")
    truth = masks("00119", "01119", "01119")  # the last pixel is void
    shares = [meter.update(p, t) for p, t in zip(predicted, truth, strict=True)]
    # Frame 2: pixel 1 changed in truth too; pixels 0, 2, 3 stayed, and pixel 3 flickered. Frame 3: it flickered back.
    assert shares == [None, pytest.approx(1 / 3), pytest.approx(1 / 4)]


def test_a_cut_and_another_size_are_no_flicker() -> None:
    meter = FlickerMeter()
    meter.update(masks("00")[0])
    meter.cut()
    assert meter.update(masks("11")[0]) is None
    assert meter.update(masks("111")[0]) is None
    assert meter.update(masks("111")[0]) == 0
    with pytest.raises(ValueError, match=r"mask \(1, 2\) and truth \(1, 3\) must have one shape"):
        meter.update(masks("00")[0], masks("000")[0])


def test_a_mask_that_is_reused_by_the_caller_is_seen_to_change() -> None:
    meter, mask = FlickerMeter(), np.zeros((2, 2), np.uint8)
    meter.update(mask)
    mask[0, 0] = 1
    assert meter.update(mask) == 0.25


# ---- in a segmenter ----


def test_a_smoothed_segmenter_flickers_less(tiny_model: Path) -> None:
    """A grey picture with noise of its own in every frame: what the network says flips without a reason."""
    frames = [np.clip(RNG.normal(128, 40, (32, 40, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    flicker = {}
    for smooth in (None, 0.2):
        meter = FlickerMeter()
        with Segmenter(tiny_model, smooth=smooth) as seg:
            for frame in frames:
                meter.update(seg(frame))
        flicker[smooth] = meter.flicker
    assert flicker[None] is not None
    assert flicker[0.2] is not None
    assert flicker[0.2] < 0.6 * flicker[None]


def test_a_segmenter_forgets_on_reset_and_after_its_warm_up(tiny_model: Path) -> None:
    frame, other = (RNG.integers(0, 256, (32, 40, 3), np.uint8) for _ in range(2))
    with Segmenter(tiny_model) as plain, Segmenter(tiny_model, smooth=0.1) as seg:
        expected = plain(frame)
        seg.warmup()
        np.testing.assert_array_equal(seg(frame), expected)
        assert (seg(other) != plain(other)).any()
        seg.reset()
        np.testing.assert_array_equal(seg(frame), expected)


def test_a_model_without_logits_cannot_be_smoothed(tiny_onnx: Any, tmp_path: Path) -> None:
    tiny_onnx(tmp_path / "labels.onnx", output="labels")
    with pytest.raises(InputError, match="gives no logits; export it with `head='logits'`"):
        Segmenter(tmp_path / "labels.onnx", smooth=0.5)
