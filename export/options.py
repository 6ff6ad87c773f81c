"""The options of an export."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from ..core.errors import InputError
from ..core.options import Options, configuration, option, parse_size, show_size
from ..runtime.engines.table import AUTO, ENGINES, PLAN_ENGINES
from .deliver.options import DeliverOptions
from .graph.options import QuantOptions
from .graph.size import FREE, check_size
from .int8.options import FLOAT_PRECISIONS, QatOptions
from .pruning.options import PruneOptions, check_drops
from .trt.options import BuildOptions


def parse_batch(text: str) -> int | None:
    """``"4"`` → 4; ``"free"`` → None.

    Raises:
        InputError: anything else.
    """
    if text == FREE:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"expected a number of frames, or {FREE}, got {text!r}") from None


@configuration
class ExportOptions(Options):
    """What to export, what to deliver, and which limits must hold.

    >>> options = ExportOptions(int8=True, data="camvid", max_drop=0.002)
    >>> options.data
    PosixPath('camvid')
    >>> ExportOptions(int8=True)
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.InputError: `int8=True`: needs real frames to calibrate on; pass `data`, a folder with ...

    Attributes:
        quant: How to quantize (:class:`~seg_edge.export.QuantOptions`).
        qat: How to fine-tune with fake quantization (:class:`~seg_edge.export.QatOptions`) if INT8 breaks a limit, or
            if no limit is stated; None never fine-tunes.
        deliver: What to write beside the ONNX files (:class:`~seg_edge.export.DeliverOptions`).
        prune: How to prune first (:class:`~seg_edge.export.PruneOptions`); None does not prune. The pruned checkpoint
            is kept beside the artefact.
    """

    int8: bool = option(False, help="Also write model.int8.onnx; needs `data`.")
    data: Path | None = option(None, help="Dataset folder: train calibrates INT8, val measures every step.")
    input_hw: tuple[int, int] | None = option(
        None,
        help="Network input HxW, multiples of 32. Default: the checkpoint's.",
        flag="--imgsz",
        parse=parse_size,
        show=show_size,
    )
    batch: int | None = option(
        1,
        help="Frames per inference: a number, or free (in Python None): any (several sources share inferences).",
        parse=parse_batch,
    )
    calib_frames: int = option(64, help="Calibration frames, evenly spaced over the train split.", low=1)
    quant: QuantOptions = field(default_factory=QuantOptions)
    max_drop: float | None = option(
        None, help="Fail (exit 3) if a step loses more mIoU: points, in Python a fraction.", percent=True
    )
    max_class_drop: float | None = option(
        None, help="Fail (exit 3) if a class loses more IoU in a step: points, in Python a fraction.", percent=True
    )
    min_speedup: float | None = option(None, help="Fail (exit 3) if INT8 is not this many times as fast as fp32.")
    qat: QatOptions | None = None
    fallback: int | None = option(
        None, help="Most convolutions that go back to float where INT8 breaks a limit. Default: half; 0: none."
    )
    fallback_precision: str | None = option(
        None,
        help="What they go back to. Default: fp16 where an engine file for a GPU is built too, else fp32. Names",
        choices=lambda: FLOAT_PRECISIONS,
    )
    engine: str = option(
        AUTO,
        help="Engine to measure on: auto times all and measures mIoU on the fastest; rtx, tensorrt also build their engine "
        "file from the smallest model, and measure as auto does. Names",
        choices=lambda: (AUTO, *ENGINES),
        metavar="NAME",
    )
    threads: int | None = option(None, help="CPU threads. Default: every core.", low=1)
    recalibrate: bool = option(False, help="Don't reuse the calibration cache.", flag="--force-recalibrate")
    fp16: bool = option(False, help="Also write model.fp16.onnx, a graph with casts.", flag="--fp16", aliases=("--half",))
    deliver: DeliverOptions = field(default_factory=DeliverOptions)
    dla_cache: bool = option(False, help="With `int8`: also write calib.tensorrt.cache, the INT8 scales for DLA.")
    prune: PruneOptions | None = None

    @property
    def plan(self) -> BuildOptions | None:
        """How to build an engine file; None builds none."""
        return self.deliver.plan or (BuildOptions(flavour=self.engine) if self.engine in PLAN_ENGINES else None)

    @property
    def measured_on(self) -> str:
        """The engine to measure on, or ``"auto"``."""
        return AUTO if self.engine in PLAN_ENGINES else self.engine

    @property
    def float_precision(self) -> str:
        """The precision of layers that go back to float."""
        plan = self.plan
        return self.fallback_precision or ("fp16" if plan is not None and plan.dla_core is None else "fp32")

    def check(self) -> None:
        if self.int8 and self.data is None:
            raise InputError(
                "`int8=True`: needs real frames to calibrate on; pass `data`, a folder with images/train, labels/train, "
                "images/val and labels/val"
            )
        for name, value in (("max_drop", self.max_drop), ("max_class_drop", self.max_class_drop)):
            if value is not None and self.data is None:
                raise InputError(f"`{name}`: accuracy is measured on a val split; pass `data`, a dataset folder")
        check_drops(self.max_drop, self.max_class_drop)
        for name, given, text in (
            ("`min_speedup`", self.min_speedup is not None, "compares INT8 with fp32; pass `int8=True` too"),
            ("`qat`", self.qat is not None, "trains for INT8; pass `int8=True` too"),
            ("`fallback_precision`", self.fallback_precision is not None,
             "of layers that go back from INT8; pass `int8=True` too"),
            ("`dla_cache=True`", self.dla_cache, 
             "INT8 scales come from calibration frames; pass `int8=True` and `data` too"),
        ):  # fmt: skip
            if given and not self.int8:
                raise InputError(f"{name}: {text}")
        if self.min_speedup is not None and self.min_speedup <= 0:
            raise InputError(f"`min_speedup`: expected a ratio above 0, got {self.min_speedup:g}")
        if self.fallback is not None and self.fallback < 0:
            raise InputError(f"`fallback`: expected 0 or more convolutions, got {self.fallback}")
        if self.deliver.plain is not None and self.batch != 1:
            raise InputError("`plain`: tools take graphs for one frame; leave `batch` out")
        if self.deliver.ncnn is not None and self.batch != 1:
            raise InputError("`ncnn`: its files take one frame; leave `batch` out")
        if self.deliver.litert and self.batch != 1:
            raise InputError("`litert`: its file takes one frame; leave `batch` out")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"`batch`: expected at least 1, got {self.batch}")
        if self.input_hw is not None:
            check_size(self.input_hw)
