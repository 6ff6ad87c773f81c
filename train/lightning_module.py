"""The training module that PyTorch Lightning drives."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from ..core.metrics import ConfusionMatrix, number
from ..core.spec import ModelSpec
from ..datasets.merged import settle
from ..runtime.frame.kernels import upsample_argmax
from .checkpoint.file import KEY, describe
from .distributed import total
from .losses.auxiliary import Auxiliary
from .losses.distill import Distillation
from .losses.options import DEFAULT_LOSS
from .losses.siamese import Siamese
from .losses.terms import SegmentationLoss
from .models.config import config_of


class SegmentationModule(pl.LightningModule):
    """One network, its loss and its optimizer.

    Args:
        net: float (N, 3, H, W) → logits (N, classes, h, w).
        model: The network's name in the catalog.
        spec: Travels into every checkpoint, with the validation metrics of that moment as provenance.
        weights: Class weights of the loss.
        lr: Peak learning rate.
        weight_decay: Of convolution weights; normalization and biases have none.
        warmup: Share of all steps with a linearly rising rate; after it the rate falls as (1 − t)^0.9 ("poly").
        distillation: Adds a teacher's terms to the loss.
        loss: Terms of the loss, see :func:`seg_edge.train.losses.options.parse_loss`.
        auxiliary: Adds the losses of classifiers on the decoder's stages.
        optimizer: ``adamw``, or ``sgd`` with Nesterov's momentum of 0.9.
        siamese: Adds a second view of each image to the loss.
        freeze: The encoder (``net.encoder``) stays as it is, the statistics of its batch normalization too.
        sets: What labels above the classes stand for, see :mod:`seg_edge.datasets.merged`.
    """

    def __init__(
        self, net: nn.Module, model: str, spec: ModelSpec, weights: Tensor, *,
        lr: float, weight_decay: float, warmup: float,
        distillation: Distillation | None = None, loss: str = DEFAULT_LOSS, optimizer: str = "adamw",
        auxiliary: Auxiliary | None = None,
        sets: Sequence[Sequence[int]] = (), siamese: Siamese | None = None,
        freeze: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.net = net
        self.model_name = model
        self.spec = spec
        self.loss = SegmentationLoss(weights, spec.labels.ignore_index, loss, sets=sets)
        self.sets = sets
        self.optimizer = optimizer
        self.distillation = distillation
        self.auxiliary = auxiliary
        self.siamese = siamese
        self.freeze_encoder = freeze
        if freeze:
            _encoder(net).requires_grad_(False).eval()  # Lightning leaves modes as it finds them
        self.lr, self.weight_decay, self.warmup = lr, weight_decay, warmup
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)
        self.confusion = ConfusionMatrix(len(spec.labels))
        self.metrics: dict[str, Any] = {}
        self._val_losses: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        """``images``: uint8 (N, 3, H, W) RGB → logits."""
        normalized = (images.float() - self.mean) / self.std  # type: ignore[operator]  # buffers are tensors
        logits: Tensor = self.net(normalized.contiguous(memory_format=torch.channels_last))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], _index: int) -> Tensor:
        images, masks = batch
        if self.siamese is not None:
            terms = self.siamese.terms(images, masks, self.net, self, self.loss)
        else:
            parts = [part for part in (self.distillation, self.auxiliary) if part is not None]
            with ExitStack() as stack:
                seen = {part: stack.enter_context(part.watching(self.net)) for part in parts}
                logits = self(images)
            terms = {"supervised": self.loss(logits, masks)}
            if self.distillation is not None:
                terms |= self.distillation(images, logits, seen[self.distillation])
            if self.auxiliary is not None:
                terms["aux"] = self.auxiliary(seen[self.auxiliary], masks, self.loss)
        loss = torch.stack(list(terms.values())).sum()
        if len(terms) > 1:
            for name, term in terms.items():
                self.log(f"train_{name}", term, on_step=False, on_epoch=True, batch_size=len(images), sync_dist=True)
        self.log("train_loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=len(images), sync_dist=True)
        return loss

    def train(self, mode: bool = True) -> SegmentationModule:
        super().train(mode)
        if self.freeze_encoder:
            _encoder(self.net).eval()  # or its means and variances would follow the new images
        return self

    def on_validation_epoch_start(self) -> None:
        self.confusion = ConfusionMatrix(len(self.spec.labels))
        self._val_losses = []

    def validation_step(self, batch: tuple[Tensor, list[Tensor]], _index: int) -> None:
        images, masks = batch
        logits = self(images).float()
        for scores, mask in zip(logits, masks, strict=True):
            self._val_losses.append(self.loss(scores[None], mask[None]))
            # The runtime's kernel, as in `seg-edge val`: logits of the labels' size, for each class, never exist.
            guess = upsample_argmax(scores.contiguous().cpu().numpy(), (mask.shape[-2], mask.shape[-1]))
            self.confusion.update(*settle(guess, mask.cpu().numpy(), len(self.spec.labels), self.sets))

    def on_validation_epoch_end(self) -> None:
        losses = torch.stack(self._val_losses).double()
        loss, images = total(torch.stack((losses.sum(), torch.full_like(losses[0], len(losses)))))
        self.confusion.counts = total(torch.from_numpy(self.confusion.counts).to(self.device)).cpu().numpy()
        self.log("val_loss", (loss / images).float())
        self.metrics = {"miou": number(self.confusion.miou), "pixel_accuracy": number(self.confusion.pixel_accuracy)}
        for key, value in self.metrics.items():
            self.log(f"val_{key}", 0.0 if value is None else value, prog_bar=key == "miou")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        provenance = dict(self.spec.provenance) | {"epoch": self.current_epoch + 1, "val": self.metrics}
        checkpoint[KEY] = describe(self.model_name, config_of(self.net), self.spec.with_(provenance=provenance))

    def configure_optimizers(self) -> Any:
        # Kernels are the parameters of four dimensions, those of a convolution's branches included.
        decayed = [p for p in self.parameters() if p.ndim == 4 and p.requires_grad]
        chosen = {id(p) for p in decayed}
        plain = [p for p in self.parameters() if id(p) not in chosen and p.requires_grad]
        groups = [{"params": decayed, "weight_decay": self.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer: torch.optim.Optimizer
        if self.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=self.lr, momentum=0.9, nesterov=True)
        else:
            optimizer = torch.optim.AdamW(groups, lr=self.lr)
        total = max(1, int(self.trainer.estimated_stepping_batches))
        rising = max(1, round(total * self.warmup))

        def factor(step: int) -> float:
            if step < rising:
                return float((step + 1) / rising)
            return float(max(0.0, 1 - (step - rising) / max(1, total - rising)) ** 0.9)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def draws_per_image(module: SegmentationModule) -> bool:
    """Whether a training step draws random numbers for each image, as dropout does: processes must then draw differently."""
    dropouts = (m for m in module.net.modules() if isinstance(m, nn.modules.dropout._DropoutNd))
    return module.siamese is not None or any(m.p > 0 for m in dropouts)


def _encoder(net: nn.Module) -> nn.Module:
    encoder = net.encoder
    assert isinstance(encoder, nn.Module)  # every network of the catalog has one
    return encoder
