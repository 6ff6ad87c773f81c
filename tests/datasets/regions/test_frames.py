"""Frames of a video by their number, as an annotation tool counts and shows them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets.regions.frames import VideoFrames


@pytest.fixture(scope="module")
def clips(load_module, need):
    need("ffmpeg")
    return load_module("runtime/sources/clips.py")


def read(frames, number):
    return cv2.imdecode(np.frombuffer(frames.frame(number)(), np.uint8), cv2.IMREAD_COLOR).astype(int)


@pytest.mark.parametrize(
    "name", ["h264-709.mp4", "interlaced.mpg", "turn-clockwise.mp4", "turn-counter.mp4", "turn-half.mp4"]
)
def test_frames_are_those_of_ffmpeg(clips, tmp_path, name):
    """Upright, in the colours of the stream, with both fields of interlaced frames: nothing is made up between lines."""
    clip = next(each for each in clips.CLIPS if each.name == name)
    path = clips.make(clip, tmp_path)
    _, wanted = clips.decoded(clip._replace(before=""), path)
    frames = VideoFrames(path)
    for number in (3, 4, 9, 2):  # back again: decoded anew
        assert np.abs(read(frames, number) - wanted[number]).max() <= 3
    with pytest.raises(DataError, match=r"frame 12 can't be decoded; the video has 12 frames"):
        frames.frame(12)()


def test_what_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(DataError, match=r"a.mp4: the video can't be decoded \(Invalid data"):
        VideoFrames(path).frame(0)()
