"""``seg-edge run --when``: events of a run."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main


@pytest.fixture
def images(tmp_path):
    """Blue, then red (class2) on the third and fourth of six."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        colour = (0, 0, 255) if number in (2, 3) else (255, 0, 0)
        cv2.imwrite(str(folder / f"{number}.png"), np.full((48, 64, 3), colour, np.uint8))
    return folder


def run(*words):
    return main(["run", *map(str, words)])


def test_starts_and_ends_are_written_and_printed(tiny_model, images, tmp_path, capsys):
    words = ["--when", "red: class2 > 50%", "--when", "class0 < 1%", "--events", tmp_path / "e.jsonl"]
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 0
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert [(line["rule"], line["kind"], line["frame"]) for line in lines] == [
        ("red", "start", 2), ("class0 < 1%", "start", 2), ("red", "end", 4), ("class0 < 1%", "end", 4),
    ]  # fmt: skip
    assert lines[0]["shares"] == {"class2": 1.0}
    out = capsys.readouterr().out
    assert "start of red (class2 100.0 %)" in out
    assert "end of red after" in out


def test_without_a_broker_events_wait_and_the_run_says_so(tiny_model, images, tmp_path, caplog, monkeypatch):
    pytest.importorskip("paho.mqtt.client")
    from seg_edge.runtime.events import monitor

    monkeypatch.setattr(monitor, "_FLUSH_S", 0.1)
    words = ["--when", "class2 > 50%", "--mqtt", "mqtt://127.0.0.1:9/x", "--spool", tmp_path / "spool"]
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 0
    assert "2 events wait in" in caplog.text


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--when", "clas2 > 1%"], "unknown class 'clas2': did you mean 'class2'?"),
        (["--when", "class2 in here > 1%"], "unknown zone 'here'"),
        (["--when", "class2 > 1"], "--when: 'class2 > 1': expected a percentage from 0% to 100%, got '1'"),
        (["--events", "e.jsonl"], "--events: there is no event to tell; state one with --when"),
        (["--when", "class2 > 1%", "--clip-before", "soon"], "--clip-before: expected a duration such as 5s"),
    ],
)
def test_mistakes_are_one_line(tiny_model, images, words, says, capsys):
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert says in error[0]
