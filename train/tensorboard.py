"""Curves of a training, the IoU of each class and a few overlays, for TensorBoard (``TrainConfig.tensorboard``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.labels import Labels
from .callbacks import History
from .lightning_module import SegmentationModule

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

#: Folder in a training's own; ``tensorboard --logdir`` finds it from any folder above.
FOLDER = "tensorboard"
#: Validation images that are shown in each epoch.
IMAGES = 3
#: Where the columns of the table of metrics go; others keep their name, under ``loss``.
TAGS = {
    "train_loss": "loss/train", "val_loss": "loss/val", "val_miou": "val/miou",
    "val_pixel_accuracy": "val/pixel_accuracy", "lr": "lr", "seconds": "seconds_per_epoch",
}  # fmt: skip


class TensorBoard(pl.Callback):
    """Writes scalars and overlays of every epoch; the step is the epoch's number, from 1.

    A resumed training goes on in the same folder: what a killed one had written after its last checkpoint is not shown.

    Args:
        out: The training's folder.
        history: Has the row of the epoch; stands before this one among the callbacks.
    """

    def __init__(self, out: Path, history: History) -> None:
        self.folder = out / FOLDER
        self.history = history
        self._writer: SummaryWriter | None = None
        self._overlays: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if trainer.is_global_zero:
            self._writer = SummaryWriter(str(self.folder), purge_step=trainer.current_epoch + 1)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        if self._writer is None or batch_idx:
            return
        assert isinstance(pl_module, SegmentationModule)
        images, masks = (part[:IMAGES] for part in batch)
        # Once more, of the averaged weights that are validated: a few images cost less than keeping every batch's logits.
        logits = F.interpolate(pl_module(images).float(), images.shape[-2:], mode="bilinear", align_corners=False)
        for image, mask, guess in zip(images, masks, logits.argmax(1), strict=True):
            label = F.interpolate(mask[None, None].float(), image.shape[-2:], mode="nearest-exact")[0, 0]
            both = [overlay(image, values, pl_module.spec.labels) for values in (label.long(), guess)]
            self._overlays.append(torch.cat(both, 2))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._writer is None:
            return
        assert isinstance(pl_module, SegmentationModule)
        row = self.history.rows[-1]
        epoch = int(row["epoch"])
        for key, value in row.items():
            if key != "epoch":
                self._writer.add_scalar(TAGS.get(key, f"loss/{key.removeprefix('train_')}"), value, epoch)
        for name, iou in zip(pl_module.spec.labels.names, pl_module.confusion.iou.tolist(), strict=True):
            if not np.isnan(iou):
                self._writer.add_scalar(f"iou/{name}", iou, epoch)
        for k, pair in enumerate(self._overlays):
            self._writer.add_image(f"val/{k}_label_and_prediction", pair, epoch)
        self._overlays = []
        self._writer.flush()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def overlay(image: Tensor, mask: Tensor, labels: Labels) -> Tensor:
    """The image half covered with the classes' colours; where a mask has no class, as it is.

    Args:
        image: uint8 (3, H, W) RGB.
        mask: int64 (H, W).

    Returns:
        uint8 (3, H, W) RGB, on the CPU.
    """
    image, mask = image.cpu(), mask.cpu()
    palette = torch.tensor(labels.palette, dtype=torch.uint8)
    classes = mask < len(labels)
    colours = palette[torch.where(classes, mask, 0)].permute(2, 0, 1)
    return torch.where(classes, image // 2 + colours // 2, image)
