"""Folders of images, raw masks for another program, callbacks, streams pushed to a server."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.core.labels import Labels
from seg_edge.runtime import CallbackSink, Result, open_sink
from seg_edge.runtime.sinks import PushSink, Run

pytestmark = pytest.mark.usefixtures("nothing_left")


def result(i, height=4, width=6):
    return Result(None, np.full((height, width), i, np.uint8), np.full((height, width, 3), 10 * i, np.uint8), name=f"n{i}")


def test_image_folder(tmp_path):
    with open_sink(f"{tmp_path}/new/") as sink:
        assert (sink.mask, sink.overlay) == (True, True)
        sink.start(Run(Labels.numbered(3), dict))
        for i in (1, 2):
            sink.take(result(i))
    assert json.loads((tmp_path / "new/classes.json").read_text())["names"] == ["class0", "class1", "class2"]
    for i in (1, 2):
        mask = cv2.imread(str(tmp_path / f"new/masks/n{i}.png"), cv2.IMREAD_UNCHANGED)
        assert mask.tolist() == [[i] * 6] * 4
        assert abs(int(cv2.imread(str(tmp_path / f"new/overlays/n{i}.jpg")).mean()) - 10 * i) <= 2
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="this is a file; expected a folder's name"):
        open_sink(f"{tmp_path}/file/")


def test_named_pipe(tmp_path):
    path = tmp_path / "masks"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    threading.Timer(0.1, reader.start).start()  # the sink waits for its reader
    with open_sink(f"pipe:{path}") as sink:
        assert (sink.mask, sink.overlay) == (True, False)
        for i in (1, 2):
            sink.take(result(i))
        with pytest.raises(SinkError, match="a frame is 3x2, but the video is 6x4"):
            sink.take(result(3, 2, 3))
    reader.join()
    assert got == [bytes([1] * 24 + [2] * 24)]


def test_pipe_whose_reader_leaves(tmp_path):
    path = tmp_path / "masks"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open_sink(f"pipe:{path}", live=True) as sink:
        sink.take(result(1))
        sink.take(result(2, 8, 12))  # scaled
        assert os.read(reader, 100) == bytes([1] * 24 + [2] * 24)
        assert not sink.stop
        os.close(reader)
        sink.take(result(3))
        assert sink.stop


def test_pipe_without_a_reader(tmp_path, monkeypatch):
    monkeypatch.setattr("seg_edge.runtime.sinks.pipe._READER_S", 0.2)
    os.mkfifo(tmp_path / "masks")
    with pytest.raises(SinkError, match=r"nobody opened the pipe for reading within 0\.2 s"):
        open_sink(f"pipe:{tmp_path / 'masks'}")


def test_callback():
    seen = []
    sink = CallbackSink(seen.append)
    assert (sink.mask, sink.overlay) == (True, False)
    one = result(1)
    sink.take(one)
    assert seen == [one]


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        (["-listen", "1", "-f", "flv", "-i", "rtmp://127.0.0.1:{}/live/x"], "rtmp://127.0.0.1:{}/live/x"),
        (["-rtsp_flags", "listen", "-i", "rtsp://127.0.0.1:{}/x"], "rtsp://127.0.0.1:{}/x"),
    ],
)
def test_push_arrives(need, free_port, tmp_path, listen, url):
    need("ffmpeg")
    words = ["ffmpeg", "-nostdin", "-loglevel", "error", *(word.format(free_port) for word in listen)]
    words += ["-c", "copy", "-f", "matroska", str(tmp_path / "got.mkv")]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as server:
        time.sleep(1)
        with open_sink(url.format(free_port), 25) as sink:
            for i in range(100):
                frame = np.full((48, 64, 3), 60, np.uint8)
                frame[:, : i % 64] = 190
                sink.write(frame)
                time.sleep(0.02)
        server.wait(10)
    capture = cv2.VideoCapture(str(tmp_path / "got.mkv"))
    frames = []
    while (more := capture.read())[0]:
        frames.append(more[1])
    assert len(frames) + sink.dropped > 60
    assert len(frames) > 30
    assert frames[0].shape == (48, 64, 3)
    assert {60, 190} >= {round(float(np.median(frame[:, column])) / 10) * 10 for frame in frames for column in (2, 61)}


def test_push_to_nobody(need, free_port):
    need("ffmpeg")
    with pytest.raises(SinkError, match="nothing could be sent: .*refused.*; check the address"):  # noqa: PT012
        with open_sink(f"rtmp://me:secret@127.0.0.1:{free_port}/live", 25) as sink:
            for _ in range(200):
                sink.write(np.zeros((48, 64, 3), np.uint8))
                time.sleep(0.01)


def test_push_goes_on_when_the_server_comes_back(need, free_port, tmp_path, caplog, monkeypatch):
    need("ffmpeg")
    monkeypatch.setattr("seg_edge.runtime.sinks.push._PROOF_S", 1.0)
    url = f"rtmp://127.0.0.1:{free_port}/live/x"
    servers = []

    def serve(name):
        words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-analyzeduration", "100000", "-listen", "1", "-f", "flv"]
        words += ["-i", url, "-c", "copy", "-f", "flv", "-flush_packets", "1", str(tmp_path / name)]
        servers.append(subprocess.Popen(words, stderr=subprocess.DEVNULL))
        time.sleep(0.5)

    serve("a.flv")
    got = tmp_path / "b.flv"
    sink = PushSink(url, 10)
    try:
        until = time.monotonic() + 20
        while not got.exists() or got.stat().st_size < 1000:
            assert time.monotonic() < until
            sink.write(np.full((96, 128, 3), sink._taken % 251, np.uint8))
            time.sleep(0.02)
            began = (tmp_path / "a.flv").exists() and (tmp_path / "a.flv").stat().st_size > 1000
            if sink._proven and began and len(servers) == 1:
                servers[0].kill()
                servers[0].wait()
                serve(got.name)
        assert sink.dropped > 0
        assert "lost: " in caplog.text
    finally:
        sink.close()
        for server in servers:
            server.kill()
            server.wait()
