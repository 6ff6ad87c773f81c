"""Ratios on planted rows."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.measure.benchmark.ratio import add_ratios, paired_ratios, published_ratio


def row(model, fps, **changes):
    turns = {"fps_e2e": list(fps), "fps_engine": [2 * value for value in fps]}
    at_s = [10.0 * turn for turn in range(len(turns["fps_e2e"]))]
    about = {
        "turns_at_s": at_s,
        "precision": "fp32",
        "engine": "openvino",
        "threads": 2,
        "imgsz": [64, 96],
        "frame": [60, 80],
        "batch": 1,
    }
    return about | {"model": model, "fps_e2e": sum(fps) / 6, "turns": turns, "ratio": None, "note": "x"} | changes


def test_what_slows_the_whole_machine_cancels_out():
    machine = [1.0, 0.2, 0.9, 0.5, 1.1, 0.7]
    rows = [row("fcn-resnet50", [2 * speed for speed in machine]), row("net", [30 * speed for speed in machine])]
    add_ratios(rows, "fcn-resnet50")
    assert rows[1]["ratio"]["e2e"] == pytest.approx(15)
    assert rows[1]["ratio"]["e2e_interval"] == pytest.approx([15, 15])
    assert rows[1]["ratio"]["engine"] == pytest.approx(15)
    assert rows[1]["ratio"]["published"] is None
    assert rows[0]["ratio"]["e2e"] == rows[0]["ratio"]["published"] == 1


def test_what_drifts_evenly_cancels_out_although_turns_are_apart():
    """A machine that gets 8 % slower every ten seconds; the other network is always measured four seconds later."""
    speed = lambda at_s: 0.92 ** (at_s / 10)  # noqa: E731
    slow_at, quick_at = [20.0 * turn for turn in range(8)], [20.0 * turn + 4 for turn in range(8)]
    slow, quick = [2 * speed(at) for at in slow_at], [30 * speed(at) for at in quick_at]
    assert paired_ratios(quick, quick_at, slow, slow_at)[:-1] == pytest.approx([15] * 7)
    assert [a / b for a, b in zip(quick, slow, strict=True)] == pytest.approx([15 * speed(4)] * 8)  # what it is good for
    assert paired_ratios([3.0], [5.0], [1.0, 1.0, 4.0], [0.0, 10.0, 20.0]) == pytest.approx([3.0])
    assert paired_ratios([3.0, 3.0], [-5.0, 30.0], [1.0, 3.0], [0.0, 10.0]) == pytest.approx([3.0, 1.0])
    assert paired_ratios([], [], [], []) == []


def test_a_turn_that_hit_one_side_alone_does_not_move_the_ratio():
    rows = [row("a", [2.0] * 6), row("b", [30.0] * 5 + [1.0])]
    add_ratios(rows, "a")
    assert rows[1]["ratio"]["e2e"] == pytest.approx(15)
    assert rows[1]["ratio"]["e2e_interval"] == pytest.approx([0.5, 15])


def test_published_ratios():
    assert published_ratio("deeplabv3plus-resnet50", "fcn-resnet50") == pytest.approx(18 / 28)
    assert published_ratio("unet-resnet50", "unet-s") is None


def test_only_rows_of_the_same_kind_are_divided():
    rows = [
        row("a", [2.0] * 6), row("b", [4.0] * 6), row("b", [9.0] * 6, threads=1), row("b", [8.0] * 6, imgsz=[32, 32]),
        row("a", [6.0] * 6, precision="int8"), row("b", [8.0] * 6, fps_e2e=None),
    ]  # fmt: skip
    add_ratios(rows, "a")
    assert [one["ratio"] and one["ratio"]["e2e"] for one in rows] == [
        1, pytest.approx(2), None, None, pytest.approx(3), None,
    ]  # fmt: skip
    assert rows[4]["ratio"]["to"] == "a fp32"
    assert [one["note"] for one in rows[:2]] == ["x", "x"]
    assert "no ratio: a was not measured at this input size" in rows[3]["note"]
    with pytest.raises(UnknownNameError, match="did you mean 'a'"):
        add_ratios(rows, "aa")
