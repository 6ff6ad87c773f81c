"""``seg-edge export``"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import console, parse_size, progress_bar

if TYPE_CHECKING:
    from ..export.report import Report


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of seg-edge train, e.g. runs/NAME/best.pt.")],
    int8: Annotated[bool, typer.Option("--int8", help="Also write model.int8.onnx; needs --data.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="Dataset folder: train calibrates INT8, val measures every step.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Artefact folder. Default: artefact, beside the checkpoint.")] = None,
    imgsz: Annotated[str | None, typer.Option(help="Network input HxW, multiples of 32. Default: the checkpoint's.")] = None,
    batch: Annotated[int, typer.Option(help="Frames per inference.")] = 1,
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
        typer.Option(help="Most convolutions that go back to fp32 where INT8 breaks a limit. Default: half; 0: none."),
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine to measure on: auto (all are timed), openvino, onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    force_recalibrate: Annotated[
        bool, typer.Option("--force-recalibrate", help="Don't reuse the calibration cache.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.")] = None,
) -> None:
    """Export a checkpoint: ONNX, simplified, INT8; each step gated and reported."""
    from ..core.artifact import write_json
    from ..core.errors import InputError

    try:
        from ..export.chain import ExportOptions
        from ..export.chain import export as run_chain
        from ..export.qat import QatOptions
        from ..export.quantize import QuantOptions
        from ..export.report import BrokenGateError
    except ImportError as error:
        raise InputError(
            f"export needs packages that are not installed ({error}); pip install 'seg-edge[export]'"
        ) from error

    options = ExportOptions(
        int8=int8,
        data=data,
        input_hw=parse_size(imgsz),
        batch=batch,
        calib_frames=calib_frames,
        quant=QuantOptions(observer=observer, bias_correction=bias_correction, weights=weights),
        max_drop=None if max_drop is None else max_drop / 100,
        max_class_drop=None if max_class_drop is None else max_class_drop / 100,
        min_speedup=min_speedup,
        fallback=fallback,
        qat=None if qat is None else QatOptions(epochs=qat),
        engine=engine,
        threads=threads,
        recalibrate=force_recalibrate,
    )
    target = out or checkpoint.parent / "artefact"
    failed: BrokenGateError | None = None
    try:
        with _Bars() as progress:
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


class _Bars:
    """Shows a chain's progress on stderr: lines for its steps, a bar for each loop."""

    def __init__(self) -> None:
        self._bars = progress_bar()

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def track(self, items: Sequence[Any], what: str) -> Iterable[Any]:
        task = self._bars.add_task(what, total=len(items))
        yield from self._bars.track(items, task_id=task)
        self._bars.remove_task(task)

    def count(self, what: str) -> Callable[[int, int], None]:
        task = self._bars.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=total, visible=done < total)

        return show


def _print(report: Report) -> None:
    from rich.table import Table

    from ..export.report import COLUMNS

    table = Table(title=f"{report.spec.name}: each step against the one before it", title_justify="left")
    for i, (title, _cell) in enumerate(COLUMNS):
        table.add_column(title, justify="left" if i < 3 else "right")
    for step in report.steps:
        table.add_row(*(cell(step) for _title, cell in COLUMNS))
    out = console()
    out.print(table)
    for gate in report.gates:
        if not gate.passed:
            out.print(f"broken: {gate.name}: {gate.value:.4g}, limit {gate.limit:.4g}", highlight=False)
