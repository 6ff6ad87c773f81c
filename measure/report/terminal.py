"""Tables that fit a terminal: important columns first, numbers are never cut, and omitted columns are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .tables import DASH, SPEED, Column, Table, number_cell, numbered, rate_cell

#: Width of each column beside its text: a blank on both sides and a line.
_FRAME = 3
#: Columns that describe the configuration. A value that is the same in all rows can be printed once.
_ABOUT = ("prec.", "engine", "thr.", "batch", "input", "frame")
#: Columns by importance; the other columns follow in the order of the table.
FIRST = (
    "model", "FPS e2e", "prec.", "engine", "thr.", "batch", "ratio", "note", "FPS engine", "mIoU %", "published ratio",
    "end to end p50 / p95 / p99", "engine p50 / p95 / p99", "e2e ÷ engine", "pre + engine + post", "frames in", "dropped",
    "e2e ms A", "e2e ms B", "FPS change", "verdict",
)  # fmt: skip
#: Explanation of the folded cells.
LEGEND = "±: half the width of the 95 % interval; reports in files have both ends."
_LEAST_NAME = 16


class Fitted(NamedTuple):
    """A table within a given width.

    Attributes:
        table: Its columns and cells.
        widths: Width of each column; a longer cell breaks at its blanks.
        same: Values that are the same in all rows and have no column: ``"engine openvino"``.
        left_out: Titles of the omitted columns.
    """

    table: Table
    widths: list[int]
    same: list[str]
    left_out: list[str]


def speed(report: Mapping[str, Any]) -> Table:
    """The speed table with the intervals folded into the cells: ``12.3 ±0.4`` is half the width of the 95 % interval.

    The JSON, CSV, Markdown and HTML reports have both ends.
    """
    columns: list[Column] = []
    for column in SPEED:
        if column.title == "95 %":
            continue
        folded = {"FPS engine": _fps("engine"), "FPS e2e": _fps("e2e"), "ratio": _ratio}.get(column.title, column.cell)
        columns.append(Column(column.title, folded))
    return numbered(columns, report["rows"])


def fit(table: Table, width: int) -> Fitted:
    """Chooses columns so that the table fits ``width`` characters and nothing is cut.

    If the table is too wide, columns with the same value in all rows become a line of text. If that is not enough,
    cells with several numbers may break. If that is not enough either, the least important columns are left out. The
    first column is always shown, and breaks if necessary.
    """
    keep = list(range(len(table.columns)))
    wide = [max(_words_width(table.columns[i]), *(len(row[i]) for row in table.rows), 1) for i in keep]
    same: list[str] = []
    if _total(wide) > width and len(table.rows) > 1:
        constant = [i for i in keep if table.columns[i] in _ABOUT and len({row[i] for row in table.rows}) == 1]
        same = [_said(table.columns[i], table.rows[0][i]) for i in constant]
        keep = [i for i in keep if i not in constant]
    narrow = [
        min(wide[i], max(map(_words_width, (table.columns[i], *(row[i] for row in table.rows))))) for i in range(len(wide))
    ]
    narrow = [narrow[i] if _breaks(table.columns[i]) else wide[i] for i in range(len(wide))]
    if keep and _total([narrow[i] for i in keep]) > width:
        narrow[0] = min(narrow[0], max(_LEAST_NAME, width // 3))
    order = sorted(keep, key=lambda i: FIRST.index(table.columns[i]) if table.columns[i] in FIRST else len(FIRST))
    chosen: list[int] = []
    for i in order:
        if not chosen or _total([narrow[j] for j in (*chosen, i)]) <= width:
            chosen.append(i)
    left = width - _total([narrow[i] for i in chosen])
    widths = {}
    for i in chosen:  # important columns first get the width of one line
        widths[i] = min(wide[i], narrow[i] + max(left, 0))
        left -= widths[i] - narrow[i]
    for i in chosen:  # titles that break get the remaining width
        more = min(max(len(table.columns[i]) - widths[i], 0), max(left, 0))
        widths[i], left = widths[i] + more, left - more
    shown = sorted(chosen)
    cells = [[row[i] for i in shown] for row in table.rows]
    out = [table.columns[i] for i in keep if i not in widths]
    fitted = Table([table.columns[i] for i in shown], cells, table.notes, table.shared)
    return Fitted(fitted, [widths[i] for i in shown], same, out)


def remarks(fitted: Fitted, width: int) -> list[str]:
    """Sentences about common values and omitted columns."""
    said = [f"all rows: {', '.join(fitted.same)}"] if fitted.same else []
    if fitted.left_out:
        said.append(
            f"no room at {width} characters for: {', '.join(fitted.left_out)}; see --markdown, --csv, --json or --html"
        )
    return said


def _fps(kind: str) -> Any:
    def cell(row: dict[str, Any]) -> str:
        return _folded(row[f"fps_{kind}"], (row.get("interval") or {}).get(f"fps_{kind}"))

    return cell


def _ratio(row: dict[str, Any]) -> str:
    return _folded(row["ratio"]["e2e"], row["ratio"]["e2e_interval"]) if row["ratio"] else DASH


def _folded(value: float | None, interval: Sequence[float] | None) -> str:
    text = rate_cell(value)
    if value is None or not interval or interval[0] == interval[1]:
        return text
    digits = len(text.partition(".")[2])
    return f"{text} ±{number_cell((interval[1] - interval[0]) / 2, digits)}"


def _said(title: str, cell: str) -> str:
    return {"thr.": f"{cell} thread{'' if cell == '1' else 's'}", "prec.": cell}.get(title, f"{title} {cell}")


def _breaks(title: str) -> bool:
    """Whether a column's cells have several values, which may be on several lines."""
    return (
        title == "note"
        or " / " in title
        or " + " in title
        or title in ("throttled", "engine alone")
        or title.startswith("e2e ms")
    )


def _words_width(text: str) -> int:
    """Width of the longest part that can't break; an operator stays with the word before."""
    return max(map(len, re.split(r"(?<![/+]) (?![/+])|(?<=[/+]) ", text)), default=0)


def _total(widths: Sequence[int]) -> int:
    return 1 + sum(width + _FRAME for width in widths)
