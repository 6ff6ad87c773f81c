from __future__ import annotations

import threading
from time import perf_counter

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError, SourceError
from seg_edge.runtime import PlaybackOptions, open_source


@pytest.fixture
def folder(tmp_path):
    """Three images: a, b, c of grey 10, 20, 30."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate("abc", 1):
        cv2.imwrite(str(folder / f"{name}.png"), np.full((4, 6, 3), 10 * number, np.uint8))
    return folder


@pytest.fixture
def video(tmp_path):
    """Four frames, 20 per second."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 20, (64, 48))
    for i in range(4):
        writer.write(np.full((48, 64, 3), 40 * i, np.uint8))
    writer.release()
    return path


def test_loop_goes_on_with_new_numbers_and_names(folder):
    with open_source(folder, playback=PlaybackOptions(loop=True)) as source:
        assert source.count is None
        frames = [frame for frame, _ in zip(source, range(7), strict=False)]
    assert [frame.index for frame in frames] == list(range(7))
    assert [frame.name for frame in frames] == ["a", "b", "c", "a_2", "b_2", "c_2", "a_3"]
    assert [int(frame.image_bgr[0, 0, 0]) for frame in frames] == [10, 20, 30, 10, 20, 30, 10]


def test_loop_of_a_video_goes_on_with_its_times(video):
    with open_source(video, playback=PlaybackOptions(loop=True)) as source:
        frames = [frame for frame, _ in zip(source, range(10), strict=False)]
    assert [frame.time_s for frame in frames] == pytest.approx([0.05 * i for i in range(10)], abs=1e-3)
    assert frames[9].image_bgr.mean() == pytest.approx(frames[1].image_bgr.mean())


def test_loop_counts_damaged_images_of_all_rounds(folder):
    (folder / "b.png").write_bytes(b"no image")
    with open_source(folder, playback=PlaybackOptions(loop=True)) as source:
        frames = [frame for frame, _ in zip(source, range(6), strict=False)]
        assert source.corrupt == 3
    assert [frame.name for frame in frames] == ["a", "c", "a_2", "c_2", "a_3", "c_3"]


@pytest.mark.parametrize("rate", [100, "100"])
def test_rate(folder, rate):
    with open_source(folder, playback=PlaybackOptions(play_fps=rate, loop=True)) as source:
        assert source.fps == 100
        began = perf_counter()
        frames = [frame for frame, _ in zip(source, range(13), strict=False)]
        assert perf_counter() - began >= 0.12
    times = [frame.captured_s for frame in frames]
    # No frame is early; a busy machine may be late.
    assert all(time >= began + 0.01 * number for number, time in enumerate(times))


def test_native_rate(video):
    with open_source(video, playback=PlaybackOptions(play_fps="native")) as source:
        assert source.count == 4
        assert source.fps == pytest.approx(20)
        began = perf_counter()
        frames = list(source)
    assert [frame.captured_s - began >= 0.05 * number for number, frame in enumerate(frames)] == [True] * 4


def test_a_folder_has_no_native_rate(folder):
    with pytest.raises(SourceError, match="states no rate of its own"):
        open_source(folder, playback=PlaybackOptions(play_fps="native"))


def test_cancel_ends_a_wait(folder):
    with open_source(folder, playback=PlaybackOptions(play_fps=0.01)) as source:
        frames = iter(source)
        next(frames)
        threading.Timer(0.05, source.cancel).start()
        began = perf_counter()
        assert next(frames, None) is None
        assert perf_counter() - began < 50


def test_live_sources_have_their_own_rate():
    with pytest.raises(SourceError, match="are for files"):
        open_source("rtsp://127.0.0.1:1/x", playback=PlaybackOptions(loop=True))


@pytest.mark.parametrize("rate", [0, -1, "fast", 1e9])
def test_impossible_rates(rate):
    with pytest.raises(InputError, match="`play_fps`: expected"):
        PlaybackOptions(play_fps=rate)
