"""From a simulated camera to a sink: what `bench --source --sink` watches, and what it refuses to touch."""

from __future__ import annotations

import os
import time
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import (
    SinkError,
    SourceError,
)
from seg_edge.measure.benchmark import configuration
from seg_edge.measure.benchmark.runs import bench
from seg_edge.measure.options import BenchOptions
from seg_edge.measure.workload.camera import SimulatedCamera, try_watch, watch
from seg_edge.runtime.segmenter import Segmenter

FRAME_HW = (60, 80)


def test_the_simulated_camera_keeps_its_rate_and_never_hurries():
    frame = np.zeros((4, 4, 3), np.uint8)
    camera, began, taken = iter(SimulatedCamera([frame], 100)), time.perf_counter(), []
    for i in range(6):
        taken.append(next(camera))
        if i == 2:
            time.sleep(0.1)  # late by ten frames, which are not made up for
    assert time.perf_counter() - began >= 0.1 + 3 * 0.01
    assert taken[5].captured_s - taken[3].captured_s >= 0.009  # two steps of its clock, the first perhaps a short one
    assert [one.index for one in taken] == list(range(6))
    assert not np.shares_memory(taken[0].image_bgr, frame)


def test_camera_to_sink(slow, tiny_model):
    """A camera of 400 frames per second in front of stages that take 9 ms: frames are overtaken and counted."""
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW}
    (row,) = bench([tiny_model], BenchOptions(duration_s=0.6, source="camera:400", **words))["rows"]
    camera = row["camera"]
    assert (camera["source"], camera["sink"]) == ("camera:400", "none")
    assert camera["dropped"]["stale"] > 10
    assert camera["frames_out"] > 5
    assert camera["frames_in"] == camera["frames_out"] + sum(camera["dropped"].values())
    # The planted resize shows in the camera's breakdown too.
    assert camera["stages_ms"]["pre"]["p50"] >= 2
    assert camera["fps"] < 170  # the overlay is painted while the network computes the next frame: 6 ms are left
    assert set(camera["stages_ms"]) == {"capture", "pre", "wait", "engine", "post", "sink"}


def test_a_source_or_sink_that_can_not_be_opened_is_an_error_before_anything_is_measured(
    tiny_model, video, tmp_path, monkeypatch
):
    monkeypatch.setattr(configuration.Configuration, "open", lambda self, frames: pytest.fail("measured first"))
    for source, sink, error, said in (
        ("away.mp4", "none", SourceError, "source away.mp4: no such file"),
        ("camera:0", "none", SourceError, "source camera:0: expected camera:FPS"),
        ("camera:30", "out.avi", SinkError, "sink out.avi: unknown"),
        (str(video), str(video), SinkError, "is the source itself"),
    ):
        with pytest.raises(error, match=said):
            bench([tiny_model], BenchOptions(frame_hw=FRAME_HW, runs=5, source=source, sink=sink))
    try_watch(str(video), str(tmp_path / "new.mp4"))
    assert not (tmp_path / "new.mp4").exists()


@pytest.mark.timeout(20)
def test_a_named_pipe_is_not_opened_for_a_trial(tmp_path):
    """Nobody reads it: opening would wait for ten seconds, and with a reader closing would end what that one does."""
    os.mkfifo(tmp_path / "masks")
    began = time.perf_counter()
    try_watch("camera:30", f"pipe:{tmp_path / 'masks'}")
    assert time.perf_counter() - began < 8


def test_a_source_that_fails_later_costs_no_figures(tiny_model, tmp_path):
    """What was measured before is kept, and the row says what failed."""
    (tmp_path / "damaged.png").write_bytes(b"no picture")
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW, "runs": 5}
    (row,) = bench([tiny_model], BenchOptions(source=str(tmp_path / "damaged.png"), **words))["rows"]
    assert row["camera"] is None
    assert "camera to sink not measured: " in row["note"]
    assert row["fps_e2e"] > 0


@pytest.fixture
def video(tmp_path):
    """Six frames."""
    path = tmp_path / "street 2.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, (80, 60))
    for i in range(6):
        writer.write(np.full((60, 80, 3), 40 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize("sink", ["{}", "link.mp4", "pipe:{}"])
@pytest.mark.parametrize("address", ["", "file://"])
def test_a_sink_never_replaces_its_own_source(tiny_model, video, tmp_path, monkeypatch, sink, address):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.mp4").symlink_to(video)
    before = video.read_bytes()
    source = f"file://{quote(str(video))}" if address else video.name
    with Segmenter(tiny_model, "onnxruntime", 1) as segmenter, pytest.raises(SinkError, match="is the source itself"):
        watch(segmenter, [], source, sink.format(video), 0.3)
    assert video.read_bytes() == before


def test_the_recording_of_a_camera_keeps_its_time_when_frames_drop(need, tiny_model, tmp_path, slow_network):
    """A network of 150 ms behind a camera of 30 frames a second: two seconds stay two seconds, not a third of one."""
    need("ffmpeg")
    slow_network(0.15)
    path = tmp_path / "out.mp4"
    with Segmenter(tiny_model, "onnxruntime", 1) as segmenter:
        found = watch(segmenter, [np.zeros((60, 80, 3), np.uint8)], "camera:30", str(path), 2.0)
    assert found["dropped"]["stale"] > 10
    capture, times_ms = cv2.VideoCapture(str(path)), []
    while capture.read()[0]:
        times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    assert len(times_ms) > 3
    # The second one and the last: ffmpeg's start delays the first.
    assert (times_ms[-1] - times_ms[1]) / (len(times_ms) - 2) > 100  # 33 at the stated rate


def test_a_file_is_watched_one_frame_at_a_time_and_the_row_says_so(tiny_model, video):
    words = {"engines": ["onnxruntime"], "threads": [1], "frame_hw": FRAME_HW, "duration_s": 0.1}
    (row,) = bench([tiny_model], BenchOptions(source=str(video), **words))["rows"]
    assert "camera to sink of a file: the network computes one frame at a time" in row["note"]
    (row,) = bench([tiny_model], BenchOptions(source="camera:100", **words))["rows"]
    assert row["camera"] is not None
    assert "of a file" not in row["note"]


def test_another_video_beside_the_source_is_written(tiny_model, video, tmp_path):
    with Segmenter(tiny_model, "onnxruntime", 1) as segmenter:
        for sink in (str(tmp_path / "out.mp4"), "none"):
            assert watch(segmenter, [], str(video), sink, 5.0)["frames_out"] == 6
    assert (tmp_path / "out.mp4").stat().st_size > 0
