"""SegNet: a decoder that puts every value back where the encoder's pooling took it from.

Badrinarayanan et al., "SegNet" (2017). VGG's convolutions are the encoder, mirrored they are the decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Features(nn.Module):
    """Holds VGG's convolutions under the name that torchvision's weights have for them."""

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features


class SegNet(nn.Module):
    """``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H, W).

    Args:
        features: VGG's ``features``: convolutions, ReLUs, normalization, and five max pools of 2×2.
        classes: Number of classes.
    """

    def __init__(self, features: nn.Sequential, classes: int) -> None:
        super().__init__()
        self.encoder = _Features(features)
        blocks: list[list[int]] = [[]]
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                blocks[-1].append(layer.out_channels)
            elif isinstance(layer, nn.MaxPool2d):
                blocks.append([])
        blocks.pop()
        stages: list[nn.Module] = []
        for number in range(len(blocks) - 1, -1, -1):
            width, narrower = blocks[number][-1], blocks[number - 1][-1] if number else blocks[0][0]
            layers = [_conv(width, width) for _ in blocks[number][1:]]
            # The outermost stage's last convolution is the classifier.
            layers += [_conv(width, narrower)] if number else []
            stages.append(nn.Sequential(*layers))
        self.decoder = nn.ModuleList(stages)
        self.classifier = nn.Conv2d(blocks[0][-1], classes, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        places = []
        for layer in self.encoder.features:
            if isinstance(layer, nn.MaxPool2d):
                x, place = pool(x)
                places.append(place)
            else:
                x = layer(x)
        for stage in self.decoder:
            x = stage(unpool(x, places.pop()))
        logits: Tensor = self.classifier(x)
        return logits


def pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """2×2 max pooling, and where each maximum stood; of equal values the first one counts, as in ``F.max_pool2d``.

    By comparisons, because no exporter has ``F.max_unpool2d`` and few engines have ONNX's MaxUnpool.

    Args:
        x: float (N, C, H, W), H and W even.

    Returns:
        Maxima, float (N, C, H/2, W/2), and 0 or 1 for each of the four places, float (N, C, 4, H/2, W/2).
    """
    best = F.max_pool2d(x, 2)
    corners = [x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    places: list[Tensor] = []
    free = torch.ones_like(best)
    for corner in corners:
        here = (corner >= best).to(x.dtype) * free
        free = free - here
        places.append(here)
    return best, torch.stack(places, 2).detach()


def unpool(x: Tensor, places: Tensor) -> Tensor:
    """The inverse of :func:`pool`: each value goes where the maximum stood, zeros elsewhere.

    Args:
        x: float (N, C, h, w).
        places: As :func:`pool` gave them, float (N, C, 4, h, w).

    Returns:
        float (N, C, 2h, 2w).
    """
    spread = x.unsqueeze(2) * places
    return F.pixel_shuffle(spread.flatten(1, 2), 2)


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )
