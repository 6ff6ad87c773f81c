"""What an export can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..calib.observers import observer
from ..calib.scales import WEIGHTS
from ..core.errors import InputError, UnknownNameError
from .deliver.delivery import DeliverOptions
from .graph.quantize import QuantOptions
from .graph.to_onnx import check_size
from .int8.half_layers import PRECISIONS
from .int8.qat import QatOptions

if TYPE_CHECKING:
    from .pruning.steps import PruneOptions


@dataclass(frozen=True)
class ExportOptions:
    """What ``seg-edge export`` can be told.

    Attributes:
        int8: Whether to quantize; needs ``data``.
        data: Dataset folder: its train split calibrates, its val split measures.
        input_hw: Network input; None keeps the checkpoint's.
        batch: Frames per inference; None: the files take any number.
        calib_frames: Greatest number of calibration frames.
        quant: How to quantize.
        max_drop: Most mIoU that a step may lose, 0..1.
        max_class_drop: Most IoU that any class may lose in a step, 0..1.
        min_speedup: Least ratio of fp32 to INT8 latency, on the first engine.
        qat: How to fine-tune with fake quantization where INT8 breaks a limit, or where none is stated; None = never.
        fallback: Most convolutions that may go back to fp32 where INT8 breaks a limit; None is half of them, 0 none.
        fallback_precision: ``"fp32"`` or ``"fp16"`` for the layers that go back; None is fp16 where an engine file for a GPU
            is built too, else fp32.
        engine: Engine to measure on; ``"auto"`` times all available ones and measures mIoU on the fastest.
        threads: CPU threads; None is every core.
        recalibrate: Ignore the calibration cache.
        fp16: Whether to write the cast graph too.
        deliver: What to write beside the ONNX files.
        dla_cache: Whether to write INT8 scales for DLA too; needs ``int8``.
        prune: How to prune the checkpoint first; the pruned one is kept beside the artefact.
    """

    int8: bool = False
    data: Path | None = None
    input_hw: tuple[int, int] | None = None
    batch: int | None = 1
    calib_frames: int = 64
    quant: QuantOptions = field(default_factory=QuantOptions)
    max_drop: float | None = None
    max_class_drop: float | None = None
    min_speedup: float | None = None
    fallback: int | None = None
    fallback_precision: str | None = None
    qat: QatOptions | None = None
    engine: str = "auto"
    threads: int | None = None
    recalibrate: bool = False
    fp16: bool = False
    deliver: DeliverOptions = field(default_factory=DeliverOptions)
    dla_cache: bool = False
    prune: PruneOptions | None = None

    @property
    def float_precision(self) -> str:
        """What layers that go back compute in."""
        plan = self.deliver.plan
        return self.fallback_precision or ("fp16" if plan is not None and plan.dla_core is None else "fp32")

    def check(self) -> None:
        """Raises InputError for values and combinations that make no sense, before any work is done."""
        observer(self.quant.observer)
        if self.quant.weights not in WEIGHTS:
            raise UnknownNameError("weight range", self.quant.weights, WEIGHTS)
        if self.int8 and self.data is None:
            raise InputError(
                "--int8: needs real frames to calibrate on; pass --data DIR, a folder with images/train, labels/train, "
                "images/val and labels/val"
            )
        for option, value in (("--max-drop", self.max_drop), ("--max-class-drop", self.max_class_drop)):
            if value is not None and self.data is None:
                raise InputError(f"{option}: accuracy is measured on a val split; pass --data DIR")
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"{option}: expected 0 to 100 points, got {100 * value:g}")
        if self.min_speedup is not None and not self.int8:
            raise InputError("--min-speedup: compares INT8 with fp32; pass --int8 too")
        if self.min_speedup is not None and self.min_speedup <= 0:
            raise InputError(f"--min-speedup: expected a ratio above 0, got {self.min_speedup:g}")
        if self.qat is not None:
            self.qat.check()
            if not self.int8:
                raise InputError("--qat: trains for INT8; pass --int8 too")
        if self.fallback is not None and self.fallback < 0:
            raise InputError(f"--fallback: expected 0 or more convolutions, got {self.fallback}")
        if self.fallback_precision is not None:
            if self.fallback_precision not in PRECISIONS:
                raise UnknownNameError("fallback precision", self.fallback_precision, PRECISIONS)
            if not self.int8:
                raise InputError("--fallback-precision: of layers that go back from INT8; pass --int8 too")
        if self.dla_cache and not self.int8:
            raise InputError("--dla-cache: INT8 scales come from calibration frames; pass --int8 and --data too")
        self.deliver.check()  # whatever an installed version lacks is said before any work is done
        for option, number in (("--batch", self.batch), ("--calib-frames", self.calib_frames)):
            if number is not None and number < 1:
                raise InputError(f"{option}: expected at least 1, got {number}")
        if self.input_hw is not None:
            check_size(self.input_hw)
