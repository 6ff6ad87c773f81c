"""Small networks with what the published ones are made of: what the builder meets beyond the compact family."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, stride: int = 1, **more: object) -> nn.Sequential:
    size = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    dilation = int(more.get("dilation", 1))
    pad = tuple(dilation * (side // 2) for side in size)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, pad, bias=False, **more),  # type: ignore[arg-type]
        nn.BatchNorm2d(outputs),
    )


class Inverted(nn.Module):
    """MobileNetV2's block: expand, depthwise, project, add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, 3 * width, 1), nn.ReLU6(), conv(3 * width, 3 * width, groups=3 * width), nn.ReLU6(),
            conv(3 * width, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class MobileLrAspp(nn.Module):
    """MobileNet with LR-ASPP: depthwise convolutions, residuals, a gate from global pooling, bilinear upsampling."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stem, self.early = conv(3, 8, stride=2), nn.Sequential(conv(8, 16, stride=2), nn.ReLU6(), Inverted(16))
        self.late = nn.Sequential(conv(16, 24, stride=2), nn.ReLU6(), Inverted(24))
        self.squeeze, self.gate = conv(24, 16, 1), nn.Conv2d(24, 16, 1)
        self.high, self.low = nn.Conv2d(16, classes, 1), nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        early = self.early(F.relu6(self.stem(x)))
        late = self.late(early)
        gated = F.relu(self.squeeze(late)) * torch.sigmoid(self.gate(F.adaptive_avg_pool2d(late, 1)))
        up = F.interpolate(gated, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.high(up) + self.low(early)


class ErfLike(nn.Module):
    """ERFNet's parts: pooling beside a strided convolution, 3x1 and 1x3 dilated convolutions, a transposed one."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.down1, self.down2, self.down3 = conv(3, 13, stride=2), conv(16, 32, stride=2), conv(32, 48, stride=2)
        self.body = nn.Sequential(
            conv(48, 48, (3, 1)), nn.ReLU(), conv(48, 48, (1, 3)), nn.ReLU(), conv(48, 48, 3, dilation=2), nn.ReLU()
        )
        self.up = nn.ConvTranspose2d(48, 16, 2, 2)
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(torch.cat((self.down1(x), F.max_pool2d(x, 2)), 1))
        deep = F.relu(self.down3(F.relu(self.down2(first))))
        return self.head(F.relu(self.up(deep + self.body(deep))))


class ResUNet(nn.Module):
    """A ResNet-like encoder with max pooling and a U-Net decoder that adds and concatenates."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stem, self.side = conv(3, 16, 7, 2), conv(16, 24, 1, 2)
        self.block, self.second = conv(16, 24, stride=2), conv(24, 24)
        self.fuse, self.head = conv(40, 16), nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        quarter = F.max_pool2d(F.relu(self.stem(x)), 3, 2, 1)
        eighth = F.relu(self.side(quarter) + self.second(F.relu(self.block(quarter))))
        up = F.interpolate(eighth, scale_factor=2.0, mode="nearest")
        return self.head(F.relu(self.fuse(torch.cat((up, quarter), 1))))


ZOO: dict[str, type[nn.Module]] = {"mobile_lraspp": MobileLrAspp, "erf_like": ErfLike, "res_unet": ResUNet}
