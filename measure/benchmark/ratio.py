"""How much faster each row is than one of them: published figures of another machine only mean something as ratios."""

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
    """Gives every row its speed ÷ that of the row of model ``to`` with the same engine, threads and sizes.

    Both were measured in the same turns, so the ratio is taken turn by turn and what slows the whole machine cancels out;
    the figure is the median of the turns; see :func:`paired_ratios`. A row without a partner keeps null.

    Raises:
        UnknownNameError: no row of that model.
    """
    if not any(row["model"] == to for row in rows):
        raise UnknownNameError("reference row", to, {row["model"] for row in rows})
    for row in rows:
        # Of several files of the reference (fp32, int8) the first counts, in the order in which they were given.
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
                ratios = [1.0] * len(ratios)  # not a rounding error beside it
            ratio[kind] = median(ratios) if ratios else None
            ratio[f"{kind}_interval"] = median_interval(ratios)
        row["ratio"] = ratio


def paired_ratios(
    mine: Sequence[float], mine_at_s: Sequence[float], theirs: Sequence[float], theirs_at_s: Sequence[float]
) -> list[float]:
    """Each of my rates ÷ theirs at the same moment.

    No two configurations are measured at the same moment, and turns with large networks are many seconds long. So the other
    rate is interpolated between the turns before and after mine, linearly in its logarithm: an even drift cancels out.
    Before the first and after the last of its turns it is that turn's rate.

    Args:
        mine, theirs: Rates above 0.
        mine_at_s, theirs_at_s: When they were measured, rising.
    """
    if not theirs:
        return []
    expected = np.exp(np.interp(mine_at_s[: len(mine)], theirs_at_s[: len(theirs)], np.log(theirs)))
    return [float(a / b) for a, b in zip(mine, expected, strict=True)]


def published_ratio(model: str, to: str) -> float | None:
    """The ratio of the two published rates; None where one of them is not published."""
    rates = {row["network"]: row["fps"] for row in REFERENCE["rows"]}
    return rates[model] / rates[to] if model in rates and to in rates else None


def _same(a: Row, b: Row) -> bool:
    return all(a[key] == b[key] for key in ("engine", "threads", "imgsz", "frame", "batch"))
