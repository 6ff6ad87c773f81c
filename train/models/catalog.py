"""Builds every network of :mod:`.names`: the compact family, and the zoo's architectures on their encoders.

The networks of :mod:`.zoo` upsample their logits to the input's size, as their libraries do. The ones here end at the stride
of their logits, because the runtime's kernel upsamples straight to the frame. Weights have the same names in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ...core.errors import ModelFileError
from . import registry, zoo
from .names import OUTPUT_STRIDE, TABLE, TORCHVISION, check_name
from .parts import encoders, heads
from .parts.segnet import SegNet
from .widths import narrowed

Make = Callable[[str, int], nn.Module]


def _library(kind: str, **words: Any) -> Make:
    def make(encoder: str, classes: int) -> nn.Module:
        smp = encoders.library(f"{kind.lower()}-{encoder}")
        name = encoders.library_name(encoder, dilated="encoder_output_stride" in words)
        network: nn.Module = getattr(smp, kind)(name, encoder_weights=None, classes=classes, **words)
        # Their own upsampling would be done once more by the runtime, on full-size logits.
        head: Any = network.segmentation_head
        head[1] = nn.Identity()
        return network

    return make


def _headed(head: Callable[[Any, int], nn.Module], stride: int) -> Make:
    def make(encoder: str, classes: int) -> nn.Module:
        body = encoders.make(encoder, stride)
        return heads.Encoded(body, head(body.out_channels, classes))

    return make


def _segnet(encoder: str, classes: int) -> nn.Module:
    from torchvision.models.vgg import cfgs, make_layers

    layers = cfgs["E" if "19" in encoder else "D"]
    return SegNet(make_layers(layers, batch_norm=encoder.endswith("bn")), classes)


#: How each of :data:`.names.ARCHITECTURES` is built.
MAKERS: dict[str, Make] = {
    "fcn": _headed(heads.FCNHead, 8),
    "fcn8s": _headed(heads.FCN8sHead, 32),
    "unet": _library("Unet"),
    "segnet": _segnet,
    "pspnet": _headed(heads.PSPHead, 8),
    "deeplabv2": _headed(heads.DeepLabV2Head, 8),
    "deeplabv3": _library("DeepLabV3", encoder_output_stride=8),
    "deeplabv3plus": _library("DeepLabV3Plus", encoder_output_stride=16),
}


class ZooNetwork(zoo.OneOutput):
    """A zoo network that ends at its own stride.

    ``forward``: float (N, 3, H, W), RGB, normalized, H and W multiples of 32 → logits, float (N, classes, H/s, W/s), s being
    ``output_stride``.
    """

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__(network)
        self.output_stride = stride

    @property
    def encoder(self) -> nn.Module:
        """Where weights of a classification network go."""
        encoder = getattr(self.network, "encoder", None)
        return encoder if isinstance(encoder, nn.Module) else self.network.backbone  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self.network, "backbone"):
            return super().forward(x)
        # torchvision's: without the upsampling that its own forward ends with.
        features = self.network.backbone(x)  # type: ignore[operator]
        if "out" in features and len(features) == 1:
            features = features["out"]
        logits: Tensor = self.network.classifier(features)  # type: ignore[operator]
        return logits


def build(name: str, classes: int, config: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialized network, in training mode.

    Args:
        name: A key of :data:`.names.TABLE`.
        classes: Number of classes.
        config: What a checkpoint says of it, as :func:`seg_edge.train.models.config.config_of` gives it.

    Raises:
        UnknownNameError: no such network.
        ModelFileError: fewer than one class, or a config that is not valid.
        InputError: the package that has it is missing.
    """
    if name in registry.MODELS:
        return registry.build(name, classes, config)
    check_name(name)
    if classes < 1:
        raise ModelFileError(f"model {name}: needs at least one class, got {classes}")
    if name in TORCHVISION:  # unchanged, the network that `bench --table` measures
        network = zoo.build(name, classes).network
    else:
        architecture, _, encoder = name.partition("-")
        network = MAKERS[architecture](encoder, classes)
    return narrowed(ZooNetwork(network, TABLE[name].stride), config or {}).train()


def stride_of(net: nn.Module) -> int:
    """Input pixels per pixel of a network's logits."""
    return int(getattr(net, "output_stride", OUTPUT_STRIDE))
