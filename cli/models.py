"""``seg-edge models``"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.artefact import write_json
from ..core.errors import InputError, UnknownNameError
from ..core.options import parse_size, show_size
from ..core.shipped import DEFAULT, names, shipped_models
from ..train.config import check_multiples
from ..train.models.names import TABLE, Entry, UnknownModelError
from .common import print_table, writable
from .progress import progress_bar


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
    shipped: Annotated[
        bool, typer.Option("--shipped", help="List the trained models that come with the package instead.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the list here.", callback=writable)] = None,
) -> None:
    """List the networks that train --model takes, with their parameters and MACs; the compact family first."""
    if shipped:
        return _list_shipped(filter, json)
    try:
        size_hw = parse_size(imgsz)
    except InputError as error:
        raise InputError(f"--imgsz: {error}") from error
    check_multiples("size_hw", size_hw)
    entries = [
        entry for entry in TABLE.values() if filter is None or filter in entry.name or fnmatchcase(entry.name, filter)
    ]
    if not entries:
        raise UnknownModelError(str(filter))
    counted: dict[str, tuple[int, int] | str] = {}
    if cost:
        counted = _counted([entry.name for entry in entries], classes, size_hw, cache)
    rows = [_row(entry, counted.get(entry.name)) for entry in entries]
    _print(rows, f"{len(rows)} networks, {classes} classes, {size_hw[0]}x{size_hw[1]}")
    if json:
        write_json(json, {"imgsz": list(size_hw), "classes": classes, "models": rows})


def _list_shipped(filter: str | None, json: Path | None) -> None:
    from rich.table import Table

    rows = [row for row in shipped_models() if filter is None or filter in row["name"] or fnmatchcase(row["name"], filter)]
    if not rows:
        raise UnknownNameError("shipped model", str(filter), names())
    table = Table("name", "classes", "input", "val mIoU %", "MB")
    for row in rows:
        classes = f"{len(row['classes'])}: {', '.join(row['classes'][:3])}" + (", …" if len(row["classes"]) > 3 else "")
        miou = "–" if row["miou"] is None else f"{100 * row['miou']:.2f}"
        table.add_row(row["name"], classes, show_size(row["input_hw"]), miou, f"{row['bytes'] / 1e6:.2f}")
    print_table(f"{len(rows)} trained models, INT8; run and predict take {DEFAULT} where none is named", table)
    for row in rows:
        print(f"{row['name']}: {row['card']}")
    if json:
        write_json(json, {"default": DEFAULT, "shipped": rows})


def _counted(
    names: list[str], classes: int, size_hw: tuple[int, int], cache: Path | None
) -> dict[str, tuple[int, int] | str]:
    """Parameters and MACs by name, or the reason why a network can't be built here."""
    try:
        from ..export.networks.model_costs import counted_costs
    except ImportError as error:
        raise InputError(
            f"counting costs needs torch ({error}); pip install 'seg-edge[train,zoo]', or pass --no-cost"
        ) from error
    with progress_bar() as bar:
        task = bar.add_task("counting", total=len(names))
        return counted_costs(names, classes, size_hw, cache, lambda done: bar.update(task, completed=done))


def _row(entry: Entry, cost: tuple[int, int] | str | None) -> dict[str, Any]:
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
