"""``seg-edge verify``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.shipped import DEFAULT
from ..runtime.engines.table import AUTO, ENGINES
from .common import writable
from .progress import Bars
from .reports import show


def verify(
    artefact: Annotated[
        Path,
        typer.Argument(
            help=f"An artefact folder, as seg-edge export writes it, or a shipped model's name. {DEFAULT} comes with the "
            "package."
        ),
    ] = Path(DEFAULT),
    engine: Annotated[
        str,
        typer.Option(
            help=f"Engine to replay on: {', '.join((AUTO, *ENGINES))}; tensorrt and rtx replay their engine files."
        ),
    ] = AUTO,
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the result here.", callback=writable)] = None,
) -> None:
    """Replay the golden frames: does this machine compute what the export machine computed?"""
    from ..export.stages import verify as run

    with Bars(start="golden frames") as progress:
        report = run(artefact, engine=engine, threads=threads, progress=progress)
    show(report, left=2)
    if json:
        report.write(json)
    report.check()
