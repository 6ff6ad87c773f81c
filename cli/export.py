"""``seg-edge export``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import console, loading, parse_size, print_table, writable
from .progress import Bars

if TYPE_CHECKING:
    from ..export.report.rows import Report


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt, or a shipped model's name.")
    ],
    int8: Annotated[bool, typer.Option("--int8", help="Also write model.int8.onnx; needs --data.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Dataset folder: train calibrates INT8, val measures every step.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Artefact folder. Default: artefact, beside the checkpoint (of a shipped model: here)."),
    ] = None,
    imgsz: Annotated[str | None, typer.Option(help="Network input HxW, multiples of 32. Default: the checkpoint's.")] = None,
    batch: Annotated[
        str, typer.Option(help="Frames per inference: a number, or free: any (several sources share inferences).")
    ] = "1",
    calib_frames: Annotated[int, typer.Option(help="Calibration frames, evenly spaced over the train split.")] = 64,
    observer: Annotated[
        str, typer.Option(help="How activation ranges are chosen: minmax, percentile, mse, entropy.")
    ] = "minmax",
    bias_correction: Annotated[bool, typer.Option(help="Correct the biases for what quantization shifts.")] = True,
    weights: Annotated[
        str,
        typer.Option(
            help="portable: the same result on every processor; full: finest, saturates on x86 processors without VNNI."
        ),
    ] = "portable",
    max_drop: Annotated[float | None, typer.Option(help="Fail (exit 3) if a step loses more mIoU points.")] = None,
    max_class_drop: Annotated[
        float | None, typer.Option(help="Fail (exit 3) if a class loses more IoU points in a step.")
    ] = None,
    min_speedup: Annotated[
        float | None, typer.Option(help="Fail (exit 3) if INT8 is not this many times as fast as fp32.")
    ] = None,
    qat: Annotated[
        int | None,
        typer.Option(
            metavar="EPOCHS",
            help="Fine-tune with fake quantization where INT8 breaks a limit, or in any case where none is stated.",
        ),
    ] = None,
    fallback: Annotated[
        int | None,
        typer.Option(help="Most convolutions that go back to float where INT8 breaks a limit. Default: half; 0: none."),
    ] = None,
    fallback_precision: Annotated[
        str | None,
        typer.Option(help="What they go back to: fp32, fp16. Default: fp16 with --engine rtx or tensorrt, else fp32."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="Engine to measure on: auto (all are timed), openvino, onnxruntime; "
            "rtx, tensorrt: also build its engine file from the smallest model (and measure as auto does)."
        ),
    ] = "auto",
    compute_capability: Annotated[
        list[str] | None, typer.Option(help="With --engine rtx: GPU to build for, e.g. 89; may be given more than once.")
    ] = None,
    workspace: Annotated[
        int | None, typer.Option(help="With --engine rtx, tensorrt: most memory of one layer, MiB.")
    ] = None,
    dla_core: Annotated[int | None, typer.Option(help="With --engine tensorrt: DLA core of a Jetson.")] = None,
    fp16: Annotated[bool, typer.Option("--fp16", "--half", help="Also write model.fp16.onnx, a graph with casts.")] = False,
    head: Annotated[
        str, typer.Option(help="logits, or labels: upsample and argmax in the graph (DeepStream, Triton, …).")
    ] = "logits",
    ir: Annotated[bool, typer.Option("--ir", help="Also write OpenVINO IR (.xml, .bin) of every model.")] = False,
    triton: Annotated[Path | None, typer.Option(help="Put the smallest model into this Triton model repository.")] = None,
    dla_cache: Annotated[
        bool, typer.Option("--dla-cache", help="With --int8: also write calib.tensorrt.cache, the INT8 scales for DLA.")
    ] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    force_recalibrate: Annotated[
        bool, typer.Option("--force-recalibrate", help="Don't reuse the calibration cache.")
    ] = False,
    prune: Annotated[
        float | None, typer.Option(help="First remove this share of the channels (0.5); more choice: seg-edge prune.")
    ] = None,
    finetune: Annotated[int, typer.Option(help="Epochs of training after pruning.")] = 0,
    teacher: Annotated[Path | None, typer.Option(help="Distil from this checkpoint in the training after pruning.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Export a checkpoint: ONNX, simplified, INT8; each step gated and reported."""
    from ..core.artefact import write_json
    from ..core.errors import InputError
    from ..runtime.modelfile.plan import FLAVOURS

    try:
        with loading("loading torch"):
            from ..export.chain import export as run_chain
            from ..export.deliver.delivery import DeliverOptions
            from ..export.graph.quantize import QuantOptions
            from ..export.int8.qat import QatOptions
            from ..export.options import ExportOptions
            from ..export.report.rows import BrokenGateError
            from ..export.trt import BuildOptions
    except ImportError as error:
        raise InputError(
            f"export needs packages that are not installed ({error}); pip install 'seg-edge[export]'"
        ) from error

    plan: BuildOptions | None = None
    if engine in FLAVOURS:
        plan = BuildOptions(
            flavour=engine,
            compute_capabilities=tuple(compute_capability or ()),
            workspace_mib=workspace,
            dla_core=dla_core,
        )
    elif compute_capability or workspace is not None or dla_core is not None:
        raise InputError(
            "--compute-capability, --workspace, --dla-core: say how to build an engine file; pass --engine rtx or tensorrt, "
            f"got --engine {engine}"
        )
    pruning = None
    if prune is None and (finetune or teacher):
        raise InputError(
            f"--{'finetune' if finetune else 'teacher'}: trains what --prune left; pass --prune too, or use "
            "seg-edge train --init"
        )
    if prune is not None:
        from .prune import pruning_options

        pruning = pruning_options(
            ratio=prune, finetune=finetune, data=data, engine="auto" if plan else engine, threads=threads, max_drop=max_drop,
            max_class_drop=max_class_drop, distill=(teacher,) if teacher else None,
        )  # fmt: skip
    options = ExportOptions(
        prune=pruning,
        int8=int8,
        data=data,
        input_hw=parse_size(imgsz),
        batch=parse_batch(batch),
        calib_frames=calib_frames,
        quant=QuantOptions(observer=observer, bias_correction=bias_correction, weights=weights),
        max_drop=None if max_drop is None else max_drop / 100,
        max_class_drop=None if max_class_drop is None else max_class_drop / 100,
        min_speedup=min_speedup,
        fallback=fallback,
        fallback_precision=fallback_precision,
        qat=None if qat is None else QatOptions(epochs=qat),
        engine=engine if plan is None else "auto",
        threads=threads,
        recalibrate=force_recalibrate,
        fp16=fp16,
        deliver=DeliverOptions(head=head, plan=plan, ir=ir, triton=triton),
        dla_cache=dla_cache or (int8 and dla_core is not None),
    )
    target = out or checkpoint.parent / "artefact"
    failed: BrokenGateError | None = None
    try:
        with Bars() as progress:
            report = run_chain(checkpoint, target, options, progress)
    except BrokenGateError as error:
        report, failed = error.report, error
    _print(report)
    if json:
        write_json(json, report.to_dict())
    if failed:
        raise failed
    out_console = console()
    out_console.print(f"artefact: {target}", highlight=False, soft_wrap=True)
    out_console.print(f"check it on the device: seg-edge verify {target}", highlight=False, soft_wrap=True)


def parse_batch(text: str) -> int | None:
    """``--batch``: a number, or None for ``free``.

    Raises:
        InputError: anything else.
    """
    from ..core.errors import InputError

    if text == "free":
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--batch: expected a number of frames, or free, got {text!r}") from None


def _print(report: Report) -> None:
    from rich.table import Table

    from ..export.report.rows import COLUMNS

    table = Table()
    for i, (title, _cell) in enumerate(COLUMNS):
        # A file's name is there to be copied: the numbers wrap instead.
        table.add_column(title, justify="left" if i < 3 else "right", no_wrap=title == "file")
    for step in report.steps:
        table.add_row(*(cell(step) for _title, cell in COLUMNS))
    out = console()
    print_table(f"{report.spec.name}: each step against the one before it", table)
    for gate in report.gates:
        if not gate.passed:
            out.print(f"broken: {gate.name}: {gate.value:.4g}, limit {gate.limit:.4g}", highlight=False)
