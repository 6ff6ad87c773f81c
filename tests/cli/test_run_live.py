"""``seg-edge run`` as a process: several sinks, signals in every state, kills."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main

CAMERA = "gst://videotestsrc is-live=true pattern=ball ! video/x-raw,width=64,height=48,framerate=30/1"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((48, 64, 3), (250, 0, 0) if i < 2 else (0, 250, 0), np.uint8))
    return folder


def start(model, *words):
    command = [sys.executable, "-m", "seg_edge.cli", "run", str(model), *map(str, words)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def said(process, text):
    """Reads the process's output up to a line that has the text."""
    for line in process.stdout:
        if text in line.decode():
            return line.decode()
    raise AssertionError(process.stderr.read().decode())


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    return count


def test_several_sinks_at_once(tiny_model, images, tmp_path, capsys):
    masks = tmp_path / "masks.raw"
    words = ["--sink", f"{tmp_path}/o.mp4", "--sink", f"{tmp_path}/out/", "--sink", f"pipe:{masks}", "--sink", "none"]
    words += ["--sink", "mjpeg://127.0.0.1:0", "--json", f"{tmp_path}/s.json", "--hud"]
    assert main(["run", str(tiny_model), "--source", str(images), *words]) == 0
    assert frames_of(tmp_path / "o.mp4") == 4
    # The tiny network's class is the strongest colour: 0 is blue, 1 green.
    assert masks.read_bytes() == bytes([0] * 2 * 48 * 64 + [1] * 2 * 48 * 64)
    assert sorted(os.listdir(tmp_path / "out/masks")) == [f"{i}.png" for i in range(4)]
    assert cv2.imread(f"{tmp_path}/out/masks/3.png", cv2.IMREAD_UNCHANGED).tolist() == [[1] * 64] * 48
    stats = json.loads((tmp_path / "s.json").read_text())
    assert [row["dropped"] for row in stats["sinks"]] == [0] * 5
    out = capsys.readouterr().out
    assert "o.mp4: " in out
    assert "sink mjpeg://127.0.0.1:0: http://127.0.0.1:" in out


def test_masks_on_standard_output(tiny_model, images):
    with start(tiny_model, "--source", images, "--sink", "pipe:") as process:
        out, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert out == bytes([0] * 2 * 48 * 64 + [1] * 2 * 48 * 64)
    assert b"4 of 4 frames" in error


def test_the_browsers_view_of_a_camera(tiny_model, need_element):
    need_element("videotestsrc")
    with start(tiny_model, "--source", CAMERA, "--sink", "mjpeg://127.0.0.1:0") as process:
        address = said(process, "sink mjpeg").split(": ")[1].strip()
        time.sleep(0.5)
        with urllib.request.urlopen(f"{address}stats", timeout=5) as answer:
            stats = json.load(answer)
        assert stats["state"] == "running"
        assert stats["sources"][0]["state"] == "live"
        with urllib.request.urlopen(f"{address}stream", timeout=5) as stream:
            assert stream.readline() == b"--segedge\r\n"
            assert stream.readline() == b"Content-Type: image/jpeg\r\n"
            size = int(stream.readline().split()[1])
            stream.readline()
            picture = cv2.imdecode(np.frombuffer(stream.read(size), np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (48, 64, 3)
            stop(process, signal.SIGTERM)  # with a viewer


def stop(process, number):
    started = time.perf_counter()
    process.send_signal(number)
    out, error = process.communicate(timeout=20)
    assert time.perf_counter() - started < 2.5, error  # 2 s, and the interpreter's own end on a busy machine
    assert process.returncode == 130, error
    assert b"Traceback" not in error
    return out.decode()


SWALLOWED = """
import signal, sys
from seg_edge.cli.main import main
from seg_edge.runtime.segmenter import Segmenter
opened = Segmenter.__init__

def loading(self, *words, **options):
    opened(self, *words, **options)
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        pass  # as libraries do while they are loaded

Segmenter.__init__ = loading
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_that_a_library_swallowed_counts(tiny_model, images):
    words = ["run", str(tiny_model), "--source", str(images), "--sink", "none"]
    done = subprocess.run([sys.executable, "-c", SWALLOWED, *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "seg-edge: interrupted\n")


def test_stop_while_connecting(tiny_model):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        with start(tiny_model, "--source", url, "--sink", "none", "--start-timeout", "inf") as process:
            said(process, "engine")
            time.sleep(0.7)
            stop(process, signal.SIGINT)


def test_stop_while_stalled(tiny_model, tmp_path, need, need_element):
    need("ffmpeg")
    need_element("videotestsrc")
    with start(tiny_model, "--source", CAMERA, "--sink", tmp_path / "o.mp4", "--json", tmp_path / "s.json") as process:
        said(process, "sink")
        time.sleep(1)
        for child in children(process.pid):
            if "gst-launch" in command_of(child):
                os.kill(child, signal.SIGSTOP)
        time.sleep(0.5)
        stop(process, signal.SIGTERM)
    stats = json.loads((tmp_path / "s.json").read_text())
    assert stats["state"] == "interrupted"
    assert stats["frames_in"] == stats["frames_out"] + sum(stats["dropped"].values())
    assert frames_of(tmp_path / "o.mp4") == stats["frames_out"] > 5


def test_stop_while_a_sink_is_blocked(tiny_model, images, tmp_path):
    os.mkfifo(tmp_path / "masks")
    reader = os.open(tmp_path / "masks", os.O_RDONLY | os.O_NONBLOCK)
    many = tmp_path / "many"
    many.mkdir()
    for i in range(2000):
        (many / f"{i:04d}.png").symlink_to(images / "1.png")
    with start(tiny_model, "--source", many, "--sink", f"pipe:{tmp_path / 'masks'}") as process:
        said(process, "sink")
        time.sleep(1.5)  # 1 MiB fits into the pipe: 341 masks
        stop(process, signal.SIGINT)
    os.close(reader)


def test_killed_recording_plays(tiny_model, tmp_path, need, need_element):
    need("ffmpeg")
    need_element("videotestsrc")
    with start(tiny_model, "--source", CAMERA, "--sink", tmp_path / "o.mp4") as process:
        said(process, "sink")
        time.sleep(2.5)
        # Where ffmpeg encodes, it goes first: alone it would finish the file.
        for encoder in [child for child in children(process.pid) if "ffmpeg" in command_of(child)]:
            os.kill(encoder, signal.SIGKILL)
        process.kill()
    # At least 2.5 s minus what the start takes; a second may be lost.
    assert frames_of(tmp_path / "o.mp4") >= 25


def children(pid):
    """Of all threads: the source's process is started by the capture thread when it is found again."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def command_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode(errors="replace")


def test_several_sources_in_one_picture(tiny_model, images, tmp_path, capsys):
    report = tmp_path / "s.json"
    words = ["--source", str(images), "--source", str(images), "--sink", f"{tmp_path}/o.mp4", "--json", str(report)]
    assert (
        main(["run", str(tiny_model), *words, "--sink", f"pipe:{tmp_path}/masks-{{source}}", "--sink", f"{tmp_path}/d/"])
        == 0
    )
    more, picture = cv2.VideoCapture(str(tmp_path / "o.mp4")).read()
    assert more
    assert picture.shape == (48, 128, 3)
    expected = bytes([0] * 2 * 48 * 64 + [1] * 2 * 48 * 64)
    assert [(tmp_path / f"masks-{i}").read_bytes() == expected for i in (0, 1)] == [True, True]
    assert sorted(os.listdir(tmp_path / "d/masks")) == [f"{k}_{i}.png" for k in range(2) for i in range(4)]
    stats = json.loads(report.read_text())
    assert (stats["frames_in"], stats["frames_out"], len(stats["sources"])) == (8, 8, 2)


def test_live_sources_and_files_do_not_mix(tiny_model, images, need_element, capsys):
    need_element("videotestsrc")
    words = ["--source", str(images), "--source", "gst://videotestsrc", "--sink", "none"]
    assert main(["run", str(tiny_model), *words]) == 1
    assert "all live or all files" in capsys.readouterr().err
