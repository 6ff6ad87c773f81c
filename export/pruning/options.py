"""The options of pruning."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import InputError
from ...core.options import Options, check_name, configuration, option
from ...runtime.engines.table import AUTO, ENGINES, GRAPH_ENGINES
from ...train.losses.options import DistillOptions
from .goal import Goal, one_goal
from .names import IMPORTANCES, NEED_DATA, SCOPES


@configuration
class PruneOptions(Options):
    """How to prune: one goal, the choice of channels, fine-tuning and measurements.

    >>> PruneOptions(ratio=0.5, steps=2).goal.text()
    '50 % of the channels removed'
    """

    ratio: float | None = option(None, help="Goal: remove this share of all channels, e.g. 0.5.")
    target_macs: float | None = option(None, help="Goal: keep at most this share of the multiply-accumulates.")
    target_params: float | None = option(None, help="Goal: keep at most this share of the parameters.")
    target_latency: str | None = option(None, help="Goal: MILLISECONDS@ENGINE, measured here, e.g. 2.5ms@openvino.")
    target_fps: str | None = option(None, help="Goal: FRAMES@ENGINE a second, e.g. 100@onnxruntime.")
    importance: str = option(
        "l2", help="Which channels matter; taylor and hessian need data", choices=lambda: IMPORTANCES, metavar="NAME"
    )
    scope: str = option(
        "global",
        help="Which channels go: the least important anywhere, or the same share of each layer",
        choices=lambda: SCOPES,
        kind="pruning scope",
    )
    # Widths in between are no faster on vector units and tensor cores: 8-bit convolutions of ONNX Runtime on AVX2 take
    # as long for 24 output channels as for 32.
    round_to: int = option(16, help="Widths are multiples of this.", low=1)
    steps: int = option(1, help="Approach the goal in this many steps.", low=1)
    finetune: int = option(0, help="Epochs of training after each step.", low=0)
    lr: float = option(5e-4, help="Peak learning rate of the fine-tuning.", above=0)
    batch: int = option(8, help="Images per step of the fine-tuning.", low=1)
    images: int = option(64, help="Training images for statistics after each step, and for taylor, hessian.", low=1)
    max_drop: float | None = option(
        None, help="Fail (exit 3) if the result loses more mIoU: points, in Python a fraction.", percent=True
    )
    max_class_drop: float | None = option(
        None, help="Fail (exit 3) if a class loses more IoU: points, in Python a fraction.", percent=True
    )
    data: Path | None = option(None, help="Dataset folder: val measures, train fine-tunes and scores.")
    engine: str = option(
        AUTO,
        help="Engine to measure on; auto times all and measures mIoU on the fastest",
        choices=lambda: (AUTO, *GRAPH_ENGINES),
        metavar="NAME",
    )
    threads: int | None = option(None, help="CPU threads. Default: every core.", low=1)
    device: str | None = option(None, help="Of the fine-tuning: cpu or cuda.")
    precision: str | None = option(None, help="Of the fine-tuning: fp32, bf16 or fp16.")
    workers: int | None = option(None, help="Loader processes of the fine-tuning.", low=0)
    seed: int = option(0, help="Seed of the fine-tuning.")
    distill: DistillOptions | None = option(None, help="A teacher for the fine-tuning, e.g. the unpruned network itself.")

    @property
    def goal(self) -> Goal:
        """The goal of pruning."""
        return one_goal(self.ratio, self.target_macs, self.target_params, self.target_latency, self.target_fps)

    def check(self) -> None:
        goal = self.goal
        if goal.engine is not None:
            check_name("engine", goal.engine, ENGINES)
        if self.data is None:
            for field, wanted in (
                (f"`importance='{self.importance}'`", self.importance in NEED_DATA), ("`finetune`", self.finetune > 0),
                ("`max_drop`", self.max_drop is not None), ("`max_class_drop`", self.max_class_drop is not None),
            ):  # fmt: skip
                if wanted:
                    raise InputError(
                        f"{field}: needs images and labels; pass `data`, a folder with images/train and images/val"
                    )
        if self.distill is not None and not self.finetune:
            raise InputError("`teacher`: takes part in the fine-tuning; pass `finetune` too, a number of epochs")
        check_drops(self.max_drop, self.max_class_drop)


def check_drops(max_drop: float | None, max_class_drop: float | None) -> None:
    """Raises InputError unless each limit is a fraction or None."""
    for field, value in (("max_drop", max_drop), ("max_class_drop", max_class_drop)):
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"`{field}`: expected a drop from 0 to 1 (100 points), got {value:g} ({100 * value:g} points)")
