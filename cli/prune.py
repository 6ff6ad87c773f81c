"""``seg-edge prune``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import GateError
from ..export.pruning.options import PruneOptions
from ..train.losses.options import DistillOptions
from .common import console, writable
from .derive import Fields, Values, derive
from .progress import Bars
from .reports import finish


@derive(Fields(PruneOptions, skip=("distill",)), Fields(DistillOptions, defaults={"teacher": None}))
def prune(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt, or a shipped model's name.")
    ],
    values: Values,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: pruned, beside the checkpoint (of a shipped model: here).")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Remove whole channels of a trained network: by share, MACs, parameters or measured latency; fine-tuned and gated."""
    from ..export.stages import prune as run

    distill = values.of(DistillOptions) if values.given(DistillOptions)["teacher"] else None
    options = values.of(PruneOptions, distill=distill)
    target = out or checkpoint.parent / "pruned"
    broken: GateError | None = None
    try:
        with Bars() as progress:
            report = run(checkpoint, target, options, progress=progress)
    except GateError as error:
        report, broken = error.report, error  # type: ignore[attr-defined]
    finish(report, json, broken)
    out_console = console()
    out_console.print(f"checkpoint: {target / 'best.pt'}", highlight=False, soft_wrap=True)
    out_console.print(f"export it: seg-edge export {target / 'best.pt'} --int8 --data …", highlight=False, soft_wrap=True)
