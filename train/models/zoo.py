"""Well-known networks from torchvision and segmentation-models-pytorch, to measure ours against. One explicit table.

They are what their libraries build, unchanged, the upsampling to the input's size included, with random weights: what a
network costs doesn't depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from ...core.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Network:
    """One row of the zoo.

    Attributes:
        title, backbone: Names for people, as published tables write them.
        package: The module that has it.
        distribution: What pip calls that package.
        make: Builds it, from the imported module and the number of classes.
    """

    title: str
    backbone: str
    package: str
    distribution: str
    make: Callable[[Any, int], nn.Module]


def _torchvision(title: str, backbone: str, function: str, **words: Any) -> Network:
    def make(module: Any, classes: int) -> nn.Module:
        network: nn.Module = getattr(module, function)(weights=None, weights_backbone=None, num_classes=classes, **words)
        return network

    return Network(title, backbone, "torchvision.models.segmentation", "torchvision", make)


def _smp(title: str, backbone: str, kind: str, encoder: str) -> Network:
    def make(module: Any, classes: int) -> nn.Module:
        network: nn.Module = getattr(module, kind)(encoder, encoder_weights=None, classes=classes)
        return network

    return Network(title, backbone, "segmentation_models_pytorch", "segmentation-models-pytorch", make)


#: The four of the published table first, then networks of a size that edge devices run.
NETWORKS: dict[str, Network] = {
    "fcn-resnet50": _torchvision("FCN", "ResNet-50", "fcn_resnet50", aux_loss=False),
    "unet-resnet50": _smp("U-Net", "ResNet-50", "Unet", "resnet50"),
    "deeplabv3-resnet50": _torchvision("DeepLabV3", "ResNet-50", "deeplabv3_resnet50", aux_loss=False),
    "deeplabv3plus-resnet50": _smp("DeepLabV3+", "ResNet-50", "DeepLabV3Plus", "resnet50"),
    "lraspp-mobilenetv3": _torchvision("LR-ASPP", "MobileNetV3-L", "lraspp_mobilenet_v3_large"),
    "unet-mobilenetv2": _smp("U-Net", "MobileNetV2", "Unet", "mobilenet_v2"),
    "unet-resnet18": _smp("U-Net", "ResNet-18", "Unet", "resnet18"),
}


class OneOutput(nn.Module):
    """A network that returns logits only; torchvision's networks return a dictionary.

    ``forward``: float (N, 3, H, W), RGB, normalized → logits, float (N, classes, H, W).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        answer = self.network(x)
        logits: Tensor = answer["out"] if isinstance(answer, dict) else answer
        return logits


def build(name: str, classes: int) -> OneOutput:
    """A freshly initialized network, in eval mode.

    Raises:
        UnknownNameError: no such network.
        InputError: fewer than one class, or the package that has it is missing.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    if classes < 1:
        raise InputError(f"network {name}: needs at least one class, got {classes}")
    row = NETWORKS[name]
    try:
        module = import_module(row.package)
    except ImportError as error:
        raise InputError(f"network {name}: needs {row.distribution} ({error}); pip install 'seg-edge[zoo]'") from error
    return OneOutput(row.make(module, classes)).eval()
