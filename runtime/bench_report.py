"""The measured table for people: cells, footnotes, Markdown, all from the report that ``bench --json`` writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .machine import summary

DASH = "–"

_COLUMNS = (
    "model", "prec.", "engine", "thr.", "input", "params M", "GMAC", "MB", "engine ms p50 / p95 / p99",
    "end to end ms p50 / p95 / p99", "e2e ÷ engine", "ms pre + engine + post", "FPS engine", "FPS e2e", "mIoU %", "W",
    "J/frame", "°C", "note",
)  # fmt: skip
#: Columns of text; the others hold numbers and are aligned to the right.
TEXT_COLUMNS = ("model", "prec.", "engine", "note")
REFERENCE_COLUMNS = ("model", "backbone", "mIoU %", "FPS")


def table(report: dict[str, Any]) -> tuple[list[str], list[list[str]], list[str]]:
    """Column titles, rows of cells, and the footnotes that the cells in ``note`` count from 1.

    A column that nobody could fill is left out.
    """
    remarks: dict[str, int] = {}
    cells = []
    for row in report["rows"]:
        numbers = [remarks.setdefault(text, len(remarks) + 1) for text in row["note"].split("; ") if text]
        cells.append([*_cells(row), " ".join(f"[{i}]" for i in numbers)])
    keep = [i for i in range(len(_COLUMNS)) if any(row[i] not in (DASH, "") for row in cells)]
    return [_COLUMNS[i] for i in keep], [[row[i] for i in keep] for row in cells], list(remarks)


def title(report: dict[str, Any]) -> str:
    """What the measured table is about."""
    rows = report["rows"]
    height, width = rows[0]["frame"]
    about = report["machine"]
    return f"{width}x{height} frames, batch {rows[0]['batch']}, on {summary(about)}; kernels {about['isa']}"


def reference_rows(report: dict[str, Any]) -> list[list[str]]:
    """Cells of the reference table, for :data:`REFERENCE_COLUMNS`."""
    return [[row["model"], row["backbone"], _percent(row["miou"]), f"{row['fps']:g}"] for row in report["reference"]["rows"]]


def reference_title(report: dict[str, Any]) -> str:
    """What the reference table is, and that nobody measured it here."""
    reference = report["reference"]
    return f"For reference: {reference['dataset']}, {reference['source']}"


def markdown(report: dict[str, Any]) -> str:
    """The report as a Markdown document: measured table, footnotes, reference table."""
    columns, rows, notes = table(report)
    lines = ["# Benchmark", "", f"Measured: {title(report)}.", "", *_markdown_table(columns, rows), ""]
    lines += [f"{i}. {text}" for i, text in enumerate(notes, 1)]
    lines += [
        "", "Engine: the network alone, its input ready in memory.",
        "End to end: frame in memory to blended overlay in memory. FPS: runs ÷ elapsed time. Stages: medians.",
        "", "## Reference", "", f"{reference_title(report)}.", "",
        *_markdown_table(REFERENCE_COLUMNS, reference_rows(report)), "",
    ]  # fmt: skip
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> list[str]:
    engine, whole, stages = row["engine_ms"], row["e2e_ms"], row["stages_ms"]
    ratio = whole["p50"] / engine["p50"] if whole["p50"] and engine["p50"] else None
    size = row["imgsz"]
    return [
        row["model"],
        row["precision"] or DASH,
        row["engine"],
        str(row["threads"]),
        f"{size[0]}x{size[1]}" if size else DASH,
        _number(row["params"], 2, 1e-6),
        _number(row["macs"], 2, 1e-9),
        _number(row["bytes"], 2, 1e-6),
        _joined((engine["p50"], engine["p95"], engine["p99"]), " / "),
        _joined((whole["p50"], whole["p95"], whole["p99"]), " / "),
        _number(ratio, 2),
        _joined((stages["pre"], stages["engine"], stages["post"]), " + "),
        _number(row["fps_engine"], 1),
        _number(row["fps_e2e"], 1),
        _percent(row["miou"]),
        _number(row["watts"], 1),
        _number(row["joules_per_frame"], 3),
        _number(row["temperature_c"], 0),
    ]


def _number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return DASH if value is None else f"{value * scale:.{digits}f}"


def _joined(values: Sequence[float | None], between: str) -> str:
    # Three or four digits: more are noise, and would not fit beside each other.
    return DASH if None in values else between.join(_number(value, 2 if value and value < 10 else 1) for value in values)


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}"


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---" if column in TEXT_COLUMNS or column == "backbone" else "---:" for column in columns]
    return [line(columns), "| " + " | ".join(rule) + " |", *map(line, rows)]
