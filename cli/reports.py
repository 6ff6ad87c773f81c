"""Prints and writes the reports of stages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .common import console, print_table

if TYPE_CHECKING:
    from ..core.errors import GateError
    from ..core.report import Report


def show(report: Report, *, left: int = 1, whole: str = "") -> None:
    """Prints the title and the table of a report.

    Args:
        report: The report.
        left: Number of left-aligned columns at the beginning; the rest are numbers.
        whole: Title of a column whose cells are never wrapped, because users copy them.
    """
    from rich.table import Table

    cells = report.table()
    if cells is None:
        console().print(report.title(), markup=False, highlight=False, soft_wrap=True)
        return
    table = Table()
    for i, title in enumerate(cells[0]):
        table.add_column(title, justify="left" if i < left or not title else "right", no_wrap=bool(title) and title == whole)
    for row in cells[1]:
        table.add_row(*row)
    print_table(report.title(), table)


def finish(report: Report, json: Path | None, broken: GateError | None, *, left: int = 1, whole: str = "") -> None:
    """Prints the report of a gated stage and the broken limits, writes the report, and raises ``broken`` if given.

    Raises:
        GateError: ``broken``.
    """
    show(report, left=left, whole=whole)
    for gate in getattr(report, "gates", ()):
        if not gate.passed:
            console().print(f"broken: {gate.name}: {gate.value:.4g}, limit {gate.limit:.4g}", highlight=False)
    if json is not None:
        from ..core.artefact import write_json

        write_json(json, report.to_dict())
    if broken is not None:
        raise broken
