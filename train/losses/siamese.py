"""A Siamese U-Net: two appearances of a scene through the same weights, and a term that pulls them together.

Both branches are one network, so that only the training changes: what is exported is the network itself. The loss of the
labels is taken on both appearances; to it come, each with a weight,

- *features*: 1 − cosine similarity of both branches' features at each position of the deepest layers (the metric of
  SimSiam, Chen and He, 2021, equation 1, without its predictor: the labels keep features from collapsing);
- *predictions*: the symmetric Kullback-Leibler divergence of both branches' class probabilities, pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from ..data.view import other_appearance
from .distill import captured, feature_layers, pixelwise_kl

#: Input pixels per feature along each axis where features are compared, where the network has such.
STRIDES = (16, 32)


@dataclass(frozen=True)
class SiameseConfig:
    """How the two branches take part.

    Attributes:
        features: Weight of the features' term; 0 leaves it out.
        predictions: Weight of the predictions' term; 0 leaves it out. With both 0 the network sees two appearances, and
            nothing pulls them together.
        strength: How far the second appearance may be from the first: see :func:`.data.appearance.other_appearance`.
    """

    features: float = 0.5
    predictions: float = 0.5
    strength: float = 1.0

    def __post_init__(self) -> None:
        for option, value in (("--pull-features", self.features), ("--pull-predictions", self.predictions)):
            if not 0 <= value < math.inf:
                raise InputError(f"{option}: expected 0 or more, got {value:g}")
        if not 0 < self.strength <= 1:
            raise InputError(f"--appearance: expected above 0 and at most 1, got {self.strength:g}")

    def __str__(self) -> str:
        return f"features {self.features:g}, predictions {self.predictions:g}, appearance {self.strength:g}"


class Siamese(nn.Module):
    """The loss of both branches. It has no weights of its own.

    Args:
        config: Weights.
        net: The network that both branches are.
        size_hw: Input size, pixels.

    Raises:
        InputError: features are asked for, but the network has none at :data:`STRIDES`.
    """

    def __init__(self, config: SiameseConfig, net: nn.Module, size_hw: tuple[int, int]) -> None:
        super().__init__()
        self.config = config
        self.layers: list[str] = []
        if config.features:
            found = feature_layers(net, size_hw)
            self.layers = [found[stride][0] for stride in STRIDES if stride in found]
            if not self.layers:
                raise InputError(f"--pull-features: the network has no features at strides {STRIDES}; pass 0")

    def terms(
        self, images: Tensor, masks: Tensor, net: nn.Module,
        forward: Callable[[Tensor], Tensor], loss: Callable[[Tensor, Tensor], Tensor],
    ) -> dict[str, Tensor]:  # fmt: skip
        """
        Args:
            images: uint8 (N, 3, H, W) RGB: the first branch's.
            masks: uint8 (N, H, W), of both.
            net: Where features are read.
            forward: images → logits, float (2N, C, h, w); runs ``net``.
            loss: (logits, masks) → scalar.

        Returns:
            Scalars ``supervised``, ``features`` and ``predictions``, those that have a weight.
        """
        # One batch: batch normalization must not see the domains apart, for the exported network has one set of statistics.
        both = torch.cat((images, other_appearance(images, self.config.strength)))
        with captured(net, self.layers) as features:
            logits = forward(both)
        terms = {"supervised": loss(logits, torch.cat((masks, masks)))}
        with torch.autocast(images.device.type, enabled=False):
            if self.layers:
                pairs = [features[name].float().chunk(2) for name in self.layers]
                apart = [1 - F.cosine_similarity(a, b, dim=1).mean() for a, b in pairs]
                terms["features"] = self.config.features * torch.stack(apart).mean()
            if self.config.predictions:
                a, b = logits.float().chunk(2)
                terms["predictions"] = self.config.predictions * (pixelwise_kl(a, b, 1.0) + pixelwise_kl(b, a, 1.0)) / 2
        return terms
