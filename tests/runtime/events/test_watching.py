"""When an event starts and ends."""

from __future__ import annotations

import numpy as np

from seg_edge.runtime.areas import Areas
from seg_edge.runtime.events import Rule, Watch


def areas(percent):
    return Areas(("car", "road"), ("frame",), np.array([[10 * percent, 1000 - 10 * percent]]), np.array([1000]))


def watch(text, shares, hysteresis=0.2, step_s=0.5):
    watched = Watch([Rule.parse(text)], ("car", "road"), ("frame",), hysteresis)
    events = []
    for number, percent in enumerate(shares):
        events += watched.add(areas(percent), number * step_s, number)
    return [(event.kind, event.time_s, event.frame, event.duration_s) for event in events], watched


def test_an_event_begins_where_its_condition_began():
    found, _ = watch("car > 10% for 1s", [0, 20, 20, 20, 20, 0, 0, 0])
    assert found == [("start", 0.5, 3, None), ("end", 2.5, 7, 2.0)]


def test_what_is_too_short_is_no_event():
    assert watch("car > 10% for 1s", [0, 20, 20, 0, 20, 20, 0])[0] == []


def test_a_short_gap_does_not_end_an_event():
    found, _ = watch("car > 10% for 1s", [20, 20, 20, 0, 0, 20, 20, 0, 0, 0])
    assert found == [("start", 0.0, 2, None), ("end", 3.5, 9, 3.5)]


def test_hysteresis_keeps_an_event_that_wavers():
    shares = [11, 9, 11, 9, 11, 9, 5]
    assert [kind for kind, *_ in watch("car > 10%", shares)[0]] == ["start", "end"]
    assert [kind for kind, *_ in watch("car > 10%", shares, hysteresis=0)[0]] == ["start", "end"] * 3


def test_and_or():
    found, _ = watch("car > 10% and road > 85% or car > 50%", [5, 12, 30, 60, 0], hysteresis=0)
    assert found == [("start", 0.5, 1, None), ("end", 1.0, 2, 0.5), ("start", 1.5, 3, None), ("end", 2.0, 4, 0.5)]


def test_peaks_and_identity():
    watched = Watch([Rule.parse("car > 10%")], ("car", "road"), ("frame",))
    events = [event for n, percent in enumerate([20, 50, 30, 0]) for event in watched.add(areas(percent), float(n), n)]
    start, end = events
    assert (start.peak, end.peak, end.shares) == ({"car": 0.2}, {"car": 0.5}, {"car": 0.0})
    assert start.event == end.event
    assert {start.id, end.id} == {f"{start.event}-start", f"{start.event}-end"}
    assert end.reason == "condition"


def test_the_end_of_a_run_ends_events():
    found, watched = watch("car > 10%", [20, 20])
    assert len(found) == 1
    (end,) = watched.close()
    assert (end.kind, end.duration_s, end.reason) == ("end", 0.5, "run ended")
    assert watched.close() == []


def test_sources_are_apart():
    watched = Watch([Rule.parse("car > 10%")], ("car", "road"), ("frame",))
    assert [event.source for event in watched.add(areas(20), 0.0, 0, 1)] == [1]
    assert watched.add(areas(0), 0.0, 0, 0) == []
    assert [event.source for event in watched.add(areas(20), 0.0, 0, 0)] == [0]
