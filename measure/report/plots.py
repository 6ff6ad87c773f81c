"""Plots of a benchmark: accuracy against speed, and time per stage. Needs matplotlib (the extra ``report``)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]

STAGES = ("capture", "pre", "engine", "post", "sink")
# Okabe and Ito's palette, which colour-blind readers can distinguish.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_STAGE_COLOURS = dict(zip(STAGES, ("#999999", "#56B4E9", "#0072B2", "#E69F00", "#CC79A7"), strict=True))
_MARKERS = "os^Dv<>PX*"
_DPI = 130


def images(report: Mapping[str, Any]) -> tuple[dict[str, bytes], list[str]]:
    """PNG files by name (``pareto``, ``breakdown``), and a line with the reason for each plot that can't be drawn."""
    made, reasons = {}, []
    for name, draw in (("pareto", pareto), ("breakdown", breakdown)):
        try:
            made[name] = _png(draw(report))
        except InputError as error:
            reasons.append(f"no {name} plot: {error}")
        except ImportError as error:
            reasons.append(f"no {name} plot: matplotlib can't be imported ({error}); pip install 'seg-edge[report]'")
    return made, reasons


def pareto(report: Mapping[str, Any]) -> Figure:
    """mIoU against end-to-end FPS. The line joins the rows that no other row beats in both; bars are 95 % intervals.

    A colour is a model in one precision, a marker an engine.

    Rows without mIoU are drawn at the lower edge, at their speed.

    Raises:
        InputError: no row has both values.
    """
    from matplotlib.figure import Figure

    rows = [row for row in report["rows"] if row["fps_e2e"] is not None]
    known = [row for row in rows if row["miou"] is not None]
    if not known:
        raise InputError("no row has a mIoU; pass `data` with models that were trained for it")
    columns = 2 if len(rows) > 4 else 1
    figure = Figure(figsize=(10, 5 + 0.2 * -(-len(rows) // columns)), layout="constrained")
    axes = figure.add_subplot()
    files = [*dict.fromkeys((row["model"], row["precision"]) for row in rows)]
    engines = [*dict.fromkeys(row["engine"] for row in rows)]
    lowest = min(100 * row["miou"] for row in known)
    span = max(max(100 * row["miou"] for row in known) - lowest, 2.0)
    floor = lowest - 0.25 * span
    for number, row in enumerate(rows, 1):
        x, y = row["fps_e2e"], 100 * row["miou"] if row["miou"] is not None else floor
        colour = _COLOURS[files.index((row["model"], row["precision"])) % len(_COLOURS)]
        interval = row["interval"]["fps_e2e"]
        if interval is not None:
            axes.plot(interval, [y, y], color=colour, linewidth=1.5, alpha=0.6)
        axes.plot(
            x, y, _MARKERS[engines.index(row["engine"]) % len(_MARKERS)], color=colour, markersize=9,
            markerfacecolor=colour if row["miou"] is not None else "white",
            label=f"{number}  {_who(row)}" + ("" if row["miou"] is not None else "  (no mIoU)"),
        )  # fmt: skip
        axes.annotate(str(number), (x, y), xytext=(6, 6), textcoords="offset points", fontsize=9)
    front = _front(known)
    axes.plot([row["fps_e2e"] for row in front], [100 * row["miou"] for row in front], "--", color="#777777", zorder=0)
    speeds = [row["fps_e2e"] for row in rows]
    if max(speeds) > 8 * min(speeds):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(floor - 0.1 * span if len(known) < len(rows) else lowest - 0.1 * span, lowest + 1.15 * span)
    if len(known) < len(rows):
        # A separate strip, because the height of these points is not a mIoU.
        edge = lowest - 0.12 * span
        axes.axhspan(floor - 0.1 * span, edge, color="#eeeeee", zorder=-1)
        axes.text(
            0.995, floor - 0.095 * span, "mIoU not measured", transform=axes.get_yaxis_transform(), ha="right", va="bottom"
        )
        axes.set_yticks([tick for tick in axes.get_yticks() if edge < tick < lowest + 1.15 * span])
    axes.set_xlabel("frames per second, end to end (bars: 95 % interval)")
    axes.set_ylabel("mIoU %")
    axes.set_title("Accuracy against speed: up and to the right is better", loc="left", fontsize=11)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


def breakdown(report: Mapping[str, Any]) -> Figure:
    """Median milliseconds of each stage of a frame, one bar per row; with camera and sink if they were measured.

    Raises:
        InputError: no row was measured.
    """
    from matplotlib.figure import Figure

    rows = [row for row in report["rows"] if row["stages_ms"]["engine"] is not None]
    if not rows:
        raise InputError("no row was measured")
    figure = Figure(figsize=(12, 1.6 + 0.42 * len(rows)), layout="constrained")
    absolute, share = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    bars = [_stages(row) for row in rows]
    totals = [sum(bar.values()) for bar in bars]
    left = [0.0] * len(rows)
    for stage in STAGES:
        if not any(stage in bar for bar in bars):
            continue
        widths = [bar.get(stage, 0.0) for bar in bars]
        text = "capture (waiting for the camera included)" if stage == "capture" else stage
        absolute.barh(range(len(rows)), widths, left=left, color=_STAGE_COLOURS[stage], label=text, height=0.7)
        # The slowest row dwarfs the others, so a second plot shows the share of each stage in its own frame.
        parts, starts = ([100 * a / b for a, b in zip(values, totals, strict=True)] for values in (widths, left))
        share.barh(range(len(rows)), parts, left=starts, color=_STAGE_COLOURS[stage], height=0.7)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for at, total in enumerate(totals):
        absolute.annotate(f"{total:.1f}", (total, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    absolute.set_yticks(range(len(rows)), [_who(row) for row in rows], fontsize=8)
    absolute.invert_yaxis()
    absolute.set_xlim(0, 1.12 * max(totals))
    absolute.set_xlabel("ms (medians of the stages)")
    absolute.set_title("Where the time of a frame goes", loc="left", fontsize=11)
    share.set_xlim(0, 100)
    share.set_xlabel("% of the frame's time")
    for axes in (absolute, share):
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure


def _stages(row: Row) -> dict[str, float]:
    if row["camera"]:
        values = {stage: row["camera"]["stages_ms"][stage]["p50"] for stage in STAGES}
        return {stage: value for stage, value in values.items() if value is not None}
    return dict(row["stages_ms"])


def _front(rows: Sequence[Row]) -> list[Row]:
    """Rows that no other row beats in both speed and mIoU, the fastest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (-row["fps_e2e"], -row["miou"])):
        if not front or row["miou"] > front[-1]["miou"]:
            front.append(row)
    return front


def _who(row: Row) -> str:
    return (
        f"{row['model']} {row['precision'] or ''}".strip()
        + f", {row['engine']}, {row['threads']} thr."
        + (f", batch {row['batch']}" if row["batch"] != 1 else "")
    )


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=_DPI)
    return data.getvalue()
