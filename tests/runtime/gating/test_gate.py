"""The gate: which frames are computed, and what the others show."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime import Segmenter, _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.temporal import AdaptiveSmoother
from seg_edge.runtime.gating.gate import Gate, Work, square_means
from seg_edge.runtime.sources.base import SourceFrame

RNG = np.random.default_rng(2)
SIZE = ((96, 128, 3), "bgr")


@pytest.mark.parametrize("isa", kernels.available_isas())
def test_squares_are_numpys(isa):
    for h, w in ((1, 1), (16, 16), (17, 33), (40, 50), (31, 15), (64, 129)):
        a, b = RNG.integers(0, 256, (2, h, w, 3), np.uint8)
        sums = np.full((-(-h // 16), -(-w // 16)), 7, np.uint32)
        _kernels.square_differences(a, b, sums, isa)
        difference = np.abs(a.astype(int) - b).sum(2)
        expected = [[difference[y : y + 16, x : x + 16].sum() for x in range(0, w, 16)] for y in range(0, h, 16)]
        np.testing.assert_array_equal(sums, expected)
        means = square_means(a, b)
        assert means[-1, -1] == pytest.approx(difference[(h - 1) // 16 * 16 :, (w - 1) // 16 * 16 :].mean() / 3, rel=1e-6)


def test_squares_refuse_other_shapes():
    a = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(ValueError, match=r"out must be uint32 \(rows, columns\) with \(H, W\) = \(2, 2\)"):
        _kernels.square_differences(a, a.copy(), np.zeros((1, 2), np.uint32))
    with pytest.raises(ValueError, match="the size of a"):
        _kernels.square_differences(a, a[:10].copy(), np.zeros((2, 2), np.uint32))


def noisy(scene, sigma=3.0):
    return np.clip(scene + RNG.normal(0, sigma, scene.shape), 0, 255).astype(np.uint8)


def scene():
    return RNG.integers(30, 220, (6, 8, 3)).repeat(16, 0).repeat(16, 1).astype(np.float32)


def computed(gate, frames, fps=25.0):
    return [number for number, frame in enumerate(frames) if gate.work(frame, number / fps, SIZE)]


def works(gate, frames):
    return "".join(gate.work(frame, number / 25, SIZE).name[:3] for number, frame in enumerate(frames))


def test_noise_is_not_motion_and_a_small_object_is():
    still = scene()
    frames = [noisy(still) for _ in range(120)]
    for number in range(80, 90):  # 8x8 pixels of 640 in a square of its own, 40 levels brighter
        moved = still.copy()
        moved[40:48, 4 * (number - 80) + 20 : 4 * (number - 80) + 28] += 40
        frames[number] = noisy(moved)
    # 9 frames calibrate, 8 are averaged at rest. Motion is looked for at 88, 90 and 94: the frames between are computed.
    assert computed(Gate(60), frames) == [*range(17), *range(80, 102)]


def test_slow_changes_add_up():
    still = scene()
    frames = [noisy(still + 0.05 * number, 0.5) for number in range(200)]
    found = works(Gate(60), frames)
    moved = [number for number in range(200) if found[3 * number : 3 * number + 3] == "MOV"]
    assert 12 < len(moved) < 60
    assert max(np.diff(moved)) < 50  # two and a half grey levels at most


def test_something_is_computed_every_few_seconds():
    assert computed(Gate(1.0), [scene().astype(np.uint8)] * 110, fps=32.0) == [*range(17), 48, 80]


def test_frames_at_rest_are_computed_some_times_and_then_repeated():
    still, other = scene().astype(np.uint8), scene().astype(np.uint8)
    assert works(Gate(60), [still] * 20 + [other] * 12) == 9 * "MOV" + 8 * "RES" + 3 * "REP" + "MOV" + 8 * "RES" + 3 * "REP"


def test_a_camera_that_moves_is_compared_now_and_then(monkeypatch):
    frames = [np.roll(scene(), 5 * number, 1).astype(np.uint8) for number in range(100)]
    compared = []
    differs = Gate._differs
    monkeypatch.setattr(Gate, "_differs", lambda self, *rest: compared.append(1) or differs(self, *rest))
    gate = Gate(60)
    assert works(gate, frames) == 100 * "MOV"
    assert len(compared) < 30
    del compared[:]
    # At most seven more are computed when it stops, then those at rest.
    assert works(gate, [frames[-1]] * 30).rstrip("REP").count("MOV") <= 7


def test_another_size_and_another_source_are_computed():
    gate, frame = Gate(60), np.zeros((96, 128, 3), np.uint8)
    for number in range(20):
        gate.work(frame, number / 25, SIZE)
    assert gate.work(frame, 0.8, SIZE) == Work.REPEAT
    assert gate.work(frame, 0.8, ((48, 64, 3), "bgr")) == Work.MOVED
    assert gate.work(frame, 0.8, SIZE, origin=1) == Work.MOVED
    gate.reset()
    assert gate.work(frame, 0.8, SIZE) == Work.MOVED


def test_motion_during_calibration_does_not_pass_for_noise():
    still = scene()
    frames = []
    for number in range(60):
        moved = still.copy()
        moved[32:48, 16 + 4 * (number % 8) : 32 + 4 * (number % 8)] += 60  # never stands still
        frames.append(noisy(moved))
    assert computed(Gate(60), frames) == list(range(60))


def test_seconds():
    with pytest.raises(InputError, match="`gate`: expected seconds above 0 between computations, got 0"):
        Gate(0)


@pytest.mark.parametrize("output", ["logits", "labels"])
def test_repeated_frames_show_the_last_mask_over_their_own_picture(tiny_onnx, tmp_path, output):
    tiny_onnx(tmp_path / "m.onnx", output=output)
    red, blue = (np.full((48, 64, 3), colour, np.uint8) for colour in ((0, 0, 200), (200, 0, 0)))
    with Segmenter(tmp_path / "m.onnx", gate=60, areas=True) as gated, Segmenter(tmp_path / "m.onnx", areas=True) as plain:
        for frames in ([red] * 20, [blue]):
            for frame in frames:
                found, expected = (seg.process(frame, time_s=0.0) for seg in (gated, plain))
                np.testing.assert_array_equal(found.mask, expected.mask)
                np.testing.assert_array_equal(found.overlay_bgr, expected.overlay_bgr)
                assert found.areas.to_dict() == expected.areas.to_dict()
                assert expected.computed
            last = found.computed
            assert last is (frame is blue)
        assert "engine" in found.stages_ms
        gated.process(blue, mask=False, overlay=False, time_s=0.0)
        out = np.zeros((48, 64), np.uint8)
        for _ in range(17):
            repeated = gated.process(blue, mask_out=out, overlay=False, time_s=0.0)
        assert not repeated.computed
        assert "engine" not in repeated.stages_ms
        assert repeated.mask is out
        assert out.max() == 0


def test_in_flight_and_in_batches(tiny_model):
    red, blue = (np.full((48, 64, 3), colour, np.uint8) for colour in ((0, 0, 200), (200, 0, 0)))

    def frame(image, origin):
        return SourceFrame(image, 0, "", 0.0, origin=origin, time_s=0.0)

    with Segmenter(tiny_model, "onnxruntime", gate=60) as seg:
        for _ in range(20):
            results = seg.process_batch([frame(red, 0), frame(blue, 1)], [(None, None)] * 2, overlay=False)
        assert [result.computed for result in results] == [False, False]
        assert [result.mask.max() for result in results] == [2, 0]
        results = seg.process_batch([frame(red, 0), frame(red, 1)], [(None, None)] * 2, overlay=False)
        assert [result.computed for result in results] == [False, True]
        assert [result.mask.max() for result in results] == [2, 2]


def test_what_is_repeated_is_the_mean_of_the_frames_at_rest(tiny_model):
    still = scene()[:48, :64]
    frames = [noisy(still) for _ in range(20)]
    with Segmenter(tiny_model, "onnxruntime", gate=60) as gated, Segmenter(tiny_model, "onnxruntime") as plain:
        results = [gated.process(frame, overlay=False, time_s=0.0) for frame in frames]
        assert [result.computed for result in results] == 17 * [True] + 3 * [False]
        mean = AdaptiveSmoother(resting=True)
        for number, frame in enumerate(frames[:17]):
            logits = plain.logits(frame)
            shown = mean(logits) if number >= 9 else logits
            np.testing.assert_array_equal(results[number].mask, kernels.upsample_argmax(shown, (48, 64)))
        np.testing.assert_array_equal(results[-1].mask, results[16].mask)
