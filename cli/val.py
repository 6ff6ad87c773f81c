"""``seg-edge val``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.shipped import DEFAULT, shipped
from ..measure import EvaluateOptions
from .common import about, console, writable
from .derive import Values, derive
from .progress import Bars
from .reports import show


@derive(EvaluateOptions)
def val(
    data: Annotated[Path, typer.Option(help="Dataset folder: images/<split> and labels/<split>.")],
    values: Values,
    model: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint (.pt), an exported model (.onnx), an artefact folder or a shipped model's name. "
            f"{DEFAULT} comes with the package: street scenes."
        ),
    ] = Path(DEFAULT),
    min_miou: Annotated[float | None, typer.Option(help="Fail (exit 3) if the mIoU in % is below this.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the metrics and the confusion matrix here.", callback=writable)
    ] = None,
) -> None:
    """Evaluate a model through the runtime's own pre- and post-processing."""
    options = values.of(EvaluateOptions)
    from ..datasets.opening import for_model, open_dataset
    from ..measure import evaluate, require_miou
    from ..measure.opening import check_model, open_model

    check_model(model, options.engine)
    dataset = open_dataset(data, options.split)  # before the model: importing torch for a checkpoint takes seconds
    with open_model(model, options.engine, options.threads) as segmenter, Bars(start="evaluating") as bars:
        if shipped(model) != model:
            print(about(model, segmenter))
        report = evaluate(segmenter, for_model(dataset, segmenter.spec), options, progress=bars)
    show(report)
    console().print(report.summary(), highlight=False)
    if json:
        report.write(json)
    if min_miou is not None:
        require_miou(report, min_miou / 100)
