"""``seg-edge domains``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..measure import EvaluateOptions
from .common import writable
from .derive import Fields, Values, derive
from .progress import Bars
from .reports import show


@derive(Fields(EvaluateOptions, skip=("tta",)))
def domains(
    models: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.pt), exported models (.onnx), artefact folders or shipped models' names."),
    ],
    data: Annotated[
        list[Path], typer.Option(help="Dataset folder of one domain, called by its name; give one for each domain.")
    ],
    values: Values,
    min_unseen: Annotated[
        float | None, typer.Option(help="Fail (exit 3) if a model's mean mIoU in % on domains it hasn't seen is below this.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table here as CSV.", callback=writable)] = None,
    json: Annotated[Path | None, typer.Option(help="Write the table here.", callback=writable)] = None,
) -> None:
    """Evaluate models on several domains: a table of mIoU, training domain × test domain."""
    options = values.of(EvaluateOptions)
    from ..core.artefact import write_text
    from ..measure import evaluate_domains, require_unseen_miou

    with Bars(start="evaluating") as bars:
        report = evaluate_domains(models, data, options, progress=bars)
    show(report, left=2)
    if json:
        report.write(json)
    if csv:
        write_text(csv, report.csv_text())
    if min_unseen is not None:
        require_unseen_miou(report, min_unseen / 100)
