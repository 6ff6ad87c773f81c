"""``seg-edge build``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..export.trt.options import BuildOptions
from .common import console, writable
from .derive import Values, derive
from .progress import Bars
from .reports import show

if TYPE_CHECKING:
    from ..core.report import Report


@derive(BuildOptions)
def build(
    model: Annotated[
        Path, typer.Argument(help="An artefact folder of seg-edge export, one of its ONNX files, or a shipped model's name.")
    ],
    values: Values,
    precision: Annotated[
        str | None, typer.Option(help="Which model of the folder: int8, fp16, fp32. Default: the smallest there is.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --dla-core: only list what DLA would take. Needs no TensorRT.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Engine file. Default: a name that says where it runs, beside MODEL (of a shipped one: ./NAME/)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build even if the same engine is there.")] = False,
    json: Annotated[
        Path | None, typer.Option(help="Write the engine's record (or the dry run) here.", callback=writable)
    ] = None,
) -> None:
    """Build an engine file for TensorRT or TensorRT-RTX from an exported model."""
    from ..export.stages import build as run

    options = values.of(BuildOptions)
    with Bars() as progress:
        report = run(model, out, options, precision=precision, force=force, dry_run=dry_run, progress=progress)
    if json:
        report.write(json)
    if dry_run:
        show(report, left=3)
    else:
        _print(report)


def _print(report: Report) -> None:
    from rich.table import Table

    cells = report.table()
    assert cells is not None
    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for row in cells[1]:
        grid.add_row(*row)
    console().print(grid, highlight=False, markup=False, soft_wrap=True)
