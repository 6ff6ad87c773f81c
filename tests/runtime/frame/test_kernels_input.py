"""Frames of all formats in the resize kernel and the overlay."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.colours import BT601, Colours, plane_shapes, sample_type

ISAS = kernels.available_isas()
RNG = np.random.default_rng(23)
YUV = kernels.PIXEL_FORMATS[1:]
CV2 = {"nv12": cv2.COLOR_YUV2BGR_NV12, "yuyv": cv2.COLOR_YUV2BGR_YUYV}


def noise(*shape: int) -> Any:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def draw_frame(pixel_format: str, height: int, width: int) -> Any:
    return noise(height * 3 // 2, width) if pixel_format == "nv12" else noise(height, width, 2)


# ---- references ----


def samples(frame: Any, pixel_format: str) -> Any:
    """float64 (H, W, 3): y, u, v of each pixel in units of 8 bits; chroma repeated over the pixels that share it."""
    if pixel_format == "nv12" and not isinstance(frame, tuple):
        height = frame.shape[0] * 2 // 3
        frame = frame[:height], frame[height:]
    if pixel_format == "yuyv":
        y, u, v = frame[..., 0], frame[:, ::2, 1], frame[:, 1::2, 1]
    elif len(frame) == 2:
        y, u, v = frame[0], frame[1][:, ::2], frame[1][:, 1::2]
    else:
        y, u, v = frame
    down, across = -(-y.shape[0] // u.shape[0]), -(-y.shape[1] // u.shape[1])
    whole = [plane.repeat(down, 0).repeat(across, 1)[: y.shape[0], : y.shape[1]] for plane in (u, v)]
    bits = {"010": 10, "210": 10, "410": 10, "012": 12, "212": 12, "412": 12}.get(pixel_format[1:], 8)
    return np.dstack([y, *whole]).astype(float) / (64 if pixel_format == "p010" else 1) / 2 ** (bits - 8)


WEIGHTS = {
    "bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593), "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}  # fmt: skip


def convert(yuv: Any, colours: Colours = BT601, bits: int = 8) -> Any:
    """From the luma weights of the standards; ``yuv`` in units of 8 bits."""
    kr, kb = WEIGHTS[colours.matrix]
    full = 255 * 2 ** (bits - 8) / (2**bits - 1)
    black, y_gain, c_gain = (0, full, full) if colours.full_range else (16, 255 / 219, 255 / 224)
    y, u, v = (yuv[..., 0] - black) * y_gain, (yuv[..., 1] - 128) * c_gain, (yuv[..., 2] - 128) * c_gain
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
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
    """float64 (h, w, 3): pixels converted and clamped, then averaged; nothing rounded."""
    yuv = samples(frame, pixel_format)
    shrinks = size_hw[0] <= yuv.shape[0] and size_hw[1] <= yuv.shape[1]
    matrix = box_matrix if rule == "area" and shrinks else linear_matrix
    rows = np.einsum("yi,ijc->yjc", matrix(yuv.shape[0], size_hw[0]), convert(yuv))
    return np.einsum("yjc,xj->yxc", rows, matrix(yuv.shape[1], size_hw[1]))


# ---- formats ----


def draw_planes(pixel_format: str, height: int, width: int) -> Any:
    """Every code, those outside of the limited range too; P010's lower bits and the unused upper ones are noise."""
    shapes = plane_shapes(pixel_format, height, width)
    if shapes is None:
        return noise(height, width, 2)
    most = 1 << 16 if sample_type(pixel_format) is np.uint16 else 256
    return tuple(RNG.integers(0, most, shape).astype(sample_type(pixel_format)) for shape in shapes)


def only_samples(frame: Any, pixel_format: str) -> Any:
    if sample_type(pixel_format) is np.uint8:
        return frame
    bits = 12 if pixel_format.endswith("12") else 10
    mask = 0xFFC0 if pixel_format == "p010" else (1 << bits) - 1
    return tuple(plane & np.uint16(mask) for plane in frame)


def bits_of(pixel_format: str) -> int:
    return 12 if pixel_format.endswith(("012", "212", "412")) else 10 if sample_type(pixel_format) is np.uint16 else 8


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", kernels.MATRICES)
@pytest.mark.parametrize("pixel_format", YUV)
def test_a_conversion_is_exact_but_for_its_rounding(pixel_format: str, matrix: str, full_range: bool) -> None:
    colours, height, width = Colours(matrix, full_range), 34, 64 + 18  # vectors, and a remainder
    frame = draw_planes(pixel_format, height, width)
    ours = kernels.to_bgr(frame, pixel_format, colours=colours)
    wanted = convert(samples(only_samples(frame, pixel_format), pixel_format), colours, bits_of(pixel_format))
    assert np.abs(ours - wanted).max() < 0.55


@pytest.mark.parametrize("pixel_format", YUV)
def test_all_instruction_sets_agree_on_every_width(pixel_format: str) -> None:
    for width in (*range(1 if pixel_format != "yuyv" else 2, 40, 1 if pixel_format != "yuyv" else 2), 66, 130):
        frame = draw_planes(pixel_format, 5, width)
        for size in ((5, width), (3, max(width // 2, 1)), (7, width + 3)):
            outs = [np.empty((*size, 3), np.uint8) for _ in ISAS]
            for isa, out in zip(ISAS, outs, strict=True):
                _kernels.resize(frame, out, "area", isa, 1, pixel_format, "bt709", False)
            assert all((out == outs[0]).all() for out in outs), (width, size)


@pytest.mark.parametrize("pixel_format", YUV)
@pytest.mark.parametrize("size", [(17, 23), (40, 66), (4, 9), (80, 71)])
def test_a_frame_is_resized_as_its_conversion_would_be(pixel_format: str, size: tuple[int, int]) -> None:
    """So the network sees what it would see of the decoder's own BGR: bit by bit, clamped colours too."""
    frame = draw_planes(pixel_format, 76, 66)
    for rule in ("area", "bilinear", "letterbox"):
        for threads in (1, 3):
            about: Any = {"pixel_format": pixel_format, "colours": Colours("bt709", True), "threads": threads}
            bgr = kernels.to_bgr(frame, pixel_format, colours=Colours("bt709", True))
            np.testing.assert_array_equal(kernels.resize(frame, size, rule, **about), kernels.resize(bgr, size, rule))


def test_boxes_of_many_rows_are_summed_in_strips() -> None:
    for pixel_format in ("i420", "yuyv", "p010"):
        frame = draw_planes(pixel_format, 801, 2050)
        bgr = kernels.to_bgr(frame, pixel_format)
        for size in ((3, 7), (80, 700)):
            ours = kernels.resize(frame, size, pixel_format=pixel_format)
            np.testing.assert_array_equal(ours, kernels.resize(bgr, size))


@pytest.mark.parametrize("pixel_format", YUV)
def test_an_overlay_of_planes_is_that_of_their_conversion(pixel_format: str) -> None:
    frame, colours = draw_planes(pixel_format, 45, 70), Colours("bt2020")
    bgr = kernels.to_bgr(frame, pixel_format, colours=colours)
    logits, palette = RNG.normal(size=(5, 8, 10)).astype(np.float32), noise(5, 3)
    about: Any = {"pixel_format": pixel_format, "colours": colours}
    for look in ({}, {"line_palette_bgr": noise(5, 3)}, {"alpha": [0.1, 0.2, 0.3, 0.4, 0.5]}):
        mask, theirs = np.empty((45, 70), np.uint8), kernels.upsample_overlay(logits, bgr, palette, **look)  # type: ignore[arg-type]
        ours = kernels.upsample_overlay(logits, frame, palette, mask_out=mask, threads=2, **about, **look)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(
            kernels.blend(mask, frame, palette, **about, **look),
            kernels.blend(mask, bgr, palette, **look),  # type: ignore[arg-type]
        )


#: Our names → FFmpeg's.
FFMPEG = {
    "i420": "yuv420p", "i422": "yuv422p", "i444": "yuv444p", "nv12": "nv12", "yuyv": "yuyv422", "p010": "p010le",
    "i010": "yuv420p10le", "i210": "yuv422p10le", "i410": "yuv444p10le", "i012": "yuv420p12le", "i212": "yuv422p12le",
    "i412": "yuv444p12le",
}  # fmt: skip


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixel_format", YUV)
def test_within_a_level_of_ffmpegs_own_conversion(pixel_format: str, full_range: bool) -> None:
    """FFmpeg's scaler, told to be exact: without its flags it is up to 4 levels from exact arithmetic itself.

    Codes of the limited range only: beyond it, that scaler's sums overflow (bright blue becomes 0).
    """
    av = pytest.importorskip("av")
    height, width, shift = 48, 82, bits_of(pixel_format) - 8
    frame = av.VideoFrame(width, height, FFMPEG[pixel_format])
    drawn = draw_planes(pixel_format, height, width)
    planes = drawn if isinstance(drawn, tuple) else (drawn.reshape(height, 2 * width),)
    for number, (plane, target) in enumerate(zip(planes, frame.planes, strict=True)):
        plane[...] = RNG.integers(16 << shift, (235 if number == 0 else 240) << shift, plane.shape) << (
            6 if pixel_format == "p010" else 0
        )
        rows = np.ndarray((plane.shape[0], target.line_size // plane.itemsize), plane.dtype, buffer=target)
        rows[:, : plane.shape[1]] = plane
    for matrix in kernels.MATRICES:
        graph = av.filter.Graph()
        about = f"in_color_matrix={matrix}:in_range={'full' if full_range else 'limited'}"
        exactly = "flags=neighbor+accurate_rnd+full_chroma_int+full_chroma_inp"
        form = f"video_size={width}x{height}:pix_fmt={FFMPEG[pixel_format]}:time_base=1/25:colorspace=2:range=0"
        nodes = [graph.add("buffer", form), graph.add("scale", f"{exactly}:{about}"), graph.add("format", "bgr24")]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        frame.colorspace, frame.color_range = 2, 0
        graph.vpush(frame)
        shown = graph.vpull()
        theirs = np.ndarray((height, width, 3), np.uint8, buffer=shown.planes[0], strides=(shown.planes[0].line_size, 3, 1))
        ours = kernels.to_bgr(drawn, pixel_format, colours=Colours(matrix, full_range))
        assert np.abs(ours.astype(int) - theirs).max() <= 1, matrix


@pytest.mark.parametrize(
    ("frame", "pixel_format", "message"),
    [
        (noise(6, 4), "i420", "a frame of planes must be a tuple of 3 arrays (y, u, v), got numpy.ndarray"),
        ((noise(6, 4), noise(3, 4)), "i420", "a tuple of 3 arrays"),
        ((noise(6, 4), noise(3, 2), noise(3, 2)), "nv12", "a tuple of 2 arrays (y, u v)"),
        ((noise(6, 5), noise(3, 2), noise(3, 3)), "i420", "plane_u must be uint8 (rows, columns) with (H, W) = (3, 3)"),
        ((noise(6, 5), noise(3, 3), noise(3, 2)), "i420", "plane_v must be uint8 (rows, columns) with (H, W) = (3, 3)"),
        ((noise(6, 4), noise(6, 2), noise(6, 2)), "i010", "plane_y must be uint16 (H, W), got uint8 (6, 4)"),
        ((noise(6, 4), noise(3, 2), noise(3, 4)[:, :2]), "i420", "with rows as far apart as those of plane_u"),
        ((noise(6, 4), noise(3, 4)[:, ::2], noise(3, 2)), "i420", "each row contiguous"),
        ((noise(6, 4), [1], noise(3, 2)), "i420", "plane_u must be uint8 (rows, columns), got list"),
    ],
)
def test_wrong_planes_are_refused(frame: Any, pixel_format: str, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        kernels.resize(frame, (4, 4), pixel_format=pixel_format)


def test_words_lie_at_even_addresses() -> None:
    bytes_ = bytearray(2 * 24 + 2)
    at = 1 - np.frombuffer(bytes_, np.uint8).ctypes.data % 2
    odd: Any = memoryview(bytes_)[at : at + 48].cast("H", (6, 4))
    even = np.zeros((6, 4), np.uint16)
    with pytest.raises(ValueError, match="plane_y must be uint16 .* at even addresses"):
        kernels.resize((odd, even, even), (4, 4), pixel_format="i410")


def test_an_output_must_not_be_a_plane() -> None:
    base = noise(12, 12)
    planes = base, noise(6, 6), noise(6, 6)
    out = np.ndarray((2, 2, 3), np.uint8, buffer=base)
    with pytest.raises(ValueError, match="out must not overlap plane_y"):
        kernels.resize(planes, (2, 2), out=out, pixel_format="i420")


def test_an_unknown_matrix_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'bt709'"):
        Colours("bt708")
    with pytest.raises(ValueError, match="matrix must be one of MATRICES, got 'rec'"):
        _kernels.resize(draw_planes("i420", 4, 4), np.empty((4, 4, 3), np.uint8), "area", None, 1, "i420", "rec")


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_known_colours(pixel_format: str) -> None:
    # (y, u, v) of limited range: black, white, grey 50 %, pure blue and pure red as BT.601 tables give them.
    for yuv, bgr in (
        ((16, 128, 128), (0, 0, 0)), ((235, 128, 128), (255, 255, 255)), ((126, 128, 128), (128, 128, 128)),
        ((41, 240, 110), (255, 0, 0)), ((81, 90, 240), (0, 0, 255)), ((0, 128, 128), (0, 0, 0)),
        ((0, 128, 240), (0, 0, 160)), ((255, 240, 128), (255, 235, 255)),
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
        # The resize's own rounding, and that of the converted frame.
        error = np.abs(out - exact(frame, pixel_format, (size[0], size[1]), rule)).max()
        assert error < 1, (height, width, size, error)


@pytest.mark.parametrize("pixel_format", ["nv12", "yuyv"])
def test_the_same_size_is_opencvs_conversion(pixel_format: str) -> None:
    frame = draw_frame(pixel_format, 64, 94)
    luma = frame[:64] if pixel_format == "nv12" else frame[..., 0]
    np.maximum(luma, 16, out=luma)  # OpenCV takes luma below black for black
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
