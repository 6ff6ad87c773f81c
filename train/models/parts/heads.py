"""Decoders that the libraries lack, on the encoders of :mod:`.encoders`. Each ends at its own stride: the runtime upsamples.

All take an encoder's list of features, float (N, C_k, H/s_k, W/s_k), and answer with logits, float (N, classes, H/s, W/s).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Encoded(nn.Module):
    """An encoder and a head: float (N, 3, H, W), RGB, normalized → logits."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        for module in head.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(x))
        return logits


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class FCNHead(nn.Sequential):
    """One convolution and the classifier on a dilated encoder's last features, stride 8, as torchvision has it.

    After Long et al., "Fully Convolutional Networks" (2015), with the dilation of Yu and Koltun (2016) in place of skips.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        inner = channels[-1] // 4
        super().__init__(_conv(channels[-1], inner), nn.Dropout(0.1), nn.Conv2d(inner, classes, 1))

    def forward(self, features: list[Tensor]) -> Tensor:
        logits: Tensor = super().forward(features[-1])  # type: ignore[no-untyped-call]  # torch's own annotation
        return logits


class FCN8sHead(nn.Module):
    """FCN-8s of Long et al. (2015), section 4.2: scores at strides 32, 16 and 8, summed from the deepest upwards.

    One 3×3 convolution stands for VGG's two fully connected layers (119 M weights); scores are enlarged bilinearly, which is
    what the paper's learned upsampling begins with.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        deep, inner = channels[-1], max(64, channels[-1] // 4)
        self.deepest = nn.Sequential(_conv(deep, inner), nn.Dropout(0.1), nn.Conv2d(inner, classes, 1))
        self.scores = nn.ModuleList(nn.Conv2d(count, classes, 1) for count in (channels[-2], channels[-3]))

    def forward(self, features: list[Tensor]) -> Tensor:
        total: Tensor = self.deepest(features[-1])
        for score, skip in zip(self.scores, (features[-2], features[-3]), strict=True):
            own = score(skip)
            total = _resized(total, own) + own
        return total


class DeepLabV2Head(nn.Module):
    """ASPP-L of Chen et al., "DeepLab" (2018), section 3.2: classifiers at rates 6, 12, 18, 24 on stride 8, summed.

    As their ResNet-101 has it; the fully connected CRF behind it is not part of the network and is left out.
    """

    def __init__(self, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.rates = nn.ModuleList(
            nn.Conv2d(channels[-1], classes, 3, padding=rate, dilation=rate) for rate in (6, 12, 18, 24)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        return torch.stack([rate(features[-1]) for rate in self.rates]).sum(0)


class BinPool(nn.Module):
    """Means over ``bins`` × ``bins`` parts of the image, those of ``nn.AdaptiveAvgPool2d(bins)``, by two matrix products.

    Exporters know adaptive pooling only where the size is a multiple of ``bins``; matrices fit any size.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (self._means(int(side)).to(x) for side in x.shape[-2:])
        return rows @ x @ columns.T

    def _means(self, size: int) -> Tensor:
        """float (bins, size): row i averages what adaptive pooling's bin i covers."""
        matrix = torch.zeros(self.bins, size)
        for i in range(self.bins):
            low, high = i * size // self.bins, math.ceil((i + 1) * size / self.bins)
            matrix[i, low:high] = 1 / (high - low)
        return matrix


class PSPHead(nn.Module):
    """Pyramid pooling over 1, 2, 3 and 6 bins on a dilated encoder, stride 8 (Zhao et al., "PSPNet", 2017, section 3.2)."""

    def __init__(self, channels: Sequence[int], classes: int, width: int = 512) -> None:
        super().__init__()
        deep = channels[-1]
        self.branches = nn.ModuleList(nn.Sequential(BinPool(bins), _conv(deep, deep // 4, 1)) for bins in (1, 2, 3, 6))
        self.classifier = nn.Sequential(
            _conv(deep + 4 * (deep // 4), width), nn.Dropout2d(0.1), nn.Conv2d(width, classes, 1)
        )

    def forward(self, features: list[Tensor]) -> Tensor:
        x = features[-1]
        logits: Tensor = self.classifier(torch.cat([x, *(_resized(branch(x), x) for branch in self.branches)], 1))
        return logits
