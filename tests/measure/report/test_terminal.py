"""Tables at the widths that terminals have: nothing is cut, and what stays out is named."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from seg_edge.cli import bench as cli
from seg_edge.measure.report.tables import Table, others
from seg_edge.measure.report.terminal import fit, remarks, speed

RECORDED = json.loads((Path(__file__).parents[3] / "benchmarks/results/table.json").read_text(encoding="utf-8"))


@pytest.fixture(params=[40, 60, 80, 100, 120, 160, 250])
def width(request):
    return request.param


def shown(monkeypatch, width):
    text = io.StringIO()
    monkeypatch.setattr(cli, "console", lambda: Console(file=text, width=width))
    cli._print(RECORDED)
    return text.getvalue()


def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(monkeypatch, width):
    text = shown(monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    row = RECORDED["rows"][-1]  # unet-s int8
    low, high = row["interval"]["fps_e2e"]
    assert f"{row['fps_e2e']:.1f} ±{(high - low) / 2:.1f}" in text
    for name in ("unet-mobilenetv2", "lraspp-mobilenetv3"[: width // 3]):
        assert name in text


@pytest.mark.parametrize("at", [0, 1, 2])
def test_every_column_stands_or_is_named(width, at):
    table = [speed(RECORDED), *(more for _, more in others(RECORDED))][at]
    found = fit(table, width)
    gone = len(table.columns) - len(found.table.columns)
    assert gone == len(found.same) + len(found.left_out)
    assert (len(found.widths), gone) == (len(found.table.columns), gone)
    assert bool(remarks(found, width)) == bool(gone)
    for title, cells in zip(found.table.columns, zip(*found.table.rows, strict=True), strict=True):
        assert list(cells) == [row[table.columns.index(title)] for row in table.rows]


def test_the_most_important_columns_stand_at_80_characters():
    found = fit(speed(RECORDED), 80)
    assert found.table.columns == ["model", "prec.", "FPS engine", "FPS e2e", "ratio", "note"]
    assert found.same == ["engine openvino", "2 threads", "input 352x480"]
    assert found.left_out == ["params M", "GMAC", "mIoU %", "published ratio"]
    assert remarks(found, 80)[1].startswith("no room at 80 characters for: params M, GMAC, mIoU %, published ratio; see")


def test_a_wide_terminal_has_all_of_it_in_single_lines():
    table = speed(RECORDED)
    found = fit(table, 170)
    assert found.table == table
    assert (found.same, found.left_out) == ([], [])
    assert all(width >= len(cell) for row in table.rows for width, cell in zip(found.widths, row, strict=True))


def test_rows_that_differ_keep_their_column():
    rows = [["a" * 30, "openvino", "1", "1.0"], ["b" * 30, "openvino", "2", "2.0"]]
    found = fit(Table(["model", "engine", "thr.", "FPS e2e"], rows), 56)
    assert found.table.columns == ["model", "thr.", "FPS e2e"]
    assert found.same == ["engine openvino"]
    single = fit(Table(["model", "engine", "thr.", "FPS e2e"], rows[:1]), 40)
    assert "engine" in [*single.table.columns, *single.left_out]


def test_a_very_long_name_breaks():
    table = Table(["model", "FPS e2e"], [["x" * 200, "12.3 ±0.4"]])
    found = fit(table, 60)
    assert found.table.columns == table.columns
    assert sum(found.widths) + 7 <= 60
