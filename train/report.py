"""The report of a training."""

from __future__ import annotations

from ..core.report import Cells, MappingReport


class TrainReport(MappingReport):
    """What a training gave, as ``report.json`` in its folder has it.

    >>> report = TrainReport({
    ...     "model": "unet-n", "data": "data/camvid", "epochs": 1, "seconds": 61.0,
    ...     "best": {"epoch": 1, "miou": 0.5, "pixel_accuracy": 0.8},
    ...     "history": [{"epoch": 1, "train_loss": 1.5, "val_loss": 1.25, "val_miou": 0.5, "seconds": 61.0}],
    ... })
    >>> report
    unet-n on data/camvid: best val mIoU 50.00 % in epoch 1 of 1 (61 s)
    epoch  train loss  val loss  val mIoU %  seconds
        1      1.5000    1.2500       50.00     61.0
    >>> report["best"]["epoch"]
    1
    """

    def title(self) -> str:
        best = self["best"]
        score = f"best val mIoU {100 * best['miou']:.2f} % in epoch {best['epoch']} of" if best else "no val mIoU in"
        return f"{self['model']} on {self['data']}: {score} {self['epochs']} ({self['seconds']:.0f} s)"

    def table(self) -> Cells:
        columns = ("epoch", "train loss", "val loss", "val mIoU %", "seconds")
        return columns, [
            [
                str(row["epoch"]),
                *(f"{row[key]:.4f}" if key in row else "–" for key in ("train_loss", "val_loss")),
                f"{100 * row['val_miou']:.2f}" if "val_miou" in row else "–",
                f"{row['seconds']:.1f}",
            ]
            for row in self["history"]
        ]  # fmt: skip
