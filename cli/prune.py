"""``seg-edge prune``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import GateError
from ..export.pruning.options import PruneOptions
from .common import console, writable
from .derive import Values, derive
from .progress import Bars
from .reports import finish
from .teacher import teacher_of


@derive(PruneOptions)
def prune(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt, or a shipped model's name.")
    ],
    values: Values,
    teacher: Annotated[
        Path | None, typer.Option(help="Distil from this checkpoint while fine-tuning, e.g. from the unpruned one.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Temperature of both networks' logits for --teacher.")] = 2.0,
    kd_weight: Annotated[float, typer.Option(help="Weight of the teacher's logits; 0 leaves them out.")] = 1.0,
    feature_weight: Annotated[float, typer.Option(help="Weight of the teacher's features; 0 leaves them out.")] = 0.1,
    teacher_scale: Annotated[float, typer.Option(help="The teacher sees images this many times as high and wide.")] = 1.0,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: pruned, beside the checkpoint (of a shipped model: here).")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Remove whole channels of a trained network: by share, MACs, parameters or measured latency; fine-tuned and gated."""
    from ..export.stages import prune as run

    distill = teacher_of(teacher, temperature=temperature, logits=kd_weight, features=feature_weight, scale=teacher_scale)
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
