"""``seg-edge compare``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..measure import CompareOptions
from .common import writable
from .derive import Values, derive
from .progress import Bars
from .reports import show


@derive(CompareOptions)
def compare(
    run_a: Annotated[
        Path,
        typer.Argument(metavar="RUN_A", help="Folder of a training (runs/NAME), a checkpoint, or a shipped model's name."),
    ],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The other one; same classes.")],
    values: Values,
    out: Annotated[Path, typer.Option(help="Folder for compare.md, compare.json, curves.png, best.png, worst.png.")] = Path(
        "compare"
    ),
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Compare two trainings: six metrics, curves in one picture, best and worst cases."""
    options = values.of(CompareOptions)
    from ..measure import compare as compare_trainings

    with Bars(start="comparing") as bars:
        report = compare_trainings([run_a, run_b], out, options, progress=bars)
    show(report)
    for note in report["notes"]:
        print(f"note: {note}")
    for file in report.files:
        print(f"  {file}")
    if json:
        report.write(json)
