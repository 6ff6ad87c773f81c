"""A run's events: the log, snapshots, clips, what a kill leaves behind."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime.areas import Areas
from seg_edge.runtime.events import EventMonitor, EventOptions, Spool
from seg_edge.runtime.events.log import EventLog
from seg_edge.runtime.frame.result import Result

NAMES = ("car", "road"), ("frame",)


def result(number, percent, fps=10):
    frame = np.full((48, 64, 3), 255 if percent else 0, np.uint8)
    areas = Areas(*NAMES, np.array([[10 * percent, 1000 - 10 * percent]]), np.array([1000]))
    return Result(frame, None, None, index=number, time_s=number / fps, areas=areas)


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_log_snapshot_and_clip(tmp_path):
    options = EventOptions(
        when="car > 10% for 200ms", events=tmp_path / "e.jsonl", snapshots=tmp_path / "s", clips=tmp_path / "c",
        clip_before_s=1.0, clip_after_s=0.5,
    )  # fmt: skip
    seen = []
    with EventMonitor(options, *NAMES, seen.append, patient=True) as monitor:
        for number in range(80):
            monitor.add(result(number, 20 if 30 <= number < 50 else 0))
    start, end = lines_of(tmp_path / "e.jsonl")
    assert [start["kind"], start["time_s"], end["kind"], end["time_s"], end["duration_s"]] == ["start", 3.0, "end", 5.0, 2.0]
    assert [event.kind for event in seen] == ["start", "end"]
    snapshot = cv2.imread(start["snapshot"])
    assert snapshot.shape == (48, 64, 3)
    assert snapshot.mean() > 200
    assert end["clip"] == start["clip"]
    capture = cv2.VideoCapture(start["clip"])
    levels = []
    while (read := capture.read())[0]:
        levels.append(read[1].mean())
    capture.release()
    assert len(levels) == 36  # 2.0 to 5.5 s
    assert [level > 128 for level in levels] == [False] * 10 + [True] * 20 + [False] * 6
    assert sorted(path.suffix for path in (tmp_path / "c").iterdir()) == [".mp4"]


def test_an_event_that_a_kill_left_open_is_ended(tmp_path, monkeypatch):
    options = EventOptions(when="car > 10%", webhook="http://127.0.0.1:9/x", spool=tmp_path, events=tmp_path / "e.jsonl")
    first = EventMonitor(options, *NAMES)
    first.add(result(0, 20))
    # What a kill leaves: no end.
    monkeypatch.setattr(first._watch, "close", list)
    first.close(flush_s=0)
    with EventMonitor(options, *NAMES) as second:
        assert second.ended == 1
        monkeypatch.setattr(second, "close", lambda *_: second._stack.close())
    start, end = lines_of(tmp_path / "e.jsonl")
    assert (end["event"], end["reason"], end["duration_s"]) == (start["event"], "interrupted", None)
    (path,) = tmp_path.glob("*.sqlite")
    with Spool(path) as spool:
        assert (spool.waiting(), spool.left_open()) == (2, [])


def test_a_line_that_was_cut_off_is_removed(tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b')
    log = EventLog(path)
    log.add({"id": "c"})
    log.close()
    assert [line["id"] for line in lines_of(path)] == ["a", "c"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"events": "e.jsonl"}, "`events`: there is no event to tell; state one with `when`"),
        ({"when": ("car > 1%", "car > 1%")}, "`when`: expected rules of different names, got two of 'car > 1%'"),
        ({"when": "car > 1%", "mqtt": "mqtt://host"}, "`mqtt`: expected a topic after the host"),
        ({"when": "car > 1%", "mqtt": "http://host/x"}, "`mqtt`: expected an address such as mqtt://host/topic"),
        ({"when": "car > 1%", "webhook": "host/x"}, "`webhook`: expected an address such as https://host/path"),
        ({"when": "car > 1%", "clip_before_s": "2min"}, "`clip_before_s`: expected 0 to 60, got 120"),
    ],
)
def test_options(options, says):
    with pytest.raises(InputError) as caught:
        EventOptions(**options)
    assert says in str(caught.value)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="`clips`: .* can't be written"):
        EventMonitor(EventOptions(when="car > 1%", clips=tmp_path / "file" / "x"), *NAMES)
