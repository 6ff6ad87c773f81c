"""Letterboxed inputs, from the frame to the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import Segmenter, _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.fit import Window, letterbox

ISAS = kernels.available_isas()
RNG = np.random.default_rng(23)


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def draw_frame(pixel_format: str, height: int, width: int) -> Any:
    return noise(height * 3 // 2, width) if pixel_format == "nv12" else noise(height, width, 2)


@pytest.mark.parametrize(
    ("frame_hw", "size_hw", "window"),
    [
        ((720, 1280), (352, 480), Window(41, 0, 270, 480, 352, 480)),
        ((1280, 720), (352, 480), Window(0, 141, 352, 198, 352, 480)),
        ((352, 480), (352, 480), Window(0, 0, 352, 480, 352, 480)),
        ((10, 10), (32, 64), Window(0, 16, 32, 32, 32, 64)),
        ((1, 1000), (32, 40), Window(15, 0, 1, 40, 32, 40)),
    ],
)
def test_letterbox(frame_hw: tuple[int, int], size_hw: tuple[int, int], window: Window) -> None:
    assert letterbox(frame_hw, size_hw) == window


def test_a_letterboxed_frame_is_the_resized_one_on_grey() -> None:
    for frame, pixel_format in (
        (noise(40, 90, 3), "bgr"),
        (draw_frame("nv12", 40, 90), "nv12"),
        (draw_frame("yuyv", 90, 40), "yuyv"),
    ):
        window = letterbox(kernels.frame_hw(frame, pixel_format), (32, 40))
        out = noise(32, 40, 3)  # what it held before must not show
        kernels.resize(frame, (32, 40), "letterbox", out, pixel_format=pixel_format)
        inner = kernels.resize(frame, window[2:4], "area", pixel_format=pixel_format)
        np.testing.assert_array_equal(out[window.slices], inner)
        out[window.slices] = kernels.LETTERBOX_GREY
        assert (out == kernels.LETTERBOX_GREY).all()


def test_a_window_of_everything_is_no_window() -> None:
    logits = RNG.normal(size=(5, 8, 10)).astype(np.float32)
    for of_height, of_width in ((32, 40), (8, 10), (31, 7)):
        window = Window(0, 0, of_height, of_width, of_height, of_width)
        ours = kernels.upsample_argmax(logits, (61, 97), window=window)
        assert (ours == kernels.upsample_argmax(logits, (61, 97))).mean() > 0.999  # weights may round otherwise


@pytest.mark.parametrize("isa", ISAS)
def test_a_window_shows_its_part_of_the_whole(isa: str) -> None:
    """Twice as large as the input, the window's picture is cut out of that of the whole input."""
    logits = np.ascontiguousarray(RNG.normal(size=(5, 8, 10)), np.float32)
    whole = kernels.upsample_argmax(logits, (64, 80))
    for top, left, height, width in ((5, 0, 21, 40), (0, 13, 32, 9), (31, 39, 1, 1)):
        mask = np.empty((2 * height, 2 * width), np.uint8)
        _kernels.upsample_argmax(logits, mask, isa, 1, Window(top, left, height, width, 32, 40))
        np.testing.assert_array_equal(mask, whole[2 * top : 2 * (top + height), 2 * left : 2 * (left + width)])


@pytest.mark.parametrize("output", ["logits", "labels"])
def test_a_letterboxed_model_sees_the_frame_in_its_proportions(tiny_onnx: Any, tmp_path: Path, output: str) -> None:
    """A square picture of three bands through a 32 x 40 network: the mask has the bands where the frame has them."""
    path = tmp_path / "model.onnx"
    tiny_onnx(path, input_hw=(32, 40), resize="letterbox", output=output)
    frame = np.zeros((96, 96, 3), np.uint8)
    for channel in range(3):
        frame[:, 32 * channel : 32 * (channel + 1), channel] = 255
    expected = np.arange(3).repeat(32)
    with Segmenter(path) as seg:
        assert seg.spec.resize == "letterbox"
        result = seg.process(frame)
        assert result.mask is not None
        wrong = result.mask != expected
        # Borders may move by less than half a cell of the network's output; stretched back from all 40 columns, they
        # would move by 10 pixels and more.
        assert not wrong[:, 6:26].any()
        assert not wrong[:, 38:58].any()
        assert not wrong[:, 70:90].any()
        np.testing.assert_array_equal(seg(frame), result.mask)
        blended = kernels.blend(result.mask, frame, seg.labels.palette_bgr, 0.5)
        np.testing.assert_array_equal(result.overlay_bgr, blended)


def test_letterbox_travels_in_the_spec(tiny_onnx: Any, tmp_path: Path) -> None:
    spec = tiny_onnx(tmp_path / "model.onnx", resize="letterbox")
    assert ModelSpec.from_json(spec.to_json()) == spec
    assert '"resize": "letterbox"' in spec.to_json()
