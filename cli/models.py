"""``seg-edge models``"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import parse_size, print_table, progress_bar, writable


def models(
    filter: Annotated[
        str | None, typer.Option("--filter", help="Part of a name (resnet50) or a pattern (deeplab*-mobile*).")
    ] = None,
    imgsz: Annotated[str, typer.Option(help="Network input HxW for the MACs, multiples of 32.")] = "352x480",
    classes: Annotated[int, typer.Option(min=1, max=255, help="Number of classes.")] = 11,
    cost: Annotated[
        bool, typer.Option("--cost/--no-cost", help="Count parameters and MACs; the names alone are quick.")
    ] = True,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps the counts. Default: ~/.cache/seg-edge.", file_okay=False)
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the list here.", callback=writable)] = None,
) -> None:
    """List the networks that train --model takes, with their parameters and MACs; the compact family first."""
    from ..core.artefact import write_json
    from ..core.errors import InputError

    size_hw = parse_size(imgsz)
    assert size_hw is not None
    if any(side % 32 for side in size_hw):
        near = "x".join(str(max(32, round(side / 32) * 32)) for side in size_hw)
        raise InputError(f"models: --imgsz must be multiples of 32, got {imgsz}; try {near}")
    try:
        from ..train.models.catalog import TABLE, UnknownModelError
    except ImportError as error:
        raise InputError(f"models: needs torch ({error}); pip install 'seg-edge[train,zoo]'") from error

    names = [name for name in TABLE if filter is None or filter in name or fnmatchcase(name, filter)]
    if not names:
        raise UnknownModelError(str(filter))
    counted: dict[str, tuple[int, int] | str] = {}
    if cost:
        from ..export.networks.model_costs import counted_costs

        with progress_bar() as bar:
            task = bar.add_task("counting", total=len(names))
            counted = counted_costs(names, classes, size_hw, cache, lambda done: bar.update(task, completed=done))
    rows = [_row(TABLE[name], counted.get(name)) for name in names]
    _print(rows, f"{len(rows)} networks, {classes} classes, {size_hw[0]}x{size_hw[1]}")
    if json:
        write_json(json, {"imgsz": list(size_hw), "classes": classes, "models": rows})


def _row(entry: Any, cost: tuple[int, int] | str | None) -> dict[str, Any]:
    known = cost if isinstance(cost, tuple) else (None, None)
    return {
        "name": entry.name, "architecture": entry.architecture, "encoder": entry.encoder, "output_stride": entry.stride,
        "params": known[0], "macs": known[1], "note": cost if isinstance(cost, str) else None,
    }  # fmt: skip


def _print(rows: list[dict[str, Any]], title: str) -> None:
    from rich.table import Table

    table = Table("name", "architecture", "encoder")
    for column in ("logits at stride", "M params", "GMAC"):
        table.add_column(column, justify="right")
    for row in rows:
        params, macs = (f"{row[key] / unit:.2f}" if row[key] else "–" for key, unit in (("params", 1e6), ("macs", 1e9)))
        table.add_row(row["name"], row["architecture"], row["encoder"] or "–", str(row["output_stride"]), params, macs)
    print_table(title, table)
    for note in sorted({row["note"] for row in rows if row["note"]}):
        print(f"note: {note}")
