"""Every network that ``seg-edge train --model`` takes: the compact family, then the zoo's architectures on their encoders.

Unlike :mod:`.zoo`, which measures what other libraries build, these end at the stride at which they have logits: the
runtime's kernel upsamples them to the frame. Weights have the same names in both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from ...core.errors import InputError, ModelFileError, UnknownNameError
from . import encoders, heads, registry, zoo
from .encoders import ENCODERS
from .lite import LiteConfig
from .segnet import SegNet
from .unet import OUTPUT_STRIDE
from .widths import narrowed

Make = Callable[[str, int], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """One family of networks.

    Attributes:
        title: For people, as papers write it.
        stride: Input pixels per pixel of the logits along each axis.
        make: (encoder's name, number of classes) → the network, with random weights.
        encoders: Those it goes with.
        pools: It normalizes the mean of the whole picture, which takes at least two images per step.
    """

    title: str
    stride: int
    make: Make
    encoders: tuple[str, ...] = tuple(ENCODERS)
    pools: bool = False


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
        found = encoders.make(encoder, stride)
        return heads.Encoded(found, head(found.out_channels, classes))

    return make


def _segnet(encoder: str, classes: int) -> nn.Module:
    from torchvision.models.vgg import cfgs, make_layers

    layers = cfgs["E" if "19" in encoder else "D"]
    return SegNet(make_layers(layers, batch_norm=encoder.endswith("bn")), classes)


_VGG = ("vgg16", "vgg16bn", "vgg19", "vgg19bn")

#: SegNet takes VGG alone: its decoder needs the places of five max pools, and no other encoder has them.
ARCHITECTURES: dict[str, Architecture] = {
    "fcn": Architecture("FCN", 8, _headed(heads.FCNHead, 8)),
    "fcn8s": Architecture("FCN-8s", 8, _headed(heads.FCN8sHead, 32)),
    "unet": Architecture("U-Net", 1, _library("Unet")),
    "segnet": Architecture("SegNet", 1, _segnet, _VGG),
    "pspnet": Architecture("PSPNet", 8, _headed(heads.PSPHead, 8), pools=True),
    "deeplabv2": Architecture("DeepLab v2", 8, _headed(heads.DeepLabV2Head, 8)),
    "deeplabv3": Architecture("DeepLabV3", 8, _library("DeepLabV3", encoder_output_stride=8), pools=True),
    "deeplabv3plus": Architecture("DeepLabV3+", 4, _library("DeepLabV3Plus", encoder_output_stride=16), pools=True),
}


@dataclass(frozen=True)
class Entry:
    """One network by name.

    Attributes:
        architecture, encoder: Titles for people; None where the encoder is the compact family's own.
        stride: Of the logits.
        pools: See :class:`Architecture`.
        make: number of classes → the network, with random weights.
    """

    name: str
    architecture: str
    encoder: str | None
    stride: int
    pools: bool
    make: Callable[[int], nn.Module]


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
        found = getattr(self.network, "encoder", None)
        return found if isinstance(found, nn.Module) else self.network.backbone  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self.network, "backbone"):
            return super().forward(x)
        # torchvision's: without the upsampling that its own forward ends with.
        features = self.network.backbone(x)  # type: ignore[operator]
        if "out" in features and len(features) == 1:
            features = features["out"]
        logits: Tensor = self.network.classifier(features)  # type: ignore[operator]
        return logits


def _torchvision(name: str, classes: int) -> nn.Module:
    return zoo.build(name, classes).network


def _table() -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for name in registry.MODELS:
        encoder = "EfficientNet-Lite0" if isinstance(registry.MODELS[name], LiteConfig) else None
        found[name] = Entry(name, "U-Net, compact", encoder, OUTPUT_STRIDE, False, partial(registry.build, name))
    for key, kind in ARCHITECTURES.items():
        for encoder in kind.encoders:
            name = f"{key}-{encoder}"
            made = partial(kind.make, encoder)
            found[name] = Entry(name, kind.title, ENCODERS[encoder].title, kind.stride, kind.pools, made)
    for name, row in zoo.NETWORKS.items():
        if row.distribution != "torchvision":
            continue
        # torchvision's own, the same that `bench --table` measures.
        made = partial(_torchvision, name)
        found[name] = Entry(name, row.title, row.backbone, 8, name.startswith("deeplabv3"), made)
    return found


#: Name → network; the compact family first.
TABLE: dict[str, Entry] = _table()


def check_name(name: str) -> None:
    """Raises UnknownNameError, with the nearest name, unless ``name`` is in :data:`TABLE`."""
    if name not in TABLE:
        raise UnknownModelError(name)


class UnknownModelError(UnknownNameError):
    """A network that is not there. The zoo has too many names to list in one line."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, TABLE, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        architecture, _, encoder = name.partition("-")
        kind = ARCHITECTURES.get(architecture)
        if kind and encoder in ENCODERS:
            hint = f"{kind.title} goes with {', '.join(kind.encoders)} alone; "
        family = ", ".join(registry.MODELS)
        text = f"unknown model {name!r}: {hint}valid names: {family} and {len(TABLE) - len(registry.MODELS)} others"
        InputError.__init__(self, f"{text}; seg-edge models lists them")


def build(name: str, classes: int, config: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialized network, in training mode.

    Args:
        name: A key of :data:`TABLE`.
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
    entry = TABLE[name]
    return narrowed(ZooNetwork(entry.make(classes), entry.stride), config or {}).train()


def stride_of(net: nn.Module) -> int:
    """Input pixels per pixel of a network's logits."""
    return int(getattr(net, "output_stride", OUTPUT_STRIDE))
