"""The plot of areas over time. Needs matplotlib (the extra ``report``)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.artefact import atomic_path
from ...core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...runtime.areas.tally import AreaCurves

# Okabe and Ito's palette, which colour-blind readers can distinguish, then dashed again.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#999999", "#000000")
_STYLES = ("-", "--", ":")
#: Classes that never reach this share of a zone are left out of its panel.
_LEAST = 0.001


def check_plots(field: str) -> None:
    """Raises InputError, naming the field, if plots can't be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"`{field}`: matplotlib can't be imported ({error}); pip install 'seg-edge[report]', or leave it out"
        ) from error


def plot_areas(curves: Mapping[int, AreaCurves], path: Path) -> None:
    """Draws a panel for each source and zone, with a curve for each class that appears in it.

    Args:
        curves: Number of the source → its curves.
        path: A name ending in .png, .svg or .pdf.

    Raises:
        InputError: there is no frame, or the file can't be written.
    """
    from matplotlib.figure import Figure

    panels = [(origin, z, zone) for origin, curve in sorted(curves.items()) for z, zone in enumerate(curve.zones)]
    if not panels:
        raise InputError("`plot`: there is no frame to draw")
    figure = Figure(figsize=(10, 1 + 2.2 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes, (origin, z, zone) in zip(rows, panels, strict=True):
        _panel(axes, curves[origin], z)
        axes.set_title(zone if len(curves) == 1 else f"source {origin}: {zone}", loc="left", fontsize=10)
    rows[-1].set_xlabel("seconds")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format=path.suffix[1:].lower())


def _panel(axes: Axes, curves: AreaCurves, zone: int) -> None:
    times, shares = curves.points()
    for c, name in enumerate(curves.classes):
        line = 100 * shares[:, zone, c]
        if line.size and np.max(line) >= 100 * _LEAST:
            style = _STYLES[c // len(_COLOURS) % len(_STYLES)]
            axes.plot(times, line, style, color=_COLOURS[c % len(_COLOURS)], label=name, linewidth=1.2)
    axes.set_ylabel("%")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
