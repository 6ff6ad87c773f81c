"""The compact U-Net family: plain 3×3 convolutions, output stride 4.

After Ronneberger et al., "U-Net" (2015), with three changes that make it fast on edge devices: strided convolutions
instead of pooling, batch normalization (folded into the convolutions at export), and a decoder that stops at a quarter
of the input's resolution. The runtime's kernel upsamples the logits straight to the frame.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import ModelFileError
from ...core.spec import IMAGENET_MEAN, IMAGENET_STD
from .names import STRIDE

STAGES = 5  # the deepest one's stride, 2**5, is names.STRIDE


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a compact U-Net.

    Attributes:
        widths: Channels of the five stages, at strides 2, 4, 8, 16, 32.
        depths: Convolutions of each encoder stage; the first has stride 2.
        decoder_depths: Convolutions of the decoder stages at strides 16, 8, 4.
        layer_widths: Channels of every single convolution, as pruning leaves them: a list for each encoder stage, then for
            each decoder stage. None gives every convolution of a stage the stage's width. ``widths`` and the depths
            must agree with it: the width of an encoder stage is that of its last convolution.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 160)
    depths: tuple[int, ...] = (1, 2, 2, 2, 3)
    decoder_depths: tuple[int, ...] = (2, 2, 2)
    layer_widths: tuple[tuple[int, ...], ...] | None = None

    #: Per-channel RGB normalization on the 0..255 scale.
    mean: ClassVar[tuple[float, float, float]] = IMAGENET_MEAN
    std: ClassVar[tuple[float, float, float]] = IMAGENET_STD

    def __post_init__(self) -> None:
        for key, values, length in (
            ("widths", self.widths, STAGES),
            ("depths", self.depths, STAGES),
            ("decoder_depths", self.decoder_depths, STAGES - 2),
        ):
            fits = isinstance(values, tuple) and len(values) == length
            if not fits or not all(isinstance(v, int) and v >= 1 for v in values):
                raise ModelFileError(f"unet config: {key} must be {length} positive integers, got {values}")
        if self.layer_widths is not None:
            self._check_layers(self.layer_widths)

    def _check_layers(self, layers: tuple[tuple[int, ...], ...]) -> None:
        depths = (*self.depths, *self.decoder_depths)
        fits = isinstance(layers, tuple) and all(isinstance(stage, tuple) for stage in layers)
        if not fits or tuple(map(len, layers)) != depths:
            raise ModelFileError(f"unet config: layer_widths must be lists of {depths} widths, got {layers}")
        if not all(isinstance(width, int) and width >= 1 for stage in layers for width in stage):
            raise ModelFileError(f"unet config: layer_widths must be positive integers, got {layers}")
        last = tuple(stage[-1] for stage in layers[:STAGES])
        if last != self.widths:
            raise ModelFileError(
                f"unet config: widths must be those of the encoder stages' last layers, {last}, got {self.widths}"
            )

    @property
    def stages(self) -> tuple[tuple[int, ...], ...]:
        """Channels of every convolution: of the five encoder stages, then of the decoder stages at strides 16, 8, 4."""
        if self.layer_widths is not None:
            return self.layer_widths
        widths = (*self.widths, *self.widths[3:0:-1])
        return tuple((w,) * depth for w, depth in zip(widths, (*self.depths, *self.decoder_depths), strict=True))

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {key: list(value) for key, value in asdict(self).items() if value is not None}
        if self.layer_widths is not None:
            data["layer_widths"] = [list(stage) for stage in self.layer_widths]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> UNetConfig:
        """Raises ModelFileError for unknown keys and wrong values."""
        valid = {"widths", "depths", "decoder_depths", "layer_widths"}
        if unknown := set(data) - valid:
            raise ModelFileError(f"unet config: unknown key {sorted(unknown)[0]!r}; valid keys: {', '.join(sorted(valid))}")
        return cls(**{key: _tuples(value) for key, value in data.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class ConvBNReLU(nn.Sequential):
    """3×3 convolution, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        )


def conv_stage(inputs: int, widths: tuple[int, ...], stride: int = 1) -> nn.Sequential:
    """Convolutions of these widths, one after the other; the first has ``stride``."""
    before = (inputs, *widths[:-1])
    return nn.Sequential(
        *(ConvBNReLU(a, b, 1 if i else stride) for i, (a, b) in enumerate(zip(before, widths, strict=True)))
    )


def check_size(net: nn.Module, x: Tensor) -> None:
    """Raises ValueError unless ``x``, (N, C, H, W), has sides that every stage can halve."""
    # Not while exporting: a trace would record the comparison and warn about it.
    if not torch.onnx.is_in_onnx_export() and (x.shape[-2] % STRIDE or x.shape[-1] % STRIDE):
        raise ValueError(
            f"{type(net).__name__}: height and width must be multiples of {STRIDE}, got {tuple(x.shape)}; "
            "resize the image first"
        )


def decode(stages: nn.ModuleList, x: Tensor, skips: list[Tensor]) -> Tensor:
    """From the deepest features up through the decoder's stages; each takes the last of ``skips``, which are used up."""
    for stage in stages:
        # Nearest: exact in INT8 and supported everywhere, DLA included; the convolutions after it smooth.
        x = stage(torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skips.pop()), 1))
    return x


class UNet(nn.Module):
    """A compact U-Net.

    ``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H/4, W/4).
    """

    def __init__(self, classes: int, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        skips = config.widths
        encoder, decoder = config.stages[:STAGES], config.stages[STAGES:]
        self.encoder = nn.ModuleList(
            conv_stage(inputs, widths, stride=2) for inputs, widths in zip((3, *skips[:-1]), encoder, strict=True)
        )
        # From stride 16 up to stride 4; the stage at stride 2 has no skip connection, for the decoder never gets there.
        deeper = (skips[-1], *(widths[-1] for widths in decoder))
        self.decoder = nn.ModuleList(
            conv_stage(deeper[k] + skips[i], widths) for k, (i, widths) in enumerate(zip((3, 2, 1), decoder, strict=True))
        )
        self.head = nn.Conv2d(deeper[-1], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the head is made with a bias

    def forward(self, x: Tensor) -> Tensor:
        check_size(self, x)
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        skips.pop()
        x = decode(self.decoder, x, skips)
        return self.head(x)  # type: ignore[no-any-return]


def config_of(net: UNet) -> UNetConfig:
    """The configuration of a network whose layers were narrowed: it builds a network of the same shapes."""
    layers = tuple(tuple(block[0].out_channels for block in stage) for stage in (*net.encoder, *net.decoder))
    depths = tuple(map(len, layers))
    config = UNetConfig(tuple(stage[-1] for stage in layers[:STAGES]), depths[:STAGES], depths[STAGES:], layers)
    plain = replace(config, layer_widths=None)
    return plain if plain.stages == layers else config
