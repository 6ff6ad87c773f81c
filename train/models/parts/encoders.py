"""Encoders of the zoo: classification networks without their classifier, as segmentation-models-pytorch has them.

An encoder answers with its features at strides 1, 2, 4, 8, 16, 32, or, dilated, with the deeper ones kept at a stated stride
(Yu and Koltun, 2016). The library dilates all but VGG and DenseNet, whose pooling layers stand between the convolutions;
here those are dilated too, as DeepLab does it (Chen et al., 2018, section 3.1).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from torch import nn

from ....core.errors import InputError

DISTRIBUTION = "segmentation-models-pytorch"
_OURS = "seg-edge-"


#: The names of the encoders of :mod:`seg_edge.train.models.names` in segmentation-models-pytorch; ``tu-`` is timm's.
LIBRARY_NAMES: dict[str, str] = {
    **{f"resnet{n}": f"resnet{n}" for n in (18, 34, 50, 101, 152)},
    "resnext50": "resnext50_32x4d", "resnext101": "resnext101_32x8d",
    "vgg16": "vgg16", "vgg16bn": "vgg16_bn", "vgg19": "vgg19", "vgg19bn": "vgg19_bn",
    **{f"efficientnetb{n}": f"efficientnet-b{n}" for n in range(8)},
    **{f"densenet{n}": f"densenet{n}" for n in (121, 161, 169, 201)},
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3large": "tu-mobilenetv3_large_100", "mobilenetv3small": "tu-mobilenetv3_small_100",
}  # fmt: skip


def library(network: str) -> ModuleType:
    """segmentation-models-pytorch, with the dilated VGG and DenseNet in its table of encoders.

    Raises:
        InputError: it is not installed; ``network`` is named in the text.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError as error:
        raise InputError(f"network {network}: needs {DISTRIBUTION} ({error}); pip install 'seg-edge[zoo]'") from error
    _register(smp)
    module: ModuleType = smp
    return module


def library_name(encoder: str, dilated: bool = False) -> str:
    """What :func:`library` calls an encoder; ``dilated`` where its stride will be held."""
    name = LIBRARY_NAMES[encoder]
    return _OURS + name if dilated and name.startswith(("vgg", "densenet")) else name


def make(encoder: str, stride: int = 32) -> nn.Module:
    """An encoder with random weights; ``stride`` 8 or 16 holds the deeper features there.

    Returns:
        ``forward``: float (N, 3, H, W) → list of features; its ``out_channels`` are their channels.

    Raises:
        InputError: the library is not installed.
    """
    smp = library(encoder)
    name = library_name(encoder, dilated=stride != 32)
    encoder_module: nn.Module = smp.encoders.get_encoder(name, in_channels=3, depth=5, weights=None, output_stride=stride)
    return encoder_module


def _register(smp: Any) -> None:
    if f"{_OURS}vgg16" in smp.encoders.encoders:
        return
    from segmentation_models_pytorch.encoders.densenet import DenseNetEncoder
    from segmentation_models_pytorch.encoders.vgg import VGGEncoder

    class DilatedVGG(VGGEncoder):  # type: ignore[misc]  # the library has no annotations
        def make_dilated(self, output_stride: int) -> None:
            pools = [i for i, layer in enumerate(self.features) if isinstance(layer, nn.MaxPool2d)]
            dilation = 1
            for number, index in enumerate(pools):
                if 2 ** (number + 1) <= output_stride:
                    continue
                # A window of 3 around each pixel: without a stride, one of 2 would shift the features by half a pixel.
                self.features[index] = nn.MaxPool2d(3, 1, 1)
                dilation *= 2
                _dilate(self.features[index + 1 :], dilation)

    class DilatedDenseNet(DenseNetEncoder):  # type: ignore[misc]
        def make_dilated(self, output_stride: int) -> None:
            dilation = 1
            for stride, transition, block in ((16, "transition2", "denseblock3"), (32, "transition3", "denseblock4")):
                if stride <= output_stride:
                    continue
                dilation *= 2
                getattr(self.features, transition).pool = nn.Identity()
                _dilate(getattr(self.features, block), dilation)

    for name, row in list(smp.encoders.encoders.items()):
        for prefix, kind in (("vgg", DilatedVGG), ("densenet", DilatedDenseNet)):
            if name.startswith(prefix):
                smp.encoders.encoders[_OURS + name] = {**row, "encoder": kind}


def _dilate(layers: nn.Module, dilation: int) -> None:
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            layer.dilation = layer.padding = (dilation, dilation)
