from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.runtime import open_sink
from seg_edge.runtime.sinks import NullSink, VideoSink


def read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        more, frame = capture.read()
        if not more:
            break
        frames.append(frame)
    fps = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return frames, fps


def test_video_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "out.mp4"
    sink = open_sink(path, 12.5)
    assert isinstance(sink, VideoSink)
    for i in range(5):
        sink.write(np.full((48, 64, 3), 40 * i, np.uint8))
        assert not path.exists()
    sink.close()
    sink.close()
    frames, fps = read(path)
    assert fps == pytest.approx(12.5)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 5
    assert all(abs(int(frame.mean()) - 40 * i) <= 6 for i, frame in enumerate(frames))
    assert os.listdir(path.parent) == ["out.mp4"]


def test_video_is_finished_after_an_error(tmp_path):
    def work():
        with open_sink(tmp_path / "out.mp4") as sink:
            sink.write(np.zeros((48, 64, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    frames, fps = read(tmp_path / "out.mp4")
    assert len(frames) == 1
    assert fps == pytest.approx(30)


def test_odd_sizes(tmp_path):
    with open_sink(tmp_path / "out.mp4") as sink:
        sink.write(np.zeros((47, 63, 3), np.uint8))
    assert len(read(tmp_path / "out.mp4")[0]) == 1


def test_no_frame_no_file(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    open_sink(tmp_path / "out.mp4").close()
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_unfinished_video_is_an_error(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    sink = open_sink(tmp_path / "out.mp4")
    assert isinstance(sink, VideoSink)
    sink.write(np.zeros((48, 64, 3), np.uint8))
    sink._writer.release()
    os.truncate(sink._path, 100)  # what a full disk leaves
    with pytest.raises(SinkError, match="could not be finished"):
        sink.close()
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_frame_of_another_size(tmp_path):
    with open_sink(tmp_path / "out.mp4") as sink:
        sink.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(SinkError, match="a frame is 32x24, but the video is 64x48"):
            sink.write(np.zeros((24, 32, 3), np.uint8))


def test_none():
    sink = open_sink("none")
    assert isinstance(sink, NullSink)
    sink.write(np.zeros((4, 4, 3), np.uint8))
    sink.close()


@pytest.mark.parametrize("text", ["winow", "out.avi", "out"])
def test_unknown(text):
    with pytest.raises(SinkError, match=rf"sink {text}: unknown; expected window, none, or a file name ending in \.mp4"):
        open_sink(text)


def test_folder_in_the_way(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(SinkError, match="this is a folder"):
        open_sink(tmp_path / "out.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="can't be written"):
        open_sink(tmp_path / "file" / "out.mp4")


def test_no_display(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SinkError, match="sink window: can't be opened: (there is no display|this OpenCV was built without)"):
        open_sink("window")
