from __future__ import annotations

import os
import time
import tracemalloc

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.runtime import open_sink
from seg_edge.runtime.sinks import AvRecordingSink, NullSink, OpenCvVideoSink, RecordingSink


def grey(value, height=48, width=64):
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture(params=[AvRecordingSink, RecordingSink, OpenCvVideoSink])
def recorder(request, need):
    if request.param is RecordingSink:
        need("ffmpeg")
    return request.param


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


def test_recording(recorder, tmp_path):
    path = tmp_path / "deep" / "out.mp4"
    with recorder(path, 12.5) as sink:
        for i in range(20):
            sink.write(grey(10 * i))
    sink.close()
    frames, fps = read(path)
    assert fps == pytest.approx(12.5)
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 20
    assert all(abs(int(frame.mean()) - 10 * i) <= 6 for i, frame in enumerate(frames))
    assert os.listdir(path.parent) == ["out.mp4"]


def test_the_best_recorder_is_taken(need, tmp_path, monkeypatch):
    need("ffmpeg")
    assert "by PyAV: playable even after a kill" in open_sink(tmp_path / "out.mp4").about
    monkeypatch.setattr("seg_edge.runtime.sinks.video.find_spec", lambda _name: None)
    assert "by ffmpeg" in open_sink(tmp_path / "out.mp4").about
    with pytest.raises(SinkError, match="`copy_audio` needs PyAV"):
        open_sink(tmp_path / "out.mp4", sound="in.mp4")
    monkeypatch.setattr("seg_edge.runtime.sinks.video.encoder", lambda: None)
    assert "playable only after a clean end" in open_sink(tmp_path / "out.mp4").about


def test_killed_ffmpeg_leaves_all_but_the_last_second(need, tmp_path):
    """The harder case: if only this process is killed, ffmpeg finishes the file (tests/cli/test_run.py)."""
    need("ffmpeg")
    sink = RecordingSink(tmp_path / "out.mp4", 30)
    for i in range(100):
        sink.write(grey(2 * i, 120, 160))
    time.sleep(0.4)
    sink._encoder._process.kill()
    with pytest.raises(SinkError, match=r"out\.mp4: the recording stopped: .*; free some space"):  # noqa: PT012  # pipes are deep
        for _ in range(100):
            sink.write(grey(0, 120, 160))
    sink.close()
    frames, _ = read(tmp_path / "out.mp4")
    assert 70 <= len(frames) <= 100
    assert all(abs(int(frame.mean()) - 2 * i) <= 6 for i, frame in enumerate(frames))


@pytest.mark.parametrize("recorder", [AvRecordingSink, RecordingSink])
def test_a_full_disk_is_said(need, recorder):
    need("ffmpeg")
    sink = recorder("/dev/full", 30)
    with pytest.raises(SinkError, match="sink /dev/full: .*No space left"):  # noqa: PT012  # it may be noticed at the end
        for _ in range(100):
            sink.write(grey(3))
        sink.close()


def test_live_recordings_keep_time(need, tmp_path):
    """Frames that were dropped must not become a time lapse."""
    need("ffmpeg")
    with RecordingSink(tmp_path / "out.mp4", 30, live=True) as sink:
        for i in range(15):
            sink.write(grey(10 * i))
            time.sleep(0.1)
        sink.write(grey(100, 24, 32))  # the camera changed its size
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    times = []
    while capture.read()[0]:
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    assert len(times) == 16
    assert 900 < times[-1] - times[0] < 2200  # 500 at the stated rate; ffmpeg's start delays the first ones


def test_nothing_is_copied_on_the_way_to_ffmpeg(need, tmp_path):
    need("ffmpeg")
    frame = grey(50, 720, 1280)
    with RecordingSink(tmp_path / "out.mp4") as sink:
        sink.write(frame)
        tracemalloc.start()
        for _ in range(5):
            sink.write(frame)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < frame.nbytes / 4


def test_video_is_whole_or_not_there(tmp_path):
    path = tmp_path / "deep" / "out.mp4"
    sink = OpenCvVideoSink(path, 12.5)
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


def test_video_is_finished_after_an_error(recorder, tmp_path):
    def work():
        with recorder(tmp_path / "out.mp4") as sink:
            sink.write(np.zeros((48, 64, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    frames, fps = read(tmp_path / "out.mp4")
    assert len(frames) == 1
    assert fps == pytest.approx(30)


def test_odd_sizes(recorder, tmp_path):
    with recorder(tmp_path / "out.mp4") as sink:
        sink.write(np.zeros((47, 63, 3), np.uint8))
    assert len(read(tmp_path / "out.mp4")[0]) == 1


def test_no_frame_no_file(recorder, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    recorder(tmp_path / "out.mp4").close()
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_unfinished_video_is_an_error(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    sink = OpenCvVideoSink(tmp_path / "out.mp4")
    sink.write(np.zeros((48, 64, 3), np.uint8))
    sink._writer.release()
    os.truncate(sink._path, 100)  # what a full disk leaves
    with pytest.raises(SinkError, match="could not be finished"):
        sink.close()
    assert (tmp_path / "out.mp4").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.mp4"]


def test_frame_of_another_size(recorder, tmp_path):
    with recorder(tmp_path / "out.mp4") as sink:
        sink.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(SinkError, match="a frame is 32x24, but the video is 64x48"):
            sink.write(np.zeros((24, 32, 3), np.uint8))


def test_none():
    sink = open_sink("none")
    assert isinstance(sink, NullSink)
    sink.write(np.zeros((4, 4, 3), np.uint8))
    sink.close()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("winow", "unknown; did you mean window?"),
        ("out.avi", "unknown; expected window, none, pipe:, a file name ending in .mp4"),
        ("rtps://me:secret@host/x", "rtps:// is unknown; did you mean rtsp"),
        ("gopher://host", "gopher:// is unknown; expected window"),
    ],
)
def test_unknown(text, hint):
    with pytest.raises(SinkError) as caught:
        open_sink(text)
    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


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
