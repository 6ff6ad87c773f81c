"""``seg-edge prune``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import console, loading, writable

if TYPE_CHECKING:
    from ..export.pruning.report import PruneReport
    from ..export.pruning.steps import PruneOptions


def prune(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt, or a shipped model's name.")
    ],
    data: Annotated[Path | None, typer.Option(help="Dataset folder: val measures, train fine-tunes and scores.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Goal: remove this share of all channels, e.g. 0.5.")] = None,
    target_macs: Annotated[
        float | None, typer.Option(help="Goal: keep at most this share of the multiply-accumulates.")
    ] = None,
    target_params: Annotated[float | None, typer.Option(help="Goal: keep at most this share of the parameters.")] = None,
    target_latency: Annotated[
        str | None, typer.Option(help="Goal: MILLISECONDS@ENGINE, measured here, e.g. 2.5ms@openvino.")
    ] = None,
    target_fps: Annotated[str | None, typer.Option(help="Goal: FRAMES@ENGINE a second, e.g. 100@onnxruntime.")] = None,
    importance: Annotated[
        str, typer.Option(help="Which channels matter: l1, l2, bn, lamp, taylor, hessian (both need --data), random.")
    ] = "l2",
    scope: Annotated[
        str, typer.Option(help="global: the least important channels anywhere; uniform: the same share of each layer.")
    ] = "global",
    round_to: Annotated[int, typer.Option(help="Widths are multiples of this.")] = 16,
    steps: Annotated[int, typer.Option(help="Approach the goal in this many steps.")] = 1,
    finetune: Annotated[int, typer.Option(help="Epochs of training after each step.")] = 0,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the fine-tuning.")] = 5e-4,
    batch: Annotated[int, typer.Option(help="Images per step of the fine-tuning.")] = 8,
    images: Annotated[
        int, typer.Option(help="Training images for statistics after each step, and for taylor, hessian.")
    ] = 64,
    teacher: Annotated[
        Path | None, typer.Option(help="Distil from this checkpoint while fine-tuning, e.g. from the unpruned one.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Temperature of both networks' logits for --teacher.")] = 2.0,
    kd_weight: Annotated[float, typer.Option(help="Weight of the teacher's logits; 0 leaves them out.")] = 1.0,
    feature_weight: Annotated[float, typer.Option(help="Weight of the teacher's features; 0 leaves them out.")] = 0.1,
    teacher_scale: Annotated[float, typer.Option(help="The teacher sees images this many times as high and wide.")] = 1.0,
    max_drop: Annotated[float | None, typer.Option(help="Fail (exit 3) if the result loses more mIoU points.")] = None,
    max_class_drop: Annotated[float | None, typer.Option(help="Fail (exit 3) if a class loses more IoU points.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: pruned, beside the checkpoint (of a shipped model: here).")
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine to measure on: auto (all are timed), openvino, onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    device: Annotated[str | None, typer.Option(help="Of the fine-tuning: cpu or cuda.")] = None,
    precision: Annotated[str | None, typer.Option(help="Of the fine-tuning: fp32, bf16 or fp16.")] = None,
    workers: Annotated[int | None, typer.Option(help="Loader processes of the fine-tuning.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the fine-tuning.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Remove whole channels of a trained network: by share, MACs, parameters or measured latency; fine-tuned and gated."""
    from ..core.artefact import write_json

    options = pruning_options(
        ratio=ratio, macs=target_macs, params=target_params, latency=target_latency, fps=target_fps,
        importance=importance, scope=scope, round_to=round_to, steps=steps, finetune=finetune, lr=lr, batch=batch,
        images=images, data=data, engine=engine, threads=threads, max_drop=max_drop, max_class_drop=max_class_drop,
        device=device, precision=precision, workers=workers, seed=seed,
        distill=(teacher, temperature, kd_weight, feature_weight, teacher_scale) if teacher else None,
    )  # fmt: skip
    from ..export.pruning.report import PruneGateError
    from ..export.pruning.steps import prune as run_pruning
    from .progress import Bars

    target = out or checkpoint.parent / "pruned"
    failed: PruneGateError | None = None
    try:
        with Bars() as progress:
            report = run_pruning(checkpoint, target, options, progress)
    except PruneGateError as error:
        report, failed = error.report, error
    _print(report)
    if json:
        write_json(json, report.to_dict())
    if failed:
        raise failed
    out_console = console()
    out_console.print(f"checkpoint: {target / 'best.pt'}", highlight=False, soft_wrap=True)
    out_console.print(f"export it: seg-edge export {target / 'best.pt'} --int8 --data …", highlight=False, soft_wrap=True)


def pruning_options(
    *, ratio: float | None = None, macs: float | None = None, params: float | None = None, latency: str | None = None,
    fps: str | None = None, max_drop: float | None = None, max_class_drop: float | None = None,
    distill: tuple[Path] | tuple[Path, float, float, float, float] | None = None, **others: Any,
) -> PruneOptions:  # fmt: skip
    """The options of a pruning from those of the command; drops in points.

    Raises:
        InputError: packages are missing, or a value makes no sense.
    """
    from ..core.errors import InputError

    try:
        with loading("loading torch"):
            from ..export.pruning.goals import one_goal
            from ..export.pruning.steps import PruneOptions
            from ..train.losses.distill import DistillConfig
    except ImportError as error:
        raise InputError(
            f"prune needs packages that are not installed ({error}); pip install 'seg-edge[train,export]'"
        ) from error
    return PruneOptions(
        goal=one_goal(ratio, macs, params, latency, fps),
        max_drop=None if max_drop is None else max_drop / 100,
        max_class_drop=None if max_class_drop is None else max_class_drop / 100,
        distill=DistillConfig(*distill) if distill else None,
        **others,
    )


def _print(report: PruneReport) -> None:
    from rich.table import Table

    from ..export.pruning.report import COLUMNS

    table = Table(title=f"{report.name}: {report.about['goal']}; worst class against the start", title_justify="left")
    for i, (title, _cell) in enumerate(COLUMNS):
        table.add_column(title, justify="right" if i else "left")
    for row in report.steps:
        table.add_row(*(cell(row) for _title, cell in COLUMNS))
    out = console()
    out.print(table)
    for gate in report.gates:
        if not gate.passed:
            out.print(f"broken: {gate.name}: {gate.value:.4g}, limit {gate.limit:.4g}", highlight=False)
