"""A finished benchmark: its report, checks of its limits, and a warning about other load on the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import EngineError, GateError
from ...core.report import MappingReport
from ..instruments.sensors import QUIET_CORES, processes_text
from ..report import tables

Row = Mapping[str, Any]


class BenchReport(MappingReport):
    """The rows of a benchmark with machine, load, method and reference figures, as in ``bench --json``.

    A configuration that failed is a row of nulls with a note.
    """

    def title(self) -> str:
        return tables.title(self)

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        speed = tables.table(self)
        return speed.columns, speed.rows


def require_measured(report: Mapping[str, Any]) -> None:
    """Raises EngineError if no configuration could be measured; the text gives the reason of the first one.

    >>> row = {"model": "a", "precision": "int8", "engine": "openvino", "threads": 1, "batch": 1, "fps_e2e": None}
    >>> require_measured({"rows": [row | {"note": "not measured: a.onnx: no such file"}]})
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.EngineError: bench: no configuration could be measured: a int8 on openvino...
    """
    rows = report["rows"]
    if all(row["fps_e2e"] is None for row in rows):
        raise EngineError(f"bench: no configuration could be measured: {_named(rows[0])}: {rows[0]['note']}")


def require_fps(report: Mapping[str, Any], min_fps: float) -> None:
    """Raises GateError if a row has less than ``min_fps`` end-to-end frames per second, or could not be measured.

    >>> row = {"model": "a", "precision": "int8", "engine": "openvino", "threads": 1, "batch": 1, "fps_e2e": 24.0}
    >>> require_fps({"rows": [row]}, 30)
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.GateError: bench: 1 of 1 rows miss `min_fps` 30: a int8 on openvino, ...
    """
    rows = report["rows"]
    slow = [row for row in rows if row["fps_e2e"] is None or not row["fps_e2e"] >= min_fps]
    if slow:
        worst = min(slow, key=lambda row: row["fps_e2e"] or 0.0)
        got = "was not measured" if worst["fps_e2e"] is None else f"reached {worst['fps_e2e']:.1f} FPS end to end"
        raise GateError(f"bench: {len(slow)} of {len(rows)} rows miss `min_fps` {min_fps:g}: {_named(worst)} {got}")


def load_warning(report: Mapping[str, Any]) -> str | None:
    """A warning if other processes used the machine during the benchmark, or None."""
    disturbed = [row for row in report["rows"] if (row["other_cores"] or 0) > QUIET_CORES]
    if not disturbed:
        return None
    busy = processes_text(report["load"]["processes"])
    return (
        f"{len(disturbed)} of {len(report['rows'])} rows were measured while other processes used more than {QUIET_CORES:g} "
        f"cores{f': {busy}' if busy else ''}: the times are too long; stop those processes and measure again"
    )


def _named(row: Row) -> str:
    threads = f"{row['threads']} thread{'s' if row['threads'] != 1 else ''}"
    batch = f", batch {row['batch']}" if row["batch"] != 1 else ""
    return f"{row['model']} {row['precision'] or ''}".strip() + f" on {row['engine']}, {threads}{batch}"
