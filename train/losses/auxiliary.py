"""Deep supervision: classifiers on the decoder's lower resolutions, whose losses are added in training and then dropped.

Lee et al., "Deeply-Supervised Nets" (2015), section 2.2; on the decoder's stages as in Zhou et al., "UNet++" (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...core.errors import InputError
from .distill import captured


class Auxiliary(nn.Module):
    """1×1 classifiers on every stage of the decoder but the last, which has the network's own.

    Args:
        net: Has a ``decoder``: a module list of stages, each ending with its features.
        classes: Number of classes.
        weight: Of the mean of their losses.

    Raises:
        InputError: the network has no such decoder.
    """

    def __init__(self, net: nn.Module, classes: int, weight: float) -> None:
        super().__init__()
        decoder = getattr(net, "decoder", None)
        if not isinstance(decoder, nn.ModuleList) or len(decoder) < 2:
            raise InputError(f"`aux`: {type(net).__name__} has no decoder of several stages; leave `aux` out")
        self.weight = weight
        self.stages = [f"decoder.{k}" for k in range(len(decoder) - 1)]
        widths = [[m for m in stage.modules() if isinstance(m, nn.Conv2d)][-1].out_channels for stage in decoder][:-1]
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)  # type: ignore[arg-type]  # a convolution's weight
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    @contextmanager
    def watching(self, net: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Collects the stages' features while the network runs."""
        with captured(net, self.stages) as features:
            yield features

    def forward(self, features: dict[str, Tensor], masks: Tensor, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The weighted mean of ``loss`` over the classifiers' logits.

        Args:
            features: As :meth:`watching` collected them.
            masks: uint8 (N, H, W).
            loss: (logits (N, C, h, w), masks) → scalar.
        """
        losses = [loss(head(features[name]), masks) for head, name in zip(self.heads, self.stages, strict=True)]
        return self.weight * torch.stack(losses).mean()
