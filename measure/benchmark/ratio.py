"""Speed ratios of rows to a reference row; only ratios can be compared with published figures of another machine."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from ...core.errors import UnknownNameError
from ...runtime.pipeline.stats import median_interval
from .reference_table import REFERENCE

Row = dict[str, Any]


def add_ratios(rows: Sequence[Row], to: str) -> None:
    """Adds to every row the ratio of its speed to that of model ``to`` with the same engine, threads and sizes.

    Both rows were measured in the same turns, so the ratio is computed turn by turn and changes of the whole machine
    cancel out. The figure is the median over the turns; see :func:`paired_ratios`. A row without a partner keeps null.

    Raises:
        UnknownNameError: no row of that model.
    """
    if not any(row["model"] == to for row in rows):
        raise UnknownNameError("reference row", to, {row["model"] for row in rows})
    for row in rows:
        # Of several files of the reference (fp32, int8), the first one in the caller's order is used.
        partner = next((other for other in rows if other["model"] == to and _same(other, row)), None)
        if row["fps_e2e"] is None:
            continue
        if partner is None or partner["fps_e2e"] is None:
            row["note"] += f"; no ratio: {to} was not measured at this input size with this engine and number of threads"
            continue
        ratio: dict[str, Any] = {"to": f"{to} {partner['precision']}", "published": published_ratio(row["model"], to)}
        for kind in ("e2e", "engine"):
            mine, theirs = row["turns"][f"fps_{kind}"], partner["turns"][f"fps_{kind}"]
            ratios = paired_ratios(mine, row["turns_at_s"], theirs, partner["turns_at_s"])
            if partner is row:
                ratios = [1.0] * len(ratios)  # exactly 1, without rounding errors
            ratio[kind] = median(ratios) if ratios else None
            ratio[f"{kind}_interval"] = median_interval(ratios)
        row["ratio"] = ratio


def paired_ratios(
    mine: Sequence[float], mine_at_s: Sequence[float], theirs: Sequence[float], theirs_at_s: Sequence[float]
) -> list[float]:
    """Each rate of ``mine``, divided by the rate of ``theirs`` at the same time.

    Two configurations are never measured at the same time, and turns with large networks take many seconds. So the rate
    of ``theirs`` is interpolated between the turns before and after, linearly in its logarithm, and a steady drift
    cancels out. Before its first turn and after its last one, the rate of that turn is used.

    Args:
        mine, theirs: Rates above 0.
        mine_at_s, theirs_at_s: Times of the measurements, in seconds, ascending.
    """
    if not theirs:
        return []
    expected = np.exp(np.interp(mine_at_s[: len(mine)], theirs_at_s[: len(theirs)], np.log(theirs)))
    return [float(a / b) for a, b in zip(mine, expected, strict=True)]


def published_ratio(model: str, to: str) -> float | None:
    """The ratio of two published rates; None if one of them is not published."""
    rates = {row["network"]: row["fps"] for row in REFERENCE["rows"]}
    return rates[model] / rates[to] if model in rates and to in rates else None


def _same(a: Row, b: Row) -> bool:
    return all(a[key] == b[key] for key in ("engine", "threads", "imgsz", "frame", "batch"))
