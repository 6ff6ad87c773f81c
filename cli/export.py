"""``seg-edge export``"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import GateError, InputError
from ..export.deliver.options import DeliverOptions
from ..export.graph.options import QuantOptions
from ..export.int8.options import QatOptions
from ..export.options import ExportOptions
from ..export.pruning.options import PruneOptions
from ..export.trt.options import BuildOptions
from ..runtime.engines.table import PLAN_ENGINES
from ..train.losses.options import DistillOptions
from .common import console, writable
from .derive import Fields, Values, derive
from .progress import Bars
from .reports import finish

#: Options for building an engine file.
_BUILD = Fields(BuildOptions, only=("compute_capabilities", "workspace_mib", "dla_core"))


@derive(
    ExportOptions,
    Fields(QuantOptions, only=("observer", "bias_correction", "weights")),
    DeliverOptions,
    _BUILD,
)
def export(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt, a shipped model's name, or an artefact of "
            "seg-edge import."
        ),
    ],
    values: Values,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Artefact folder. Default: artefact, beside the checkpoint (of a shipped model: here); of an artefact "
            "NAME: NAME-export, beside it."
        ),
    ] = None,
    qat: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            help="Fine-tune with fake quantization where INT8 breaks a limit, or in any case where none is stated.",
        ),
    ] = None,
    prune: Annotated[
        float | None, typer.Option(help="First remove this share of the channels (0.5); more choice: seg-edge prune.")
    ] = None,
    finetune: Annotated[int, typer.Option(help="Epochs of training after pruning.")] = 0,
    teacher: Annotated[Path | None, typer.Option(help="Distil from this checkpoint in the training after pruning.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Export a checkpoint: ONNX, simplified, INT8; each step gated and reported."""
    from ..export.stages import export as run

    options = _options(values, qat, prune, finetune, teacher)
    target = out or _beside(checkpoint)
    broken: GateError | None = None
    try:
        with Bars() as progress:
            report = run(checkpoint, target, options, progress=progress)
    except GateError as error:
        report, broken = error.report, error  # type: ignore[attr-defined]
    finish(report, json, broken, left=3, whole="file")
    out_console = console()
    out_console.print(f"artefact: {target}", highlight=False, soft_wrap=True)
    out_console.print(f"check it on the device: seg-edge verify {target}", highlight=False, soft_wrap=True)


def _beside(source: Path) -> Path:
    """The default artefact folder."""
    if source.is_dir() or source.suffix == ".onnx":
        folder = (source if source.is_dir() else source.parent).resolve()
        return folder.with_name(f"{folder.name}-export")
    return source.parent / "artefact"


def _options(values: Values, qat: int | None, prune: float | None, finetune: int, teacher: Path | None) -> ExportOptions:
    """The options of the export.

    Raises:
        InputError: a value or a combination of values is invalid.
    """
    build = values.given(BuildOptions)
    given = values.given(ExportOptions)
    engine = given.get("engine", "auto")
    plan = None
    if engine in PLAN_ENGINES:
        plan = values.of(BuildOptions, flavour=engine)
    elif any(value is not None for value in build.values()):
        raise InputError(
            "--compute-capability, --workspace, --dla-core: say how to build an engine file; pass --engine rtx or tensorrt, "
            f"got --engine {engine}"
        )
    if prune is None and (finetune or teacher):
        raise InputError(
            f"--{'finetune' if finetune else 'teacher'}: trains what --prune left; pass --prune too, or use "
            "seg-edge train --init"
        )
    options = values.of(
        ExportOptions,
        quant=values.of(QuantOptions),
        qat=None if qat is None else QatOptions(epochs=qat),
        deliver=values.of(DeliverOptions, plan=plan),
        # DLA needs a calibration cache with scales instead of Q/DQ nodes.
        dla_cache=given["dla_cache"] or (given["int8"] and build.get("dla_core") is not None),
    )
    if prune is None:
        return options
    return replace(
        options,
        prune=PruneOptions(
            ratio=prune,
            finetune=finetune,
            data=options.data,
            engine=options.measured_on,
            threads=options.threads,
            max_drop=options.max_drop,
            max_class_drop=options.max_class_drop,
            distill=DistillOptions(teacher=teacher) if teacher else None,
        ),
    )
