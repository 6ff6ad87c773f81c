"""GStreamer pipelines through a pipe of raw frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SourceError
from seg_edge.runtime import open_source
from seg_edge.runtime.sources.gst import csi_pipeline
from seg_edge.runtime.sources.options import CameraOptions

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(autouse=True)
def _gst(need):
    need("gst-launch-1.0")


@pytest.mark.parametrize("width", [64, 65, 66])  # GStreamer pads rows to four bytes
def test_frames_are_whole(width):
    blue = "pattern=solid-color foreground-color=0xff1020f0"
    text = f"gst://videotestsrc {blue} is-live=true ! video/x-raw,format=BGR,width={width},height=3,framerate=50/1"
    with open_source(text) as source:
        assert source.live
        assert source.fps == pytest.approx(50)
        frame = next(iter(source))
    assert frame.image_bgr.shape == (3, width, 3)
    assert frame.image_bgr.flags.c_contiguous
    assert (frame.image_bgr == (0xF0, 0x20, 0x10)).all()


def test_a_pipeline_that_ends_is_started_again():
    with open_source("gst://videotestsrc num-buffers=3 ! video/x-raw,width=8,height=4") as source:
        frames = iter(source)
        assert [next(frames).index for _ in range(5)] == [0, 1, 2, 3, 4]
        assert source.reconnects == 1


def test_no_frame_is_mixed_where_the_size_changes(tmp_path):
    """The first pictures are dark and large, the later ones bright and small."""
    for i in range(8):
        height, width = (48, 64) if i < 4 else (24, 32)
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((height, width, 3), 40 if i < 4 else 200, np.uint8))
    pictures = f'multifilesrc location="{tmp_path}/%d.png" loop=true caps=image/png,framerate=20/1 ! pngdec'
    with open_source(f"gst://{pictures}") as source:
        seen = {}
        for frame in source:
            assert frame.image_bgr.max() == frame.image_bgr.min()
            seen.setdefault(frame.image_bgr.shape, set()).add(int(frame.image_bgr.max()))
            if source.reconnects == 2:
                break
    assert seen[48, 64, 3] == {40}
    assert all(values == {200} for shape, values in seen.items() if shape == (24, 32, 3))


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
    assert csi_pipeline(1, CameraOptions((1920, 1080), 60)) == (
        "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=60/1,format=NV12"
        " ! nvvidconv ! video/x-raw,format=BGRx"
    )


def test_without_gstreamer(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="gst-launch-1.0 is not installed; apt-get install gstreamer1.0-tools"):
        open_source("gst://videotestsrc")
