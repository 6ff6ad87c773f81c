"""``seg-edge import``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import GateError
from ..export.foreign.options import ImportOptions
from .common import console, writable
from .derive import Values, derive
from .progress import Bars
from .reports import finish


@derive(ImportOptions)
def import_(
    network: Annotated[Path, typer.Argument(metavar="FILE", help="An ONNX file, or a .pt2 of torch.export.")],
    values: Values,
    out: Annotated[Path | None, typer.Option(help="Artefact folder. Default: a folder of the file's name, here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Import a network of another tool: an artefact like ours, compared with the original."""
    from ..export.stages import import_network as run

    options = values.of(ImportOptions)
    target = out or Path(network.stem)
    broken: GateError | None = None
    try:
        with Bars() as progress:
            report = run(network, target, options, progress=progress)
    except GateError as error:
        report, broken = error.report, error  # type: ignore[attr-defined]
    say = console()
    for line in report.explanations():
        say.print(line, highlight=False, markup=False, soft_wrap=True)
    finish(report, json, broken, left=2)
    say.print(f"artefact: {target}", highlight=False, soft_wrap=True)
    say.print(f"next: seg-edge export {target} --int8 --data …, seg-edge run {target}", highlight=False, soft_wrap=True)
