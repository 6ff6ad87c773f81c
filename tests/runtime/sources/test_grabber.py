"""A camera's own pixel format, from OpenCV through the grabber's process to the pipeline.

No test machine has a camera: a module ``cv2`` that the grabber finds first stands for OpenCV's V4L2 backend, with what that
returns for ``CAP_PROP_CONVERT_RGB = 0`` (cap_v4l.cpp): YUYV (H, W, 2), NV12 (3*H/2, W). Everything behind it is real.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time

import numpy as np
import pytest

from seg_edge.runtime.frame.colours import MATRICES, PIXEL_FORMATS, frame_bytes, frame_of, plane_shapes, sample_type
from seg_edge.runtime.frame.kernels import to_bgr
from seg_edge.runtime.sources import grabber
from seg_edge.runtime.sources.feed import FeedLost, GrabberFeed, Wake


def test_the_grabbers_lists_are_the_kernels() -> None:
    """It can't import them: it starts without the package."""
    assert grabber.FORMATS == PIXEL_FORMATS
    assert grabber.MATRICES == MATRICES
    for pixel_format in ("bgr", "nv12", "yuyv"):
        assert np.prod(grabber.shape(pixel_format, 6, 4)) == frame_bytes(pixel_format, 6, 4)


@pytest.mark.parametrize(
    ("colorspace", "encoding", "quantization", "colours"),
    [
        (8, 0, 0, ("bt601", False)),  # sRGB, as most webcams say
        (3, 0, 0, ("bt709", False)),
        (7, 0, 0, ("bt601", True)),  # JPEG
        (7, 0, 2, ("bt601", False)),
        (8, 2, 1, ("bt709", True)),
        (10, 0, 2, ("bt2020", False)),
        (2, 0, 0, ("smpte240m", False)),
    ],
)
def test_what_a_driver_says_about_colours(colorspace, encoding, quantization, colours):
    """struct v4l2_format: type, then at 8 width, height, pixelformat, field, bytesperline, sizeimage, colorspace, priv,
    flags, ycbcr_enc, quantization, xfer_func."""
    fields = (640, 480, 0x56595559, 1, 1280, 614400, colorspace, 0, 0, encoding, quantization, 0)
    answer = struct.pack("=I4x12I", 1, *fields).ljust(208, b"\0")
    assert grabber.stated_colours(answer) == colours
    assert grabber.camera_colours("/dev/null") == grabber.camera_colours("/nonexistent") == ("bt601", False)


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_frames_of_all_formats_pass_the_pipe(pixel_format) -> None:
    """Odd sides too; planes with padded rows were made contiguous before."""
    height, width = (5, 7) if pixel_format not in ("yuyv",) else (5, 8)
    shapes = plane_shapes(pixel_format, height, width)
    rng = np.random.default_rng(4)
    parts = [
        rng.integers(0, 256, shape).astype(sample_type(pixel_format))
        for shape in (shapes or [grabber.shape(pixel_format, height, width)])
    ]
    read, write = os.pipe()
    try:
        grabber.send(write, grabber.FRAME, parts, (height, width), 1.5, pixel_format, 2.5, 3, "bt2020", True)
        head = grabber.HEADER.unpack(os.read(read, grabber.HEADER.size))
        body = np.frombuffer(os.read(read, 4096), np.uint8)
    finally:
        os.close(read)
        os.close(write)
    assert (PIXEL_FORMATS[head[2]], MATRICES[head[3]], *head[4:]) == (
        pixel_format, "bt2020", 1, height, width, 1.5, 2.5, 3, frame_bytes(pixel_format, height, width),
    )  # fmt: skip
    image = frame_of(body, pixel_format, height, width)
    assert len(body) == head[-1]
    for ours, theirs in zip(image if isinstance(image, tuple) else [image], parts, strict=True):
        np.testing.assert_array_equal(ours, theirs)


pytestmark = pytest.mark.usefixtures("nothing_left")

CAMERA = """
import numpy as np
CAP_V4L2, CAP_PROP_FOURCC, CAP_PROP_FRAME_WIDTH, CAP_PROP_FRAME_HEIGHT = 200, 6, 3, 4
CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, CAP_PROP_CONVERT_RGB = 5, 7, 16
RAW, FOURCC, WIDTH, HEIGHT = {raw!r}, {fourcc!r}, {width}, {height}

class VideoCapture:
    def __init__(self, address, backend, parameters):
        self.values = {{6: sum(ord(c) << 8 * i for i, c in enumerate(FOURCC)), 3: WIDTH, 4: HEIGHT, 5: 30, 16: 1}}
        self.count = 0
    def isOpened(self):
        return True
    def set(self, name, value):
        self.values[name] = value
        return True
    def get(self, name):
        return self.values.get(name, 0)
    def read(self, image=None):
        self.count += 1
        if self.count > 4:
            return False, None
        if self.values[16]:
            return True, np.full((HEIGHT, WIDTH, 3), self.count, np.uint8)
        return True, np.arange(np.prod(RAW), dtype=np.uint8).reshape(RAW) + np.uint8(self.count)
    def release(self):
        pass
"""


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """A function: a camera → its four frames."""
    wake = Wake()

    def frames(raw, fourcc, width, height, *, ask=True):
        (tmp_path / "cv2.py").write_text(CAMERA.format(raw=raw, fourcc=fourcc, width=width, height=height))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        feed = GrabberFeed(0, "CAP_V4L2", wake, raw=ask)
        try:
            until_s = time.perf_counter() + 20
            about = feed.opened(until_s)
            assert (about.size_wh, about.fourcc) == ((width, height), fourcc)
            found = []
            with contextlib.suppress(FeedLost):  # it ends, after three or four: the first one may show what the camera has
                while True:
                    found.append(feed.next(until_s))
            assert len(found) >= 3
            return found
        finally:
            feed.close()

    yield frames
    wake.close()


@pytest.mark.parametrize(
    ("raw", "fourcc", "ours"), [((4, 6, 2), "YUYV", "yuyv"), ((6, 6), "NV12", "nv12"), ((6, 6, 1), "NV12", "nv12")]
)
def test_frames_come_as_the_camera_has_them(frames, raw, fourcc, ours):
    shape = raw[:2] if ours == "nv12" else raw
    for i, picture in enumerate(frames(raw, fourcc, 6, 4)):
        assert picture.pixel_format == ours
        expected = np.arange(np.prod(raw), dtype=np.uint8).reshape(shape) + np.uint8(i + 1)
        np.testing.assert_array_equal(picture.image, expected)
        assert to_bgr(picture.image, ours).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("raw", "fourcc", "width", "height"),
    [((1, 77), "MJPG", 6, 4), ((4, 8, 2), "YUYV", 6, 4), ((7, 6), "NV12", 6, 5), ((4, 5, 2), "YUYV", 5, 4)],
    ids=["another format", "padded rows", "odd height", "odd width"],
)
def test_what_can_not_be_read_as_it_is_opencv_converts(frames, raw, fourcc, width, height):
    for picture in frames(raw, fourcc, width, height):
        assert (picture.pixel_format, picture.image.shape) == ("bgr", (height, width, 3))
        assert picture.image.min() == picture.image.max() > 0


def test_streams_are_decoded_to_bgr(frames):
    assert {picture.pixel_format for picture in frames((4, 6, 2), "YUYV", 6, 4, ask=False)} == {"bgr"}
