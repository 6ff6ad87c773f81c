"""What a training is asked for. No torch here: ``--help`` and usage errors read this file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.labels import PRESETS
from ..core.options import Options, configuration, option, parse_size, show_size
from .data.options import AugmentOptions
from .losses.options import DEFAULT_LOSS, TERM_NAMES, DistillOptions, SiameseOptions, parse_loss
from .models import names

#: Optimizers, each with the peak learning rate at which it usually does well.
OPTIMIZERS = {"adamw": 2e-3, "sgd": 0.05}
PRECISIONS = ("fp32", "bf16", "fp16")
#: The faster of bf16 and fp16 on the device.
HALF = "half"
DEVICES = ("cpu", "cuda")
#: What the pixels are that a dataset of single classes leaves unlabelled: background or any class that the dataset doesn't
#: label, or background.
UNLABELLED = ("marginal", "background")
_RATES = ", ".join(f"{rate:g} for {name}" for name, rate in OPTIMIZERS.items())
_FAMILY = ", ".join(names.FAMILY)


@configuration
class TrainConfig(Options):
    """All that a training depends on, beside its data and its output folder.

    Values are checked here, before torch is loaded.

    >>> TrainConfig(model="unet-n", optimizer="sgd").resolved().lr
    0.05
    >>> TrainConfig(size_hw=(100, 96))
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.InputError: `size_hw`: HEIGHTxWIDTH must be multiples of 32, got 100x96; try 96x96
    """

    model: str = option(names.DEFAULT, help=f"Network: {_FAMILY} or one of the zoo; seg-edge models lists them.")
    epochs: int = option(100, help="Passes over the training split.", low=1)
    batch: int = option(8, help="Images per step; under torchrun of all processes together.", low=1)
    size_hw: tuple[int, int] | None = option(
        None, flag="--imgsz", parse=parse_size, show=show_size,
        help="Network input HxW, multiples of 32. Default: the images' own size, rounded down to such multiples.",
    )  # fmt: skip
    crop_hw: tuple[int, int] | None = option(
        None, flag="--crop", parse=parse_size, show=show_size,
        help="Size HxW of training crops, multiples of 32. Objects keep their size. Default: the network's input.",
    )  # fmt: skip
    lr: float | None = option(None, help=f"Peak learning rate. Default: {_RATES}.", above=0)
    weight_decay: float = option(0.01, help="Weight decay of convolution weights.", low=0)
    warmup: float = option(0.03, help="Share of all steps in which the learning rate rises; after them it falls to 0.")
    ema: float = option(0.998, help="Decay of the average of the weights, which validation and best.pt take.")
    seed: int = option(0, help="Seed of weights, order and augmentation.", low=0, high=2**32 - 1)
    classes: str | None = option(
        None,
        help="Class list of a known dataset (default: the classes that the dataset names)",
        choices=lambda: PRESETS,
        kind="class list",
    )
    precision: str | None = option(
        None,
        help="Precision of the training (default: bf16 where it is fast, else fp32)",
        choices=lambda: (*PRECISIONS, HALF),
    )
    device: str | None = option(None, help="Device to train on (default: a GPU where there is one)", choices=lambda: DEVICES)
    workers: int | None = option(None, help="Loader processes. Default: one for each core, up to 8.", low=0)
    train_split: str = option("train", help="Split that is trained on.")
    val_split: str = option("val", help="Split that is validated on after each epoch.")
    augment: AugmentOptions = option(AugmentOptions(), help="How training images are varied. Default: AugmentOptions().")
    init: Path | None = option(
        None, help="Begin with this checkpoint's network and weights, e.g. a pruned one, or a shipped model's by its name."
    )
    distill: DistillOptions | None = option(None, help="A teacher that takes part in the loss.")
    branches: bool = option(False, help="Train each 3x3 convolution as a sum of kernels; exported, they are one.")
    aux: float = option(0.0, help="Weight of classifiers on the decoder's stages, in training only.", low=0)
    loss: str = option(DEFAULT_LOSS, help=f"Sum of terms, each with a weight if wanted: {', '.join(TERM_NAMES)}.")
    class_weights: float = option(
        1.0, help="How much rare classes weigh more in the loss: 1 as in ENet, 0 not at all.", low=0
    )
    optimizer: str = option("adamw", help="Optimizer; sgd has Nesterov's momentum 0.9", choices=lambda: OPTIMIZERS)
    accumulate: int = option(1, help="Batches whose gradients are averaged for one step.", low=1)
    patience: int | None = option(None, help="Stop after this many epochs without a better val mIoU. Default: never.", low=1)
    deterministic: bool = option(False, help="Deterministic algorithms only, also on a GPU.")
    pretrained: str | None = option(
        None, help="Weights for the encoder of unet-lite0 or a zoo network: imagenet, or a file of its state dict."
    )
    unlabelled: str = option(
        "marginal", help="What pixels are that a single-class dataset leaves unlabelled; marginal means unknown",
        choices=lambda: UNLABELLED,
    )  # fmt: skip
    freeze: bool = option(False, help="Leave the encoder of `init` as it is.")
    siamese: SiameseOptions | None = option(None, help="Show each image in a second view too, and pull both together.")
    save_every: int | None = option(
        None, help="Also keep the checkpoint of every N-th epoch. Default: only the best and the last.", low=1
    )
    tensorboard: bool = option(False, help="Write curves and overlays for TensorBoard into the output folder.")

    def check(self) -> None:
        names.check_name(self.model)
        if self.pretrained is not None:
            if self.init is not None:
                raise InputError("`init` brings all weights along; drop `pretrained` or `init`")
            names.check_pretrained(self.model, self.pretrained)
        for field, other in (("distill", "teacher"), ("aux", "aux")):
            if self.siamese and getattr(self, field):
                raise InputError(f"`siamese` and `{other}` exclude each other; pass one of them")
        parse_loss(self.loss)
        for field, size_hw in (("size_hw", self.size_hw), ("crop_hw", self.crop_hw)):
            if size_hw is not None:
                check_multiples(field, size_hw)

    def resolved(self) -> TrainConfig:
        """The same configuration with the learning rate that None stands for."""
        return self if self.lr is not None else self.with_(lr=OPTIMIZERS[self.optimizer])

    def recorded(self, data: Path, out: Path) -> dict[str, Any]:
        """The training as ``report.json`` has it under ``config``: JSON values, the learning rate resolved."""
        resolved = self.resolved()
        values: dict[str, Any] = {"data": data, "out": out}
        values |= {field.name: getattr(resolved, field.name) for field in dataclasses.fields(resolved)}
        values["augment"] = dataclasses.asdict(self.augment)
        values["distill"] = self.distill and self.distill.recorded()
        values["siamese"] = self.siamese and self.siamese.recorded()
        return _plain(values)


def check_multiples(field: str, size_hw: tuple[int, int]) -> None:
    """Raises InputError, with a size that would do, unless both sides are multiples of :data:`.models.names.STRIDE`."""
    stride = names.STRIDE
    if any(side < stride or side % stride for side in size_hw):
        height, width = (max(stride, round(side / stride) * stride) for side in size_hw)
        raise InputError(
            f"`{field}`: HEIGHTxWIDTH must be multiples of {stride}, got {show_size(size_hw)}; "
            f"try {show_size((height, width))}"
        )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold."""
    return {
        key: str(value) if isinstance(value, Path) else _plain(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }
