"""``seg-edge train``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.artefact import REPORT_JSON, write_json
from ..core.errors import InputError, ProcessError
from ..train.checkpoint.names import BEST, CURVES, LAST, METRICS
from ..train.config import HALF, TrainConfig
from ..train.data.options import AugmentOptions
from ..train.losses.options import DistillOptions, SiameseOptions
from ..train.training import fit
from .common import writable
from .derive import Fields, Values, derive
from .progress import Bars
from .recipe import recipe_defaults


@derive(
    Fields(TrainConfig, skip=("warmup", "ema", "train_split", "val_split", "augment", "distill", "siamese")),
    AugmentOptions,
    SiameseOptions,
    Fields(DistillOptions, defaults={"teacher": None}),
)
def train(
    data: Annotated[Path, typer.Option(help="Dataset folder: images/<split> and labels/<split>.")],
    values: Values,
    siamese: Annotated[
        bool, typer.Option("--siamese", help="Show each image in a second view too, and pull both together.")
    ] = False,
    half: Annotated[bool, typer.Option("--half", help="Short for --precision bf16 (fp16 on GPUs without it).")] = False,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: runs/<dataset>-<model>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from last.pt in the output folder.")] = False,
    config: Annotated[
        str | None,
        typer.Option(
            help="YAML file with options of this command (epochs: 50), or a recipe's name; given options win.",
            is_eager=True,
            callback=recipe_defaults,
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Train a network on a folder dataset."""
    given = values.given(TrainConfig)
    if half and given["precision"]:
        raise InputError(f"--half and --precision {given['precision']} exclude each other; pass one of them")
    wanted = values.of(
        TrainConfig,
        precision=HALF if half else given["precision"],
        augment=values.of(AugmentOptions),
        siamese=values.of(SiameseOptions) if siamese else None,
        distill=values.of(DistillOptions) if values.given(DistillOptions)["teacher"] else None,
    )
    target = out or Path("runs") / f"{data.resolve().name}-{wanted.model}"
    try:
        with Bars(start="loading torch") as progress:
            report = fit(data, target, wanted, resume=resume, progress=progress)
    except ProcessError as error:
        if error.said:
            raise SystemExit(error.exit_code) from error
        raise
    from ..train.distributed import leave, processes

    leave()
    if not processes().first:
        return
    if json:
        write_json(json, report.to_dict())
    best = report["best"]
    print(f"best val mIoU {100 * best['miou']:.2f} % in epoch {best['epoch']}  ({report['seconds']:.0f} s)")
    for name in (BEST, LAST, METRICS, CURVES, REPORT_JSON):
        print(f"  {target / name}")
