"""The compact U-Net family: plain 3×3 convolutions, output stride 4.

After Ronneberger et al., "U-Net" (2015), with three changes that make it fast on edge devices: strided convolutions
instead of pooling, batch normalization (folded into the convolutions at export), and a decoder that stops at a quarter
of the input's resolution. The runtime's kernel upsamples the logits straight to the frame.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import ModelFileError

STAGES = 5
#: Input height and width must be multiples of this: the deepest stage's stride.
STRIDE = 2**STAGES
OUTPUT_STRIDE = 4


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a compact U-Net.

    Attributes:
        widths: Channels of the five stages, at strides 2, 4, 8, 16, 32.
        depths: Convolutions of each encoder stage; the first has stride 2.
        decoder_depths: Convolutions of the decoder stages at strides 16, 8, 4.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 160)
    depths: tuple[int, ...] = (1, 2, 2, 2, 3)
    decoder_depths: tuple[int, ...] = (2, 2, 2)

    def __post_init__(self) -> None:
        for key, values, length in (
            ("widths", self.widths, STAGES),
            ("depths", self.depths, STAGES),
            ("decoder_depths", self.decoder_depths, STAGES - 2),
        ):
            fits = isinstance(values, tuple) and len(values) == length
            if not fits or not all(isinstance(v, int) and v >= 1 for v in values):
                raise ModelFileError(f"unet config: {key} must be {length} positive integers, got {values}")

    def to_dict(self) -> dict[str, Any]:
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> UNetConfig:
        """Raises ModelFileError for unknown keys and wrong values."""
        valid = {"widths", "depths", "decoder_depths"}
        if unknown := set(data) - valid:
            raise ModelFileError(f"unet config: unknown key {sorted(unknown)[0]!r}; valid keys: {', '.join(sorted(valid))}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})


class ConvBNReLU(nn.Sequential):
    """3×3 convolution, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        )


def _stage(inputs: int, outputs: int, depth: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*(ConvBNReLU(outputs if i else inputs, outputs, 1 if i else stride) for i in range(depth)))


class UNet(nn.Module):
    """A compact U-Net.

    ``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H/4, W/4).
    """

    def __init__(self, classes: int, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = nn.ModuleList(
            _stage(widths[i - 1] if i else 3, widths[i], depth, stride=2) for i, depth in enumerate(config.depths)
        )
        # From stride 16 up to stride 4; the stage at stride 2 has no skip connection, for the decoder never gets there.
        self.decoder = nn.ModuleList(
            _stage(widths[i + 1] + widths[i], widths[i], depth)
            for i, depth in zip((3, 2, 1), config.decoder_depths, strict=True)
        )
        self.head = nn.Conv2d(widths[1], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the head is made with a bias

    def forward(self, x: Tensor) -> Tensor:
        # Not while exporting: a trace would record the comparison and warn about it.
        if not torch.onnx.is_in_onnx_export() and (x.shape[-2] % STRIDE or x.shape[-1] % STRIDE):
            raise ValueError(
                f"UNet: height and width must be multiples of {STRIDE}, got {tuple(x.shape)}; resize the image first"
            )
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for stage in self.decoder:
            # Nearest: exact in INT8 and supported everywhere, DLA included; the convolutions after it smooth.
            x = stage(torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()), 1))
        return self.head(x)  # type: ignore[no-any-return]
