"""GStreamer pipelines through a pipe of raw frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SourceError
from seg_edge.runtime import open_source
from seg_edge.runtime.frame.colours import Colours
from seg_edge.runtime.sources.gst import csi_pipeline
from seg_edge.runtime.sources.gst_stream import FORMATS
from seg_edge.runtime.sources.options import CameraOptions

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(autouse=True)
def _gst(need_element):
    need_element("videotestsrc")


@pytest.mark.parametrize("width", [64, 65, 66])  # GStreamer pads rows to four bytes
def test_frames_are_whole(width):
    blue = "pattern=solid-color foreground-color=0xff1020f0"
    text = f"gst://videotestsrc {blue} is-live=true ! video/x-raw,format=BGR,width={width},height=3,framerate=50/1"
    with open_source(text) as source:
        assert source.live
        assert source.fps == pytest.approx(50)
        frame = next(iter(source))
    assert frame.image_bgr.shape == (3, width, 3)
    assert frame.image_bgr.strides[1:] == (3, 1)  # what the kernels need; the bytes between the rows stay where they are
    assert (frame.image_bgr == (0xF0, 0x20, 0x10)).all()


def test_a_pipeline_that_ends_is_started_again():
    with open_source("gst://videotestsrc num-buffers=3 ! video/x-raw,width=8,height=4") as source:
        frames = iter(source)
        assert [next(frames).index for _ in range(5)] == [0, 1, 2, 3, 4]
        assert source.reconnects == 1


@pytest.mark.parametrize("size", [(64, 48), (66, 50), (1280, 720)])  # one packet, padded rows, many packets
@pytest.mark.parametrize(("format", "ours"), FORMATS.items())
def test_what_cameras_deliver_comes_as_it_is(format, ours, size):
    """Above 576 rows GStreamer's colours without a name are BT.709."""
    width, height = size
    caps = f"video/x-raw,format={format},width={width},height={height},framerate=50/1"
    with open_source(f"gst://videotestsrc pattern=red ! {caps}") as source:
        frame = next(iter(source))
    assert (frame.pixel_format, frame.size_hw) == (ours, (height, width))
    if ours != "bgr":
        assert frame.colours == Colours("bt709" if height > 576 else "bt601")
    assert frame.image_bgr is frame.image_bgr  # converted once
    assert abs(frame.image_bgr.astype(int) - (0, 0, 255)).max() <= 2


@pytest.mark.parametrize(
    ("colorimetry", "colours"),
    [
        ("bt709", Colours("bt709")),
        ("bt601", Colours("bt601")),
        ("bt2020", Colours("bt2020")),
        ("smpte240m", Colours("smpte240m")),
        ("1:4:7:1", Colours("bt601", True)),
        ("1:3:5:1", Colours("bt709", True)),
    ],
)
@pytest.mark.parametrize("format", ["NV12", "YUY2", "I420"])
def test_colours_are_those_of_the_stream(format, colorimetry, colours):
    """A wrong matrix would be off by ten levels and more."""
    drawn = "videotestsrc pattern=solid-color foreground-color=0xffb02040"
    caps = f"video/x-raw,format={format},colorimetry={colorimetry},width=64,height=48,framerate=50/1"
    with open_source(f"gst://{drawn} ! {caps}") as source:
        frame = next(iter(source))
    assert frame.colours == colours
    if colorimetry in ("bt601", "bt709"):  # videotestsrc draws in these two, whatever it is asked for
        assert abs(frame.image_bgr.astype(int) - (0x40, 0x20, 0xB0)).max() <= 3


def exact(y: float, u: float, v: float, red: float, blue: float, full: bool) -> list[float]:
    """Blue, green and red of a pixel, by the shares of red and blue in the luma (ITU-R BT.601, BT.709, BT.2020)."""
    luma = y / 255 if full else (y - 16) / 219
    cb, cr = (u - 128) / (255 if full else 224), (v - 128) / (255 if full else 224)
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return [255 * b, 255 * (luma - red * r - blue * b) / (1 - red - blue), 255 * r]


@pytest.mark.parametrize(
    ("colorimetry", "red", "blue", "full"),
    [
        ("bt601", 0.299, 0.114, False),
        ("bt709", 0.2126, 0.0722, False),
        ("bt2020", 0.2627, 0.0593, False),
        ("smpte240m", 0.212, 0.087, False),
        ("1:4:7:1", 0.299, 0.114, True),
        ("1:3:5:1", 0.2126, 0.0722, True),
    ],
)
@pytest.mark.parametrize("format", ["NV12", "YUY2", "I420"])
def test_pixels_are_converted_as_the_stream_says_within_a_level(format, colorimetry, red, blue, full):
    """GStreamer's own videoconvert is no measure: it makes 229 of luma 215, which is 231.7."""
    drawn = "videotestsrc pattern=solid-color foreground-color=0xff507868"
    caps = f"video/x-raw,format={format},colorimetry={colorimetry},width=64,height=48,framerate=50/1"
    with open_source(f"gst://{drawn} ! {caps}") as source:
        frame = next(iter(source))
    if format == "NV12":
        y, (u, v) = frame.image[0, 0], frame.image[48, :2]
    elif format == "YUY2":
        y, u, v = frame.image[0, 0, 0], frame.image[0, 0, 1], frame.image[0, 1, 1]
    else:
        y, u, v = (plane[0, 0] for plane in frame.image)
    expected = exact(float(y), float(u), float(v), red, blue, full)
    assert abs(frame.image_bgr - np.array(expected)).max() <= 1


def test_odd_sides_are_converted():
    with open_source("gst://videotestsrc pattern=red ! video/x-raw,format=NV12,width=65,height=47,framerate=50/1") as source:
        frame = next(iter(source))
    assert frame.pixel_format == "bgr"
    assert abs(frame.image_bgr.astype(int) - (0, 0, 255)).max() <= 3


def test_colours_without_a_matrix_here_are_refused():
    with pytest.raises(SourceError, match="colours 1:1:7:1, which can't be converted here; end the pipeline with"):
        open_source("gst://videotestsrc ! video/x-raw,format=NV12,colorimetry=1:1:7:1,width=64,height=48")


@pytest.mark.parametrize("format", ["BGR", "NV12"])
def test_no_frame_is_mixed_where_the_size_changes(need_element, tmp_path, format):
    """The first pictures are dark and large, the later ones bright and small, over and over, as fast as they can."""
    need_element("multifilesrc", "pngdec")
    for i in range(8):
        height, width = (48, 64) if i < 4 else (24, 32)
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((height, width, 3), 40 if i < 4 else 200, np.uint8))
    pictures = f'multifilesrc location="{tmp_path}/%d.png" loop=true caps=image/png,framerate=20/1 ! pngdec ! videoconvert'
    with open_source(f"gst://{pictures} ! video/x-raw,format={format}") as source:
        seen = []
        for frame in source:
            assert frame.image_bgr.max() == frame.image_bgr.min()
            seen.append((frame.size_hw, round(frame.image_bgr.max() / 100)))
            if len(seen) == 80:
                break
        assert source.reconnects == 0  # one connection has them all
        assert source.health()[0]["size"] == list(seen[-1][0])
    large, small = ((48, 64), 0), ((24, 32), 2)
    assert seen == [large if i % 8 < 4 else small for i in range(80)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gst://videotestsrc ! nosuch", 'does not start: erroneous pipeline: no element "nosuch"; try it: gst-launch-1.0'),
        ("gst://videotestsrc name='a", "the pipeline can't be read"),
        ("csi://front", "expected the camera's number, such as csi://0"),
    ],
)
def test_what_does_not_start(text, message):
    with pytest.raises(SourceError, match=message):
        open_source(text)


def test_csi_needs_a_jetson():
    with pytest.raises(SourceError, match='no element "nvarguscamerasrc"; it comes with JetPack'):
        open_source("csi://0")


def test_csi_pipeline():
    assert csi_pipeline(1, CameraOptions(size_wh=(1920, 1080), fps=60)) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=60/1,format=NV12"
        " ! nvvidconv ! video/x-raw,format=BGRx"
    )


def test_without_gstreamer(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="gst-launch-1.0 is not installed; apt-get install gstreamer1.0-tools"):
        open_source("gst://videotestsrc")
