"""``seg-edge run`` as a user calls it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((48, 64, 3), 40 * i, np.uint8))
    return folder


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def run(*words):
    return main(["run", *map(str, words)])


def test_images_to_video_with_statistics(tiny_model, images, tmp_path, capsys):
    code = run(tiny_model, "--source", images, "--sink", tmp_path / "o.mp4", "--sink", "none", "--json", tmp_path / "s.json")
    assert code == 0
    assert frames_of(tmp_path / "o.mp4") == 6
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["frames_in"], stats["frames_out"], stats["state"]) == (6, 6, "ended")
    assert stats["fps"] > 0
    out = capsys.readouterr().out
    assert f"{tiny_model}: tiny, fp32" in out
    assert f"engine {stats['engine']}" in out
    assert "the first available of" in out
    assert "6 of 6 frames" in out
    for row in ("latency, frame to overlay", "frame age at the sink", "capture", "pre", "engine", "post", "sink"):
        assert row in out


def test_a_gstreamer_camera(tiny_model, tmp_path, need_element, capsys):
    need_element("videotestsrc")
    source = "gst://videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=30/1"
    assert run(tiny_model, "--source", source, "--sink", "none", "--duration", 1, "--json", tmp_path / "s.json") == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    assert 10 < stats["frames_out"] <= 31
    assert stats["state"] == "stopped"
    assert (stats["in_flight"], stats["parallel"]) == (2, 1)  # frames of a camera must come out young
    (row,) = stats["sources"]
    assert (row["state"], row["size"], row["reconnects"]) == ("live", [48, 64], 0)


def test_options_reach_the_run(tiny_model, images, tmp_path, capsys):
    words = ("--engine", "onnxruntime", "--threads", 1, "--max-frames", 2, "--json", tmp_path / "s.json")
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    assert (stats["engine"], stats["device"], stats["frames_out"]) == ("onnxruntime", "CPU, 1 thread", 2)
    assert stats["in_flight"] == 3  # a file's default
    assert "(asked for)" in capsys.readouterr().out
    assert run(tiny_model, "--source", images, "--sink", "none", "--in-flight", 1, *words) == 0
    assert json.loads((tmp_path / "s.json").read_text())["in_flight"] == 1


def test_a_file_is_computed_several_frames_at_a_time_unless_their_number_is_given(tiny_model, images, tmp_path):
    words = ("--engine", "onnxruntime", "--threads", 2, "--sink", "none", "--json", tmp_path / "s.json")
    for more, expected in (((), (4, 2)), (("--in-flight", 3), (3, 1))):
        assert run(tiny_model, "--source", images, *words, *more) == 0
        stats = json.loads((tmp_path / "s.json").read_text())
        assert (stats["in_flight"], stats["parallel"]) == expected


def test_alpha(tiny_model, images, tmp_path):
    means = []
    for alpha in (0, 1):
        assert run(tiny_model, "--source", images, "--sink", tmp_path / "o.mp4", "--alpha", alpha, "--max-frames", 1) == 0
        means.append(cv2.VideoCapture(str(tmp_path / "o.mp4")).read()[1].mean())
    assert means[0] == pytest.approx(0, abs=4)  # the first image is black
    assert means[1] > 30


def test_min_fps_gate(tiny_model, images, tmp_path, capsys):
    words = ("--source", images, "--sink", "none", "--json", tmp_path / "s.json")
    assert run(tiny_model, *words, "--min-fps", 0.01) == 0
    assert run(tiny_model, *words, "--min-fps", 1e9) == 3
    assert "error: --min-fps 1e+09: measured" in capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())["frames_out"] == 6
    assert run(tiny_model, *words, "--max-frames", 1, "--min-fps", 1) == 3
    assert "not measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.onnx", "--source", "IMAGES", "--sink", "none"], "absent.onnx: no such file"),
        (["MODEL", "--source", "absent.mp4", "--sink", "none"], "source absent.mp4: no such file"),
        (["MODEL", "--source", "IMAGES", "--sink", "out.gif"], "sink out.gif: unknown; expected window"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--engine", "onnx"], "did you mean 'onnxruntime'"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--alpha", "2"], "alpha: expected 0"),
        (["MODEL", "--source", "rstp://cam/1", "--sink", "none"], "did you mean rtsp://?"),
        (["MODEL", "--source", "0", "--loop"], "--loop and --source-fps are for files; 0 has a rate of its own"),
        (["MODEL", "--source", "x.png", "--source-fps", "fast"], "--source-fps: expected frames per second, or native"),
        (["MODEL", "--source", "camera:x", "--sink", "none"], "source camera:x: expected camera:FPS"),
        (["MODEL", "--source", "0", "--camera-size", "720p"], "--camera-size: expected WIDTHxHEIGHT"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--camera-fps", "10"], "are for cameras, and "),
        (["MODEL", "--source", "IMAGES", "--sink", "pipe:/dev/null", "--hud"], "--hud: no sink shows overlays"),
        (
            ["MODEL", "--source", "IMAGES", "--sink", "pipe:/dev/null", "--background", "blur"],
            "--background: no sink shows overlays",
        ),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--threads", "100000"], "threads: expected at most "),
        (["MODEL", "--source", "0", "--camera-format", "raw"], "--camera-format: expected four letters"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--threads", "0"], "threads: expected at least 1"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--max-frames", "0"], "--max-frames: expected a number above 0"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--in-flight", "0"], "--in-flight: expected a number of frames"),
        (["MODEL", "--source", "IMAGES", "--sink", "none", "--in-flight", "99"], "takes at most 16 at the same time here"),
    ],
)
def test_errors_are_one_line(tiny_model, images, capsys, words, message):
    table = {"MODEL": str(tiny_model), "IMAGES": str(images)}
    assert run(*(table.get(word, word) for word in words)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_source_is_never_overwritten(tiny_model, images, tmp_path, capsys):
    video = tmp_path / "v.mp4"
    assert run(tiny_model, "--source", images, "--sink", video) == 0
    before = video.read_bytes()
    assert run(tiny_model, "--source", video, "--sink", video) == 1
    assert "is the source itself" in capsys.readouterr().err
    assert video.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "sink"),
    [("file://CLIP", "CLIP"), ("CLIP", "pipe:CLIP"), ("IMAGES/masks", "IMAGES/"), ("IMAGES/overlays/0.jpg", "IMAGES/")],
)
def test_no_way_of_writing_a_name_gets_around_that(tiny_model, images, tmp_path, capsys, source, sink):
    clip, folder = tmp_path / "clip0.mp4", tmp_path / "x"
    assert run(tiny_model, "--source", images, "--sink", clip, "--sink", f"{folder}/") == 0
    first = sorted((folder / "overlays").iterdir())[0].rename(folder / "overlays" / "0.jpg")
    before = {path: path.read_bytes() for path in (clip, first, *(folder / "masks").iterdir())}
    words = [word.replace("CLIP", str(clip)).replace("IMAGES", str(folder)) for word in (source, sink)]
    capsys.readouterr()
    assert run(tiny_model, "--source", words[0], "--sink", words[1]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "replace" in error
    assert {path: path.read_bytes() for path in before} == before


def test_one_of_several_sources_is_not_overwritten_either(tiny_model, images, tmp_path, capsys):
    clips = [tmp_path / f"clip{i}.mp4" for i in range(2)]
    for clip in clips:
        assert run(tiny_model, "--source", images, "--sink", clip) == 0
    before = [clip.read_bytes() for clip in clips]
    words = ["--source", clips[0], "--source", clips[1], "--sink", tmp_path / "clip{source}.mp4"]
    assert run(tiny_model, *words) == 1
    assert "is the source itself" in capsys.readouterr().err
    assert [clip.read_bytes() for clip in clips] == before


def test_a_run_that_fails_writes_its_statistics(tiny_model, tmp_path, capsys):
    sizes = tmp_path / "sizes"
    sizes.mkdir()
    for i, side in enumerate((64, 64, 96)):
        cv2.imwrite(str(sizes / f"{i}.png"), np.zeros((side, side, 3), np.uint8))
    words = ("--sink", tmp_path / "v.mp4", "--json", tmp_path / "s.json")
    assert run(tiny_model, "--source", sizes, *words) == 1
    assert json.loads((tmp_path / "s.json").read_text())["state"] == "failed"


def test_side_by_side_a_short_run_states_no_rate_that_it_did_not_have(tiny_model, images, tmp_path, monkeypatch):
    """Two at a time of 250 ms: 8 a second, and not the hundreds between two that come out together."""
    infer = OnnxRuntimeEngine._infer
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lambda self, frames: time.sleep(0.25) or infer(self, frames))
    words = ("--engine", "onnxruntime", "--threads", 2, "--sink", "none", "--json", tmp_path / "s.json")
    assert run(tiny_model, "--source", images, "--max-frames", 6, *words) == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["parallel"] == 2
    assert stats["fps"] < 16
    assert run(tiny_model, "--source", images, "--max-frames", 3, *words) == 0
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["fps"] is None
    assert "it takes 6 frames, and 3 came out" in stats["note"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_a_playable_video_and_the_statistics(tiny_model, images, tmp_path, number):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(20_000):
        (many / f"{i:05d}.png").symlink_to(images / "3.png")
    video, report = tmp_path / "out.mp4", tmp_path / "s.json"
    words = ["run", tiny_model, "--source", many, "--sink", video, "--json", report]
    process = subprocess.Popen(
        [sys.executable, "-m", "seg_edge.cli", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    # Until frames are being written: by ffmpeg under the final name, by OpenCV under a temporary one.
    while not any(path.stat().st_size for path in [*tmp_path.glob(".out.*.tmp.mp4"), *tmp_path.glob("out.mp4")]):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started = time.perf_counter()
    process.send_signal(number)
    out, error = process.communicate(timeout=20)
    assert time.perf_counter() - started < 4  # two seconds to stop, and the interpreter's own end
    assert process.returncode == 130, error
    assert "Traceback" not in error
    stats = json.loads(report.read_text())
    assert stats["state"] == "interrupted"
    assert 0 < stats["frames_out"] < 20_000
    # The frame that was being written when the signal came may or may not have made it.
    assert abs(frames_of(video) - stats["frames_out"]) <= 1
    assert "FPS end to end" in out
    assert not list(tmp_path.glob(".out*"))


def test_files_are_played_again_until_a_limit(tiny_model, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((32, 40, 3), np.uint8))
    words = ["--source", tmp_path / "a.png", "--loop", "--source-fps", 200, "--max-frames", 5, "--sink", f"{tmp_path}/out/"]
    assert run(tiny_model, *words) == 0
    assert "5 of 5 frames" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "out" / "masks").iterdir())
    assert names == ["a.png", "a_2.png", "a_3.png", "a_4.png", "a_5.png"]
