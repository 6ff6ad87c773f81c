"""Verdicts on planted reports."""

from __future__ import annotations

import copy
import json

import pytest

from seg_edge.core.errors import GateError, InputError
from seg_edge.measure.report.difference import (
    FASTER,
    MISSING_A,
    MISSING_B,
    SAME,
    SLOWER,
    UNJUDGED,
    UNMEASURED,
    compare_reports,
    markdown,
    read_report,
    require_no_regression,
    table,
)
from seg_edge.runtime.pipeline.stats import median_interval


def row(model="net", e2e=(10.0, 10.1, 10.2, 9.9, 9.8, 10.0), alone=None, **changes):
    turns = {"e2e_ms": list(e2e), "engine_ms": list(alone or [value / 2 for value in e2e])}
    about = {
        "model": model, "precision": "fp32", "engine": "openvino", "threads": 2, "imgsz": [352, 480], "frame": [720, 1280],
        "batch": 1,
        "e2e_ms": {"p50": turns["e2e_ms"][0] if e2e else None}, "engine_ms": {"p50": turns["engine_ms"][0] if e2e else None},
        "turns": turns, "interval": {key: median_interval(values) for key, values in turns.items()}, "other_cores": 0.0,
    }  # fmt: skip
    return about | changes


def report(*rows, **machine):
    return {"machine": {"cpu": "a", "cores": 2, "packages": {}} | machine, "rows": list(rows)}


def scaled(factor, **changes):
    return row(e2e=[value * factor for value in row()["turns"]["e2e_ms"]], **changes)


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, SLOWER), (0.8, FASTER), (1.01, SAME), (1.0, SAME)])
def test_intervals_decide(factor, verdict):
    (found,) = compare_reports(report(row()), report(scaled(factor)))["rows"]
    assert found["verdict"] == found["e2e_ms"]["verdict"] == found["engine_ms"]["verdict"] == verdict
    assert found["e2e_ms"]["change"] == pytest.approx(1 / factor - 1)


def test_a_renamed_file_is_matched_by_its_hash():
    a = report(row("net", sha256="1" * 64), row("other", sha256="2" * 64))
    b = report(scaled(1.2, model="net-of-today", sha256="1" * 64), row("other", sha256="3" * 64))
    found = compare_reports(a, b)["rows"]
    assert [(each["model"], each["verdict"]) for each in found] == [("net", SLOWER), ("other", SAME)]
    # Another size of frame is another row, and what has no hash has only its name.
    for changes in ({"sha256": "1" * 64, "frame": [1080, 1920]}, {"sha256": None}):
        found = compare_reports(report(row("net", sha256="1" * 64)), report(row("new", **changes)))["rows"]
        assert [each["verdict"] for each in found] == [MISSING_B, MISSING_A]


def test_a_large_change_within_wide_intervals_is_not_shown_and_passes():
    wide = [6.0, 18.0, 14.0, 15.0, 9.9, 17.0]
    found = compare_reports(report(row()), report(row(e2e=wide)))
    assert found["rows"][0]["verdict"] == SAME
    assert found["rows"][0]["e2e_ms"]["change"] < -0.3
    require_no_regression(found, 0.05)


def test_the_gate():
    found = compare_reports(report(row()), report(scaled(1.2)))
    require_no_regression(found, None)
    require_no_regression(found, 0.17)  # 1 / 1.2 - 1 = -0.1667
    with pytest.raises(GateError, match=r"net fp32 on openvino, 2 threads at 352x480: 16.7 % slower \(en"):
        require_no_regression(found, 0.16)
    with pytest.raises(InputError, match="`max_regression`"):
        require_no_regression(found, -0.1)


def test_a_slower_engine_alone_fails_too():
    slow = row(alone=[value * 0.75 for value in row()["turns"]["e2e_ms"]])
    found = compare_reports(report(row()), report(slow))
    assert (found["rows"][0]["verdict"], found["rows"][0]["engine_ms"]["verdict"]) == (SAME, SLOWER)
    with pytest.raises(GateError, match=r"33.3 % slower \(engine alone\)"):
        require_no_regression(found, 0.1)


def test_rows_that_one_report_lacks_are_listed_and_a_lost_one_fails():
    found = compare_reports(report(row("both"), row("old")), report(row("new"), row("both")))
    assert [(one["model"], one["verdict"]) for one in found["rows"]] == [
        ("both", SAME),
        ("old", MISSING_B),
        ("new", MISSING_A),
    ]
    with pytest.raises(GateError, match="old fp32 on openvino, 2 threads at 352x480: measured in A, not in B"):
        require_no_regression(found, 0.5)
    require_no_regression(compare_reports(report(row("both")), report(row("both"), row("new"))), 0.0)


@pytest.mark.parametrize(
    "other", [{"precision": "int8"}, {"engine": "tensorrt"}, {"threads": 1}, {"imgsz": [256, 256]}, {"frame": [352, 480]}]
)
def test_rows_are_matched_by_all_that_makes_a_configuration(other):
    found = compare_reports(report(row()), report(row(**other)))
    assert [one["verdict"] for one in found["rows"]] == [MISSING_B, MISSING_A]


def test_a_row_that_failed_in_b_is_lost():
    failed = row(e2e=())
    found = compare_reports(report(row()), report(failed))
    assert found["rows"][0]["verdict"] == UNMEASURED
    with pytest.raises(GateError, match="not in B"):
        require_no_regression(found, 0.5)
    require_no_regression(compare_reports(report(failed), report(failed)), 0.5)


def test_reports_without_turns_have_no_verdict_and_say_so():
    old, new = (copy.deepcopy(one) for one in (row(), scaled(2.0)))
    for one in (old, new):
        del one["turns"], one["interval"]
    found = compare_reports(report(old), report(new))
    assert found["rows"][0]["verdict"] == UNJUDGED
    assert found["rows"][0]["e2e_ms"]["change"] == pytest.approx(-0.5)
    assert any("without an interval" in text for text in table(found).notes)


@pytest.mark.parametrize(("short", "who"), [("a", "A has"), ("b", "B has"), ("ab", "A and B have")])
def test_a_row_without_an_interval_that_is_beyond_the_limit_fails(short, who):
    """Five turns give no interval. Ten times slower must not pass for want of one; what is within the limit passes."""
    times = [10.0, 10.1, 10.2, 9.9, 9.8, 10.0]
    a, b = (
        row(e2e=[value * scale for value in times[: 5 if side in short else 6]]) for side, scale in (("a", 1), ("b", 10))
    )
    found = compare_reports(report(a, row("fine")), report(b, row("fine")))
    assert [one["verdict"] for one in found["rows"]] == [UNJUDGED, SAME]
    require_no_regression(found, None)
    require_no_regression(found, 0.91)
    with pytest.raises(
        GateError, match=rf"5 %: net fp32 .*: 90.0 % slower .*; 1 more; can't be judged: {who} no interval; meas"
    ):
        require_no_regression(found, 0.05)
    require_no_regression(compare_reports(report(b, row("fine")), report(a, row("fine"))), 0.0)  # ten times faster


def test_a_slowdown_that_is_shown_comes_before_one_that_is_not():
    short = scaled(10)
    short["turns"], short["interval"] = {}, {}
    found = compare_reports(report(row(), row("shown")), report(short, scaled(1.2, model="shown")))
    with pytest.raises(GateError, match=r"shown fp32 on openvino, 2 threads at 352x480: 16.7 % slower \(.*\); 1 more$"):
        require_no_regression(found, 0.05)


def test_what_differs_between_the_machines_and_load_is_said():
    a, b = report(row(other_cores=1.5)), report(row(), cpu="b")
    b["machine"]["packages"] = {"openvino": "2"}
    found = compare_reports(a, b)
    assert found["machines_differ"] == ["cpu", "openvino"]
    assert found["loaded"] == ["A"]
    text = markdown(found, "a.json", "b.json")
    assert "the machines differ in cpu, openvino" in text
    assert (
        "| net | fp32 | openvino | 2 | 352x480 | 720x1280 | 10.00 (9.80–10.20) | 10.00 (9.80–10.20) | +0.0 % | no diff"
        in text
    )


def test_files_that_are_no_reports(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(InputError, match="can't be read"):
        read_report(path)
    for text, said in (
        ("{", "not JSON"),
        ("[]", "not a benchmark report"),
        ('{"rows": [{"model": "x"}]}', "not a benchmark report"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_report(path)
    path.write_text(json.dumps(report(row(), row())))
    with pytest.raises(InputError, match="two rows of net fp32 on openvino"):
        read_report(path)
