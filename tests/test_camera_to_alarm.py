"""docs/camera-to-alarm.md: its Python and its command, on a video that a red square, a car to a tiny network, crosses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.labels import Labels

PAGE = Path(__file__).parents[1] / "docs" / "camera-to-alarm.md"


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture
def scene(tiny_onnx, tmp_path, monkeypatch):
    """A folder with the page's zones, a network that calls red a car, and a video: a red square from 1.0 to 2.0 s."""
    from seg_edge.runtime.sinks.libav.recorder import Recorder

    monkeypatch.chdir(tmp_path)
    tiny_onnx(tmp_path / "m.onnx", labels=Labels(("sky", "road", "car"), ((0, 0, 255), (128, 128, 128), (255, 0, 0))))
    Path("zones.json").write_text(blocks("json")[0])
    recorder = Recorder(tmp_path / "v.mp4", (48, 64), 10, 0.5)
    for number in range(40):
        frame = np.full((48, 64, 3), (200, 0, 0), np.uint8)
        if 10 <= number < 20:
            frame[30:46, 20:44] = 0, 0, 220
        recorder.write(frame, number / 10)
    recorder.close()
    return tmp_path


def check():
    start, end = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    assert [start["kind"], start["rule"], start["time_s"]] == ["start", "alarm", pytest.approx(1.0, abs=0.11)]
    assert [end["kind"], end["reason"], end["duration_s"]] == ["end", "condition", pytest.approx(1.0, abs=0.11)]
    assert start["shares"]["car in road"] > 0.03
    assert cv2.imread(start["snapshot"]).shape == (48, 64, 3)
    capture = cv2.VideoCapture(end["clip"])
    count = 0
    while capture.read()[0]:
        count += 1
    capture.release()
    assert count == 40


def test_the_ten_lines(scene):
    (code,) = blocks("python")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 10
    exec(code.replace("SOURCE", "'v.mp4'").replace("unet-s-camvid", "m.onnx"), {})
    check()


def test_the_command(scene, capsys):
    (text,) = [block for block in blocks("bash") if block.startswith("seg-edge run")]
    words = shlex.split(text.replace("\\\n", " ").replace("SOURCE", "v.mp4"))
    assert main(["run", "m.onnx", *words[2:]]) == 0
    check()
    assert "start of alarm (car in road" in capsys.readouterr().out
