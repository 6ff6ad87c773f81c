"""Tables of a benchmark: cells, footnotes, Markdown and CSV, all from the report of ``bench --json``."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...runtime.machine.system import summary

DASH = "–"
#: Text of a cell in a measured row if the machine has no instrument for it; the row's note gives the reason.
NOT_MEASURABLE = "not measurable here"
# Values of a row that need an instrument. If they are missing, the CSV says so, because a blank would be ambiguous.
_INSTRUMENTS = ("watts", "joules_per_frame", "power_source", "temperature_c", "throttled", "cpu")
CAMERA_STAGES = ("capture", "pre", "engine", "post", "sink")
Row = dict[str, Any]


class Column(NamedTuple):
    """A title, and a function from a row to its cell; a dash for a missing value."""

    title: str
    cell: Callable[[Row], str]


class Table(NamedTuple):
    """Titles, rows of cells, footnotes (numbered from 1 in the cells of ``note``), and remarks common to all rows."""

    columns: list[str]
    rows: list[list[str]]
    notes: Sequence[str] = ()
    shared: Sequence[str] = ()


_WHO = (
    Column("model", lambda row: str(row["model"])),
    Column("prec.", lambda row: row["precision"] or DASH),
    Column("engine", lambda row: str(row["engine"])),
    Column("thr.", lambda row: str(row["threads"])),
    Column("batch", lambda row: str(row["batch"])),
)
SPEED = (
    *_WHO,
    Column("input", lambda row: _size(row["imgsz"])),
    Column("params M", lambda row: number_cell(row["params"], 2, 1e-6)),
    Column("GMAC", lambda row: number_cell(row["macs"], 2, 1e-9)),
    Column("mIoU %", lambda row: _percent(row["miou"])),
    Column("FPS engine", lambda row: rate_cell(row["fps_engine"])),
    Column("FPS e2e", lambda row: rate_cell(row["fps_e2e"])),
    Column("95 %", lambda row: _range(row["interval"]["fps_e2e"])),
    Column("ratio", lambda row: rate_cell(row["ratio"]["e2e"]) if row["ratio"] else DASH),
    Column("95 %", lambda row: _range(row["ratio"]["e2e_interval"]) if row["ratio"] else DASH),
    Column("published ratio", lambda row: number_cell(row["ratio"]["published"], 2) if row["ratio"] else DASH),
    Column("J/frame", lambda row: _read(row, number_cell(row["joules_per_frame"], 3))),
)
_LATENCY = (
    *_WHO,
    Column("MB", lambda row: number_cell(row["bytes"], 2, 1e-6)),
    Column("engine p50 / p95 / p99", lambda row: _percentiles(row["engine_ms"])),
    Column("end to end p50 / p95 / p99", lambda row: _percentiles(row["e2e_ms"])),
    Column("e2e ÷ engine", lambda row: number_cell(_quotient(row), 2)),
    Column("pre + engine + post", lambda row: _joined(list(row["stages_ms"].values()), " + ")),
    Column("engine ratio", lambda row: rate_cell(row["ratio"]["engine"]) if row["ratio"] else DASH),
)
_HEALTH = (
    *_WHO,
    Column("FPS cold", lambda row: rate_cell(row["fps_cold"])),
    Column("start ms", lambda row: number_cell(row["startup_ms"], 0)),
    Column("model in memory MB", lambda row: number_cell(row["memory"]["model_bytes"], 1, 1e-6)),
    Column("process peak MB", lambda row: number_cell(row["memory"]["process_peak_bytes"], 0, 1e-6)),
    Column("W", lambda row: _read(row, number_cell(row["watts"], 1))),
    Column("°C", lambda row: _read(row, number_cell(row["temperature_c"], 0))),
    Column("CPU MHz", lambda row: _read(row, _range(row["clocks_mhz"]["cpu"], 0))),
    Column("GPU MHz", lambda row: _range(row["clocks_mhz"]["gpu"], 0)),
    Column("throttled", lambda row: _read(row, _throttled(row["throttled"]))),
    Column("others' cores", lambda row: number_cell(row["other_cores"], 1)),
)
_CAMERA = (
    *_WHO,
    Column("FPS at the sink", lambda row: number_cell(row["camera"]["fps"], 1)),
    Column("frames in", lambda row: str(row["camera"]["frames_in"])),
    Column("dropped", lambda row: str(sum(row["camera"]["dropped"].values()))),
    Column("frame age ms p50 / p95 / p99", lambda row: _percentiles(row["camera"]["frame_age_ms"])),
    Column(
        "ms capture + pre + engine + post + sink",
        lambda row: _joined([row["camera"]["stages_ms"][key]["p50"] for key in CAMERA_STAGES], " + "),
    ),
)
#: Columns of text; the other columns have numbers and are right-aligned.
TEXT_COLUMNS = ("model", "prec.", "engine", "note", "throttled", "backbone", "verdict", "engine alone")
REFERENCE_COLUMNS = ("model", "backbone", "mIoU %", "FPS")


def table(report: Mapping[str, Any]) -> Table:
    """The speed table, one line per row of the report, without empty columns."""
    return numbered(SPEED, report["rows"])


def numbered(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """The cells of rows, with a last column that has the numbers of the footnotes with their remarks."""
    said = [[text for text in row["note"].split("; ") if text] for row in rows]
    # A remark of all rows is printed once.
    shared = [text for text in said[0] if len(said) > 1 and all(text in remarks for remarks in said)]
    numbers: dict[str, int] = {}
    made = _table(columns, rows)
    lines = [
        [*cells, " ".join(f"[{numbers.setdefault(text, len(numbers) + 1)}]" for text in remarks if text not in shared)]
        for cells, remarks in zip(made.rows, said, strict=True)
    ]
    return Table([*made.columns, "note"], lines, list(numbers), shared)


def others(report: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """The other tables with titles: latency; start, memory, power, heat; camera to sink if it was measured."""
    shown = [
        ("Latency, milliseconds", _table(_LATENCY, report["rows"])),
        ("Start, memory, power, heat", _table(_HEALTH, report["rows"])),
    ]
    rows = [row for row in report["rows"] if row["camera"]]
    if rows:
        seen = rows[0]["camera"]
        heading = f"Camera to sink: {seen['source']} to {seen['sink']}, {seen['seconds']:.1f} s each"
        shown.append((heading, _table(_CAMERA, rows)))
    return shown


def ratio_title(report: Mapping[str, Any]) -> str | None:
    """A title that names the reference of the ratios; None without ratios."""
    to = next((row["ratio"]["to"] for row in report["rows"] if row["ratio"]), None)
    if to is None:
        return None
    return f"Ratio: FPS ÷ that of {to}, turn by turn; published: the ratio of the published FPS, of another machine."


def health(report: Mapping[str, Any]) -> Table:
    """The table of cold start, memory, power, heat and clocks, without empty columns."""
    return _table(_HEALTH, report["rows"])


def camera(report: Mapping[str, Any]) -> Table | None:
    """The table from camera to sink; None if it was not measured."""
    rows = [row for row in report["rows"] if row["camera"]]
    return _table(_CAMERA, rows) if rows else None


def title(report: Mapping[str, Any]) -> str:
    """The title of the measured table."""
    rows = report["rows"]
    height, width = rows[0]["frame"]
    about = report["machine"]
    batches = ", ".join(map(str, sorted({row["batch"] for row in rows})))
    return f"{width}x{height} frames, batch {batches}, on {summary(about)}; kernels {about['isa']}"


def has_reference(report: Mapping[str, Any]) -> bool:
    """Whether published figures belong beside the measured ones: one of their networks was measured (``--table``)."""
    published = {row["network"] for row in report["reference"]["rows"]}
    return any(row["model"] in published for row in report["rows"])


def reference_rows(report: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the reference table, for :data:`REFERENCE_COLUMNS`."""
    return [[row["model"], row["backbone"], _percent(row["miou"]), f"{row['fps']:g}"] for row in report["reference"]["rows"]]


def reference_title(report: Mapping[str, Any]) -> str:
    """The title of the reference table, which says that it was not measured here."""
    reference = report["reference"]
    return f"For reference: {reference['dataset']}, {reference['source']}"


_LEGEND = (
    "Engine: the network alone, its input ready in memory. End to end: frame in memory to blended overlay in memory.",
    "FPS: runs ÷ elapsed time; 95 %: interval of the median over the turns (order statistics). Stages: medians.",
)
_BATCHES = (
    "Batches: milliseconds are those of a whole batch, which each of its frames waits for; FPS and joules are per frame."
)


def legend(report: Mapping[str, Any]) -> list[str]:
    """Sentences that explain the columns."""
    ratios = ratio_title(report)
    several = [_BATCHES] if any(row["batch"] != 1 for row in report["rows"]) else []
    return [*_LEGEND, *several, *([ratios] if ratios else [])]


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a Markdown document: measured tables, footnotes; the reference table where its networks ran."""
    speed = table(report)
    lines = ["# Benchmark", "", f"Measured: {title(report)}.", "", *markdown_table(speed.columns, speed.rows), ""]
    lines += [f"{i}. {text}" for i, text in enumerate(speed.notes, 1)]
    lines += [f"- All rows: {text}" for text in speed.shared]
    lines += ["", *legend(report), ""]
    for heading, more in others(report):
        lines += [f"## {heading}", "", *markdown_table(more.columns, more.rows), ""]
    if has_reference(report):
        lines += [
            "## Reference", "", f"{reference_title(report)}.", "",
            *markdown_table(REFERENCE_COLUMNS, reference_rows(report)), "",
        ]  # fmt: skip
    return "\n".join(lines)


def csv_text(report: Mapping[str, Any]) -> str:
    """Every row with every value of the JSON report except the turns, one column per value (``e2e_ms.p50``).

    Null is an empty cell. A value of a measured row for which the machine has no instrument is ``not measurable here``.
    """
    flat = [_flat(row, measured=row["fps_e2e"] is not None) for row in report["rows"]]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _flat(value: Any, prefix: str = "", measured: bool = True) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if isinstance(inner, dict):
            flat |= _flat(inner, f"{name}.", measured)
        elif inner is None and measured and key in _INSTRUMENTS:
            flat[name] = NOT_MEASURABLE
        elif key in ("imgsz", "frame") and inner:
            flat[name] = f"{inner[0]}x{inner[1]}"
        elif isinstance(inner, list) and len(inner) == 2 and prefix in ("interval.", "clocks_mhz."):
            flat |= {f"{name}.low": inner[0], f"{name}.high": inner[1]}
        elif isinstance(inner, list):
            if key == "throttled":
                flat[name] = ", ".join(inner) or "no"
        else:
            flat[name] = inner
    return flat


def _table(columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    cells = [[column.cell(row) for column in columns] for row in rows]
    # Empty columns are left out, and a batch that is 1 in all rows.
    empty = {DASH, NOT_MEASURABLE}, {DASH, "1"}
    keep = [i for i in range(len(columns)) if not {row[i] for row in cells} <= empty[columns[i].title == "batch"]]
    return Table([columns[i].title for i in keep], [[row[i] for i in keep] for row in cells])


def _quotient(row: Row) -> float | None:
    whole, engine = row["e2e_ms"]["p50"], row["engine_ms"]["p50"]
    return whole / engine if whole and engine else None


def _size(size_hw: Sequence[int] | None) -> str:
    return f"{size_hw[0]}x{size_hw[1]}" if size_hw else DASH


def number_cell(value: float | None, digits: int, scale: float = 1.0) -> str:
    return DASH if value is None else f"{value * scale:.{digits}f}"


def rate_cell(value: float | None) -> str:
    """A rate with about three digits: 0.07 must not become 0.1, and 131.4 is no better than 131."""
    return DASH if value is None else f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _range(values: Sequence[float] | None, digits: int | None = None) -> str:
    if values is None:
        return DASH
    low, high = (rate_cell(value) if digits is None else f"{value:.{digits}f}" for value in values)
    return low if low == high else f"{low}–{high}"


def _read(row: Row, text: str) -> str:
    """A cell with the reading of an instrument."""
    return NOT_MEASURABLE if text == DASH and row["fps_e2e"] is not None else text


def _throttled(reasons: Sequence[str] | None) -> str:
    return DASH if reasons is None else ", ".join(reasons) or "no"


def _percentiles(values: dict[str, float | None]) -> str:
    return _joined([values["p50"], values["p95"], values["p99"]], " / ")


def _joined(values: Sequence[float | None], between: str) -> str:
    # Three or four digits: further digits are noise and need too much width.
    return DASH if None in values else between.join(number_cell(value, 2 if value and value < 10 else 1) for value in values)


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = ["---" if column in TEXT_COLUMNS else "---:" for column in columns]
    return [line(columns), "| " + " | ".join(rule) + " |", *map(line, rows)]
