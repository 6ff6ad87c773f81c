"""NV12 and YUYV in the resize kernel; letterboxed inputs, from the frame to the mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from seg_edge.core.spec import ModelSpec
from seg_edge.runtime import Segmenter, _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.fit import Window, letterbox

ISAS = kernels.available_isas()
RNG = np.random.default_rng(23)
CV2 = {"nv12": cv2.COLOR_YUV2BGR_NV12, "yuyv": cv2.COLOR_YUV2BGR_YUYV}


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def draw_frame(pixel_format: str, height: int, width: int) -> Any:
    return noise(height * 3 // 2, width) if pixel_format == "nv12" else noise(height, width, 2)


# ---- references ----


def planes(frame: Any, pixel_format: str) -> Any:
    """float64 (H, W, 3): y, u, v of each pixel; chroma repeated over the pixels that share it."""
    if pixel_format == "nv12":
        height, width = frame.shape[0] * 2 // 3, frame.shape[1]
        chroma = frame[height:].reshape(height // 2, width // 2, 2).repeat(2, 0).repeat(2, 1)
        return np.dstack([frame[:height], chroma]).astype(float)
    height, width, _ = frame.shape
    chroma = frame[..., 1].reshape(height, width // 2, 2).repeat(2, 1)
    return np.dstack([frame[..., 0], chroma]).astype(float)


def convert(yuv: Any) -> Any:
    """ITU-R BT.601, limited range, written from its luma weights 0.299, 0.587, 0.114; luma below black is black."""
    y, u, v = np.maximum(yuv[..., 0] - 16, 0) * 255 / 219, (yuv[..., 1] - 128) * 255 / 224, (yuv[..., 2] - 128) * 255 / 224
    red, blue = y + 2 * (1 - 0.299) * v, y + 2 * (1 - 0.114) * u
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.stack([blue, green, red], -1), 0, 255)


def box_matrix(n_in: int, n_out: int) -> Any:
    edges, pixels = np.arange(n_out + 1) * n_in / n_out, np.arange(n_in)
    inside = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(inside, 0, None) * n_out / n_in


def linear_matrix(n_in: int, n_out: int) -> Any:
    matrix, at = np.zeros((n_out, n_in)), np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    low = at.astype(int)
    np.add.at(matrix, (np.arange(n_out), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(n_out), np.minimum(low + 1, n_in - 1)), at - low)
    return matrix


def exact(frame: Any, pixel_format: str, size_hw: tuple[int, int], rule: str) -> Any:
    """float64 (h, w, 3): rows averaged, converted and clamped, columns averaged; nothing rounded."""
    yuv = planes(frame, pixel_format)
    shrinks = size_hw[0] <= yuv.shape[0] and size_hw[1] <= yuv.shape[1]
    matrix = box_matrix if rule == "area" and shrinks else linear_matrix
    rows = convert(np.einsum("yi,ijc->yjc", matrix(yuv.shape[0], size_hw[0]), yuv))
    return np.einsum("yjc,xj->yxc", rows, matrix(yuv.shape[1], size_hw[1]))


# ---- formats ----


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_known_colours(pixel_format: str) -> None:
    # (y, u, v) of limited range: black, white, grey 50 %, pure blue and pure red as BT.601 tables give them.
    for yuv, bgr in (
        ((16, 128, 128), (0, 0, 0)), ((235, 128, 128), (255, 255, 255)), ((126, 128, 128), (128, 128, 128)),
        ((41, 240, 110), (255, 0, 0)), ((81, 90, 240), (0, 0, 255)), ((0, 128, 128), (0, 0, 0)),
        ((0, 128, 240), (0, 0, 179)),
    ):  # fmt: skip
        frame = np.empty((6, 8) if pixel_format == "nv12" else (4, 8, 2), np.uint8)
        if pixel_format == "nv12":
            frame[:4], frame[4:, ::2], frame[4:, 1::2] = yuv
        else:
            frame[..., 0], frame[:, ::2, 1], frame[:, 1::2, 1] = yuv
        painted = kernels.to_bgr(frame, pixel_format)
        assert painted.shape == (4, 8, 3)
        assert np.abs(painted.astype(int) - bgr).max() <= 1, (yuv, painted[0, 0])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rule", ["area", "bilinear"])
@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_within_rounding_of_exact_arithmetic(pixel_format: str, rule: str, isa: str) -> None:
    for height, width, *size in ((36, 50, 17, 23), (36, 50, 36, 50), (2, 2, 5, 7), (90, 34, 31, 33), (24, 130, 7, 40)):
        frame = draw_frame(pixel_format, height, width)
        out = np.empty((size[0], size[1], 3), np.uint8)
        _kernels.resize(frame, out, rule, isa, 1, pixel_format)
        # As for BGR, and the conversion's 13-bit coefficients of values with 7 bits of fraction.
        error = np.abs(out - exact(frame, pixel_format, (size[0], size[1]), rule)).max()
        assert error < 0.6, (height, width, size, error)


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_the_same_size_is_opencvs_conversion(pixel_format: str) -> None:
    frame = draw_frame(pixel_format, 64, 94)
    theirs = cv2.cvtColor(frame, CV2[pixel_format])
    assert np.abs(kernels.to_bgr(frame, pixel_format).astype(int) - theirs).max() <= 2


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_a_resize_is_opencvs_conversion_and_resize(pixel_format: str) -> None:
    # Colours as cameras give them: inside the gamut, where clamping does not part the two orders.
    rgb = cv2.GaussianBlur(noise(240, 320, 3), (0, 0), 3)
    yuv = cv2.cvtColor(rgb, cv2.COLOR_BGR2YUV_I420)
    if pixel_format == "nv12":
        chroma = yuv[240:].reshape(2, 120, 160).transpose(1, 2, 0).reshape(120, 320)
        frame = np.ascontiguousarray(np.vstack([yuv[:240], chroma]))
    else:
        frame = np.ascontiguousarray(
            np.dstack([yuv[:240], yuv[240:].reshape(2, 120, 160).transpose(1, 2, 0).repeat(2, 0).reshape(240, 320)])
        )
    theirs = cv2.resize(cv2.cvtColor(frame, CV2[pixel_format]), (160, 117), interpolation=cv2.INTER_AREA)
    assert np.abs(kernels.resize(frame, (117, 160), pixel_format=pixel_format).astype(int) - theirs).max() <= 2


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_a_frame_in_wider_rows_is_taken_as_it_lies(pixel_format: str) -> None:
    """Decoders pad rows; NV12's planes then have the same stride."""
    frame = draw_frame(pixel_format, 20, 32)
    wide = noise(frame.shape[0], 40, *frame.shape[2:])
    wide[:, 4:36] = frame
    for size_hw in ((11, 13), (20, 32)):
        ours = kernels.resize(wide[:, 4:36], size_hw, pixel_format=pixel_format)
        np.testing.assert_array_equal(ours, kernels.resize(frame, size_hw, pixel_format=pixel_format))


# ---- letterbox ----


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
