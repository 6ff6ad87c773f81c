"""``seg-edge domains``"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import print_table, progress_bar, writable
from .val import open_model


def domains(
    models: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.pt), exported models (.onnx), artefact folders or shipped models' names."),
    ],
    data: Annotated[
        list[Path], typer.Option(help="Dataset folder of one domain, called by its name; give one for each domain.")
    ],
    split: Annotated[str, typer.Option(help="Which split of each to evaluate on.")] = "val",
    engine: Annotated[str, typer.Option(help="Engine of exported models: auto, openvino, onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    min_unseen: Annotated[
        float | None, typer.Option(help="Fail (exit 3) if a model's mean mIoU in % on domains it hasn't seen is below this.")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the table here as CSV.", callback=writable)] = None,
    json: Annotated[Path | None, typer.Option(help="Write the table here.", callback=writable)] = None,
) -> None:
    """Evaluate models on several domains: a table of mIoU, training domain × test domain."""
    from ..core.artefact import write_json, write_text
    from ..core.errors import GateError, InputError
    from ..datasets.dataset import SegDataset
    from ..datasets.opening import open_dataset_for
    from ..measure.domains import transfer_table

    names = [folder.resolve().name for folder in data]
    if len(set(names)) < len(names):
        raise InputError(f"domains: --data folders are called by their names, which must differ; got {', '.join(names)}")
    with ExitStack() as stack:
        opened = [(str(path), stack.enter_context(open_model(path, engine, threads))) for path in models]
        labels = opened[0][1].labels
        found: dict[str, SegDataset] = {}
        for name, folder in zip(names, data, strict=True):
            found[name] = open_dataset_for(folder, split, labels)
        with progress_bar() as bar:
            task = bar.add_task("evaluating", total=None)
            report = transfer_table(opened, found, lambda done, total: bar.update(task, completed=done, total=total))
    _print(report)
    if json:
        write_json(json, report)
    if csv:
        write_text(csv, _csv(report))
    if min_unseen is not None:
        for row in report["rows"]:
            value = row["unseen_miou"]
            if value is None or 100 * value < min_unseen:
                got = "no unseen domain" if value is None else f"{100 * value:.2f} %"
                raise GateError(f"domains: {row['model']}: {got} on unseen domains, --min-unseen is {min_unseen:g} %")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("model", "trained on")
    for domain in report["domains"]:
        table.add_column(domain["name"], justify="right")
    table.add_column("unseen", justify="right")
    for row in report["rows"]:
        # A star marks the domain that the model was trained on.
        cells = [_percent(value) + ("*" if name == row["trained_on"] else "") for name, value in row["miou"].items()]
        table.add_row(row["model"], row["trained_on"] or "–", *cells, _percent(row["unseen_miou"]))
    print_table(f"mIoU in % ({report['split']}); * is the model's own domain, unseen the mean of the others", table)


def _csv(report: dict[str, Any]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "trained_on", *(domain["name"] for domain in report["domains"]), "unseen"])
    for row in report["rows"]:
        values = [*row["miou"].values(), row["unseen_miou"]]
        writer.writerow([row["model"], row["trained_on"] or "", *("" if v is None else f"{v:.6f}" for v in values)])
    return text.getvalue()
