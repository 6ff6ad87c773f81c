"""A Siamese U-Net: two views of a scene through the same weights, and terms that pull them together.

Both branches are one network, so that only the training changes: what is exported is the network itself. The loss of the
labels is taken on both views; to it come, each with a weight,

- *features*: 1 − cosine similarity of both branches' features at each position of the deepest layers (the metric of
  SimSiam, Chen and He, 2021, equation 1, without its predictor: the labels keep features from collapsing);
- *predictions*: the symmetric Kullback-Leibler divergence of both branches' class probabilities, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from ..data.view import other_view
from .distill import captured, feature_layers, pixelwise_kl
from .options import SiameseOptions

#: Input pixels per feature along each axis where features are compared, where the network has such.
STRIDES = (16, 32)


class Siamese(nn.Module):
    """The loss of both branches. It has no weights of its own.

    Args:
        options: Weights, and how far the second view is from the first.
        net: The network that both branches are.
        size_hw: Input size, pixels.

    Raises:
        InputError: features have a weight, but the network has none at :data:`STRIDES`.
    """

    def __init__(self, options: SiameseOptions, net: nn.Module, size_hw: tuple[int, int]) -> None:
        super().__init__()
        self.options = options
        self.layers: list[str] = []
        if options.pull_features:
            available = feature_layers(net, size_hw)
            self.layers = [available[stride][0] for stride in STRIDES if stride in available]
            if not self.layers:
                raise InputError(f"`pull_features`: the network has no features at strides {STRIDES}; pass 0")

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
        both = torch.cat((images, other_view(images, self.options.appearance)))
        with captured(net, self.layers) as features:
            logits = forward(both)
        terms = {"supervised": loss(logits, torch.cat((masks, masks)))}
        with torch.autocast(images.device.type, enabled=False):
            if self.layers:
                pairs = [features[name].float().chunk(2) for name in self.layers]
                distances = [1 - F.cosine_similarity(a, b, dim=1).mean() for a, b in pairs]
                terms["features"] = self.options.pull_features * torch.stack(distances).mean()
            if self.options.pull_predictions:
                a, b = logits.float().chunk(2)
                terms["predictions"] = (
                    self.options.pull_predictions * (pixelwise_kl(a, b, 1.0) + pixelwise_kl(b, a, 1.0)) / 2
                )
        return terms
