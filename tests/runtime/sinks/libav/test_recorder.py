"""Recordings with PyAV: the times of the frames, the sound, and what a kill leaves."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.runtime.frame.result import Result
from seg_edge.runtime.sinks import AvRecordingSink, open_sinks
from seg_edge.runtime.sources import open_source


def result(i, time_s, size_hw=(48, 64)):
    frame = np.full((*size_hw, 3), 10 * i % 250, np.uint8)
    return Result(frame, None, frame, index=i, time_s=time_s, captured_s=100 + i)


def record(path, times, **about):
    with AvRecordingSink(path, **about) as sink:
        for i, time_s in enumerate(times):
            sink.take(result(i, time_s))


def times(path, kind="video"):
    with av.open(str(path)) as file:
        return [
            round(float(packet.pts * packet.time_base), 4)
            for packet in file.demux(getattr(file.streams, kind)[0])
            if packet.size
        ]


@pytest.fixture
def spoken(tmp_path):
    """A video of two seconds, ten frames a second, whose frames begin half a second after its sound."""
    path = tmp_path / "spoken.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("aac", rate=8000)
        sound.codec_context.layout = "mono"
        for i in range(16):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 8000, 1024 * i, Fraction(1, 8000)
            file.mux(sound.encode(samples))
        for i in range(15):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * i, np.uint8), "bgr24")
            frame.pts, frame.time_base = i + 5, Fraction(1, 10)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        file.mux(sound.encode(None))
    return path


def test_frames_keep_their_times(tmp_path):
    given = [2, 2.04, 2.08, 2.1, 3.5, 3.52, 7]  # a rate that varies, gaps longer than a fragment
    record(tmp_path / "out.mp4", given, fps=25)
    assert times(tmp_path / "out.mp4") == pytest.approx([t - 2 for t in given], abs=1e-3)


def test_frames_without_times(tmp_path):
    record(tmp_path / "file.mp4", [None] * 4, fps=12.5)
    assert times(tmp_path / "file.mp4") == pytest.approx([0, 0.08, 0.16, 0.24], abs=1e-3)
    record(tmp_path / "live.mp4", [None] * 4, fps=12.5, live=True)  # when they came
    assert times(tmp_path / "live.mp4") == pytest.approx([0, 1, 2, 3], abs=1e-3)


def test_times_that_stand_still_go_on(tmp_path):
    record(tmp_path / "out.mp4", [0, 0.5, 0.5, 0.4, 1], fps=2)
    found = times(tmp_path / "out.mp4")
    assert len(found) == 5
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1, abs=1e-3)


def test_colours_are_tagged_and_right(tmp_path):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:] = (200, 40, 90)
    with AvRecordingSink(tmp_path / "out.mp4", 10) as sink:
        for _ in range(3):
            sink.write(image)
    with open_source(tmp_path / "out.mp4") as source:
        frames = [frame.image_bgr for frame in source]
        assert (source.video["matrix"], source.video["range"]) == ("bt709", "limited")
    assert abs(frames[-1].astype(int) - image).max() <= 4


def test_sound_is_copied_in_time(spoken, tmp_path):
    with open_source(spoken) as source:
        shown = [frame.time_s for frame in source]
    with av.open(str(spoken)) as file:
        start_s = file.start_time / 1e6  # releases of PyAV differ in where they put an encoder's delay
    assert shown == pytest.approx([0.5 - start_s + 0.1 * i for i in range(15)], abs=2e-3)
    record(tmp_path / "out.mp4", shown, fps=10, sound=str(spoken))
    assert times(tmp_path / "out.mp4") == pytest.approx(shown, abs=2e-3)
    # What the encoder put before the start (its delay) is left out; the rest is there, to the end of the video.
    spoken_at, copied_at = times(spoken, "audio"), times(tmp_path / "out.mp4", "audio")
    kept = [t - start_s for t in spoken_at if 0 <= t - start_s < shown[-1] + 0.1]
    assert copied_at == pytest.approx(kept, abs=2e-3)
    assert len(copied_at) > 12


def test_sound_that_is_not_there(tmp_path):
    record(tmp_path / "mute.mp4", [0, 1])
    with pytest.raises(SinkError, match=r"out\.mp4: the source has no sound; leave `copy_audio` out"):
        record(tmp_path / "out.mp4", [0, 1], sound=str(tmp_path / "mute.mp4"))


def test_sound_that_does_not_fit(tmp_path):
    with av.open(str(tmp_path / "in.asf"), "w") as file:
        sound = file.add_stream("wmav2", rate=44100)
        sound.bit_rate = 64_000
        sound.codec_context.layout = "mono"
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts, samples.time_base = 44100, 0, Fraction(1, 44100)
        file.mux(sound.encode(samples))
        file.mux(sound.encode(None))
    with pytest.raises(SinkError, match="sound in wmav2 doesn't fit into MP4; leave `copy_audio` out$"):
        record(tmp_path / "out.mp4", [0, 1], sound=str(tmp_path / "in.asf"))


def test_whose_sound_can_be_copied(spoken, tmp_path):
    from contextlib import ExitStack

    with open_source(spoken) as source, ExitStack() as stack:
        with pytest.raises(SinkError, match="`copy_audio`: no sink is a recording"):
            open_sinks(["none"], [source], stack, True)
        with pytest.raises(SinkError, match="would have 2 sounds; use one for each"):
            open_sinks([str(tmp_path / "o.mp4")], [source, source], stack, True)
        sinks, _ = open_sinks([str(tmp_path / "o.mp4")], [source], stack, True)
        assert sinks[0]._sound == str(spoken)


def test_a_kill_leaves_all_but_the_last_second(tmp_path):
    code = """
import sys, numpy as np
from seg_edge.runtime.sinks import AvRecordingSink
sink = AvRecordingSink(sys.argv[1], 20)
for i in range(61):
    sink.write(np.full((48, 64, 3), 4 * i, np.uint8))
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out.mp4")], check=False, timeout=60)
    with open_source(tmp_path / "out.mp4") as source:
        values = [float(frame.image_bgr.mean()) for frame in source]
    assert 40 <= len(values) <= 61
    assert values == pytest.approx([4 * i for i in range(len(values))], abs=4)
