"""Compares two reports of ``bench --json`` row by row, by their intervals: slower, faster, or no difference shown.

Rows without an interval have no verdict. If the median of such a row is beyond a stated limit, the row fails:
otherwise,
every measurement that is too short for an interval would pass.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from ...core.errors import GateError, InputError
from ..instruments.sensors import QUIET_CORES
from .tables import DASH, Table, markdown_table

Key = tuple[Any, ...]
Row = dict[str, Any]

#: The keys by which rows of two reports are matched.
KEY = ("model", "precision", "engine", "threads", "imgsz", "frame", "batch")
METRICS = ("e2e_ms", "engine_ms")
_NAMES = {"e2e_ms": "end to end", "engine_ms": "engine alone"}
SLOWER, FASTER, SAME, UNJUDGED = "slower", "faster", "no difference shown", "no interval"
MISSING_A, MISSING_B, UNMEASURED = "missing in A", "missing in B", "not measured"
_MACHINE = ("cpu", "cores", "arch", "kernel", "os", "governor", "isa", "python")


def read_report(path: str | Path) -> dict[str, Any]:
    """A report that ``bench --json`` wrote.

    Raises:
        InputError: missing, not JSON, or not a report.
    """
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); expected a benchmark's report") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); expected a benchmark's report") from error
    rows = report.get("rows") if isinstance(report, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {*KEY, "e2e_ms", "engine_ms"} <= set(row) for row in rows
    ):
        raise InputError(f"{path}: not a benchmark report; expected what seg-edge bench writes as JSON")
    keys = [_key(row) for row in rows]
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(f"{path}: two rows of {_words(key)}; rename one model, so that rows can be matched")
    return dict(report)


def compare_reports(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Every row of both reports, matched by :data:`KEY`; a file that was renamed, by its hash in place of its name.

    A difference is shown if the two 95 % intervals of the median time don't overlap. If one report has no interval, the
    verdict is :data:`UNJUDGED`. ``change`` is the change of the speed, from the medians of the turns: −0.1 is a tenth
    slower.

    Returns:
        ``machines_differ`` (names of the differing properties), ``loaded`` (the reports that were measured under other
        load) and ``rows``. Each row has the fields of the key, ``verdict`` (end to end), ``e2e_ms`` and ``engine_ms``:
        {a, b, a_interval, b_interval, change, verdict}.
    """
    left, right = ({_key(row): row for row in report["rows"]} for report in (a, b))
    right = _renamed(left, right)
    rows = []
    for key in [*left, *(key for key in right if key not in left)]:
        judged = {metric: _judge(left.get(key), right.get(key), metric) for metric in METRICS}
        about = left.get(key) or right[key]
        rows.append({name: about[name] for name in KEY} | {"verdict": judged["e2e_ms"]["verdict"], **judged})
    return {
        "machines_differ": _differences(a.get("machine") or {}, b.get("machine") or {}),
        "loaded": [name for name, report in (("A", a), ("B", b)) if _loaded(report)],
        "rows": rows,
    }


def require_no_regression(comparison: Mapping[str, Any], max_regression: float | None) -> None:
    """Raises an error if a row lost too much speed between two reports.

    Args:
        comparison: The result of :func:`compare_reports`.
        max_regression: Largest loss of end-to-end or engine speed that passes, as a fraction; None is no limit.

    Raises:
        InputError: ``max_regression`` below 0 or not a number.
        GateError: a row is slower by more than ``max_regression``, and the intervals show it or are missing; or a row
            that was measured in A is missing in B.
    """
    if max_regression is None:
        return
    if not 0 <= max_regression < math.inf:
        raise InputError(f"bench compare: `max_regression` must be 0 % or more, got {100 * max_regression:g}")
    worse, unjudged = (
        [
            (row, metric)
            for row in comparison["rows"]
            for metric in METRICS
            if row[metric]["verdict"] == verdict and row[metric]["change"] < -max_regression
        ]
        for verdict in (SLOWER, UNJUDGED)
    )
    lost = [row for row in comparison["rows"] if row["verdict"] == MISSING_B or _lost(row)]
    if beyond := worse or unjudged:
        row, metric = min(beyond, key=lambda pair: pair[0][pair[1]]["change"])
        problem = f"{_words(_key(row))}: {-100 * row[metric]['change']:.1f} % slower ({_NAMES[metric]})"
        rest = f"; {len(beyond) - 1} more" if len(beyond) > 1 else ""
        why = "" if worse else f"; can't be judged: {_without_interval(row[metric])}; measure longer (6 turns or more)"
        raise GateError(f"bench compare: `max_regression` {100 * max_regression:g} %: {problem}{rest}{why}")
    if lost:
        problem = f"{_words(_key(lost[0]))}: measured in A, not in B"
        rest = f"; {len(lost) - 1} more" if len(lost) > 1 else ""
        raise GateError(f"bench compare: {problem}{rest}; a row that is gone can't be judged")


def table(comparison: Mapping[str, Any]) -> Table:
    """The comparison as a table of cells."""
    columns = [
        "model", "prec.", "engine", "thr.", "batch", "input", "frame", "e2e ms A", "e2e ms B", "FPS change", "verdict",
        "engine alone",
    ]  # fmt: skip
    rows = []
    for row in comparison["rows"]:
        whole, engine = row["e2e_ms"], row["engine_ms"]
        sizes = [f"{size[0]}x{size[1]}" if size else DASH for size in (row["imgsz"], row["frame"])]
        alone = engine["verdict"] + ("" if engine["change"] is None else f" ({_change(engine['change'])})")
        rows.append([
            row["model"], row["precision"] or DASH, row["engine"], str(row["threads"]), str(row["batch"]), *sizes,
            _times(whole, "a"), _times(whole, "b"), _change(whole["change"]), row["verdict"], alone,
        ])  # fmt: skip
    if all(row["batch"] == 1 for row in comparison["rows"]):
        at = columns.index("batch")
        for cells in (columns, *rows):
            del cells[at]
    return Table(columns, rows, remarks(comparison))


def remarks(comparison: Mapping[str, Any]) -> list[str]:
    """Remarks that limit the verdicts, such as different machines."""
    said = []
    if comparison["machines_differ"]:
        said.append(f"the machines differ in {', '.join(comparison['machines_differ'])}")
    if comparison["loaded"]:
        said.append(f"{' and '.join(comparison['loaded'])} measured beside other work: verdicts may be about that work")
    if any(row[metric]["verdict"] == UNJUDGED for row in comparison["rows"] for metric in METRICS):
        said.append("rows without an interval (below 6 turns) can't be judged; measure longer")
    return said


def markdown(comparison: Mapping[str, Any], a: str, b: str) -> str:
    """The comparison as a Markdown document."""
    shown = table(comparison)
    lines = ["# Benchmark comparison", "", f"A: {a}. B: {b}. Intervals: 95 %, of the median time.", ""]
    lines += [*markdown_table(shown.columns, shown.rows), "", *(f"- {text}" for text in shown.notes), ""]
    return "\n".join(lines)


def _judge(a: Mapping[str, Any] | None, b: Mapping[str, Any] | None, metric: str) -> dict[str, Any]:
    times, intervals = [_time(row, metric) for row in (a, b)], [_interval(row, metric) for row in (a, b)]
    change = times[0] / times[1] - 1 if times[0] and times[1] else None
    if a is None or b is None:
        verdict = MISSING_A if a is None else MISSING_B
    elif change is None:
        verdict = UNMEASURED
    elif not intervals[0] or not intervals[1]:
        verdict = UNJUDGED
    elif intervals[1][0] > intervals[0][1]:
        verdict = SLOWER
    else:
        verdict = FASTER if intervals[1][1] < intervals[0][0] else SAME
    return {
        "a": times[0], "b": times[1], "a_interval": intervals[0], "b_interval": intervals[1],
        "change": change, "verdict": verdict,
    }  # fmt: skip


def _time(row: Mapping[str, Any] | None, metric: str) -> float | None:
    if row is None:
        return None
    turns = (row.get("turns") or {}).get(metric)  # reports of older versions have no turns
    value = median(turns) if turns else row[metric]["p50"]
    return None if value is None else float(value)


def _interval(row: Mapping[str, Any] | None, metric: str) -> list[float] | None:
    return None if row is None else (row.get("interval") or {}).get(metric)


def _without_interval(judged: dict[str, Any]) -> str:
    names = [name for name, interval in (("A", judged["a_interval"]), ("B", judged["b_interval"])) if interval is None]
    return f"{' and '.join(names)} {'have' if len(names) > 1 else 'has'} no interval"


def _lost(row: dict[str, Any]) -> bool:
    return row["verdict"] == UNMEASURED and row["e2e_ms"]["a"] is not None


def _differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    names = [name for name in _MACHINE if a.get(name) != b.get(name)]
    mode = [(about.get("jetson") or {}).get("power_mode") for about in (a, b)]
    packages = [about.get("packages") or {} for about in (a, b)]
    names += ["power mode"] if mode[0] != mode[1] else []
    return names + sorted(name for name in {*packages[0], *packages[1]} if packages[0].get(name) != packages[1].get(name))


def _loaded(report: Mapping[str, Any]) -> bool:
    return any((row.get("other_cores") or 0) > QUIET_CORES for row in report["rows"])


def _key(row: Row) -> Key:
    return tuple(tuple(value) if isinstance(value, list) else value for value in (row[name] for name in KEY))


def _renamed(left: Mapping[Key, Row], right: Mapping[Key, Row]) -> dict[Key, Row]:
    """The rows of ``right`` under the keys of ``left``, where a model of the same content has another name there."""
    named: dict[tuple[Any, ...], list[Key]] = {}
    for key, row in left.items():
        if key not in right and row.get("sha256"):
            named.setdefault((row["sha256"], *key[1:]), []).append(key)
    found: dict[Key, Row] = {}
    for key, row in right.items():
        keys = named.get((row.get("sha256"), *key[1:]), []) if key not in left else []
        found[keys[0] if len(keys) == 1 and keys[0] not in found else key] = row
    return found


def _words(key: Sequence[Any]) -> str:
    model, precision, engine, threads, imgsz, _frame, batch = key
    size = f" at {imgsz[0]}x{imgsz[1]}" if imgsz else ""
    return (
        f"{model} {precision or ''}".strip()
        + f" on {engine}, {threads} thread{'s' if threads != 1 else ''}{size}"
        + (f", batch {batch}" if batch != 1 else "")
    )


def _times(judged: dict[str, Any], side: str) -> str:
    value, interval = judged[side], judged[f"{side}_interval"]
    if value is None:
        return DASH
    return f"{value:.2f}" + (f" ({interval[0]:.2f}–{interval[1]:.2f})" if interval else "")


def _change(change: float | None) -> str:
    return DASH if change is None else f"{100 * change:+.1f} %"
