"""The measured tables for people."""

from __future__ import annotations

import pytest

from seg_edge.measure.report.tables import markdown, others, rate_cell, table


def test_table_counts_its_footnotes_and_leaves_empty_columns_out(report):
    columns, rows, notes, shared = table(report)
    assert columns[-1] == "note"
    assert any(text.startswith("fed 8 generated street scenes") for text in shared)
    assert not set(shared) & set(notes)
    assert "mIoU %" not in columns
    assert "params M" not in columns
    assert len(rows) == len(report["rows"])
    used = {int(word.strip("[]")) for row in rows for word in row[-1].split()}
    assert used == set(range(1, len(notes) + 1))
    (_, latency), (_, health) = others(report)
    ratio = latency.rows[0][latency.columns.index("e2e ÷ engine")]
    assert "FPS cold" in health.columns
    first = report["rows"][0]
    assert float(ratio) == pytest.approx(first["e2e_ms"]["p50"] / first["engine_ms"]["p50"], abs=0.006)


def test_rates_keep_three_digits():
    assert [rate_cell(value) for value in (0.071, 1.5, 12.34, 131.4, None)] == ["0.07", "1.50", "12.3", "131", "–"]


def test_reference_figures_stand_beside_the_measured_ones_and_say_that_nobody_measured_them_here(report):
    assert [(row["model"], row["miou"], row["fps"]) for row in report["reference"]["rows"]] == [
        ("FCN", 0.712, 28),
        ("U-Net", 0.735, 25),
        ("DeepLabV3", 0.793, 20),
        ("DeepLabV3+", 0.801, 18),
    ]
    assert "DeepLabV3+" not in markdown(report)  # nobody asked for them
    report = report.to_dict()
    report["rows"] = [report["rows"][0], dict(report["rows"][1], model="fcn-resnet50")]
    text = markdown(report)
    assert text.index("| tiny |") < text.index("not measured here") < text.index("| DeepLabV3+ | ResNet-50 | 80.1 | 18 |")
    assert "Cityscapes" in text


def test_what_has_no_instrument_is_said_in_words_beside_rows_that_have_one(report):
    rows = [dict(row, joules_per_frame=None, watts=None, throttled=None) for row in report["rows"][:3]]
    rows[0] |= {"joules_per_frame": 0.25, "watts": 12.0}
    rows[2] |= {"fps_e2e": None}  # not measured at all
    speed = table(report.to_dict() | {"rows": rows})
    assert [row[speed.columns.index("J/frame")] for row in speed.rows] == ["0.250", "not measurable here", "–"]
    ((_, _latency), (_, health)) = others(report.to_dict() | {"rows": rows})
    assert [row[health.columns.index("W")] for row in health.rows] == ["12.0", "not measurable here", "–"]
    assert "throttled" not in health.columns  # nobody could tell: the notes say so
    nobody = table(report.to_dict() | {"rows": rows[1:2]})
    assert "J/frame" not in nobody.columns
