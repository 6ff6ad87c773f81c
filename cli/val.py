"""``seg-edge val``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import console, print_table, progress_bar, writable


def val(
    model: Annotated[
        Path,
        typer.Argument(help="A checkpoint (.pt), an exported model (.onnx), an artefact folder or a shipped model's name."),
    ],
    data: Annotated[Path, typer.Option(help="Dataset folder: images/<split> and labels/<split>.")],
    split: Annotated[str, typer.Option(help="Which split to evaluate on.")] = "val",
    engine: Annotated[str, typer.Option(help="Engine of an exported model: auto, openvino, onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    min_miou: Annotated[float | None, typer.Option(help="Fail (exit 3) if the mIoU in % is below this.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the metrics and the confusion matrix here.", callback=writable)
    ] = None,
) -> None:
    """Evaluate a model through the runtime's own pre- and post-processing."""
    from ..core.artefact import write_json
    from ..core.errors import GateError
    from ..datasets.opening import open_dataset_for
    from ..measure.evaluation import evaluate
    from ..runtime.segmenter import Segmenter

    with open_model(model, engine, threads) as segmenter:
        assert isinstance(segmenter, Segmenter)
        found = open_dataset_for(data, split, segmenter.labels)
        with progress_bar() as bar:
            task = bar.add_task(f"{segmenter.engine.name}: {segmenter.engine.device}", total=len(found))
            report = evaluate(segmenter, found, lambda done, _all: bar.update(task, completed=done))
    _print(report)
    if json:
        write_json(json, report)
    if min_miou is not None and not (report["miou"] is not None and 100 * report["miou"] >= min_miou):
        got = "undefined" if report["miou"] is None else f"{100 * report['miou']:.2f} %"
        raise GateError(f"val: mIoU {got} on {data} is below --min-miou {min_miou:g} %")


def open_model(model: Path, engine: str, threads: int | None) -> Any:
    """A Segmenter of a checkpoint, an exported model or an artefact folder.

    Raises:
        InputError: a checkpoint where torch is missing, or with an engine of exported models.
    """
    from ..core.errors import InputError
    from ..runtime.segmenter import Segmenter

    if model.suffix != ".pt":
        return Segmenter(model, engine=engine, threads=threads)
    try:
        from ..train.torch_engine import TorchEngine
    except ImportError as error:
        raise InputError(f"{model}: a checkpoint needs torch ({error}); pip install 'seg-edge[train]'") from error
    if engine not in ("auto", "torch"):
        raise InputError(f"{model}: a checkpoint runs on the engine torch, got --engine {engine}; export it first")
    return Segmenter(TorchEngine.from_checkpoint(model, threads))


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.2f}"

    columns = ("iou", "dice", "precision", "sensitivity", "specificity")
    title = f"{report['model']} on {report['data']} ({report['split']}, {report['images']} images, {report['engine']}), %"
    table = Table()
    table.add_column("class")
    for column in ("IoU", "Dice / F1", "precision", "sensitivity", "specificity"):
        table.add_column(column, justify="right")
    for row in report["per_class"]:
        table.add_row(row["name"], *(percent(row[key]) for key in columns))
    print_table(title, table)
    console().print(
        f"mIoU {percent(report['miou'])} %   pixel accuracy {percent(report['pixel_accuracy'])} %   "
        f"frequency-weighted IoU {percent(report['fw_iou'])} %",
        highlight=False,
    )
