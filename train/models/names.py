"""The networks by name, without torch: what ``--help``, usage errors and lists of networks need.

:mod:`.catalog` and :mod:`.registry` build them; a test holds that both know the same names.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import InputError, ModelFileError, UnknownNameError

#: Input height and width must be multiples of this: the stride of the deepest stage.
STRIDE = 32
#: Stride of the compact family's logits.
OUTPUT_STRIDE = 4
#: The network that is trained if none is named.
DEFAULT = "unet-s"
#: The word that stands for the ImageNet weights that an encoder's library has.
IMAGENET = "imagenet"
#: The compact family, each with the title of its encoder where that comes from a classification network.
FAMILY: dict[str, str | None] = {"unet-n": None, "unet-s": None, "unet-m": None, "unet-lite0": "EfficientNet-Lite0"}
#: Encoders of the zoo, with their titles as papers write them.
ENCODERS: dict[str, str] = {
    **{f"resnet{n}": f"ResNet-{n}" for n in (18, 34, 50, 101, 152)},
    "resnext50": "ResNeXt-50 32x4d", "resnext101": "ResNeXt-101 32x8d",
    "vgg16": "VGG-16", "vgg16bn": "VGG-16 BN", "vgg19": "VGG-19", "vgg19bn": "VGG-19 BN",
    **{f"efficientnetb{n}": f"EfficientNet-B{n}" for n in range(8)},
    **{f"densenet{n}": f"DenseNet-{n}" for n in (121, 161, 169, 201)},
    "mobilenetv2": "MobileNetV2", "mobilenetv3large": "MobileNetV3-L", "mobilenetv3small": "MobileNetV3-S",
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """One family of networks of the zoo.

    Attributes:
        title: For people, as papers write it.
        stride: Input pixels per pixel of the logits along each axis.
        encoders: Names of :data:`ENCODERS` that the architecture goes with.
        pools: The architecture normalizes the mean of the whole image, which takes at least two images per step.
    """

    title: str
    stride: int
    encoders: tuple[str, ...] = tuple(ENCODERS)
    pools: bool = False


#: SegNet takes VGG only: its decoder needs the positions of five max pools, and no other encoder has them.
ARCHITECTURES: dict[str, Architecture] = {
    "fcn": Architecture("FCN", 8),
    "fcn8s": Architecture("FCN-8s", 8),
    "unet": Architecture("U-Net", 1),
    "segnet": Architecture("SegNet", 1, ("vgg16", "vgg16bn", "vgg19", "vgg19bn")),
    "pspnet": Architecture("PSPNet", 8, pools=True),
    "deeplabv2": Architecture("DeepLab v2", 8),
    "deeplabv3": Architecture("DeepLabV3", 8, pools=True),
    "deeplabv3plus": Architecture("DeepLabV3+", 4, pools=True),
}
#: Torchvision's own networks, which ``bench --table`` measures too: titles of architecture and encoder.
TORCHVISION: dict[str, tuple[str, str]] = {
    "fcn-resnet50": ("FCN", "ResNet-50"),
    "deeplabv3-resnet50": ("DeepLabV3", "ResNet-50"),
    "lraspp-mobilenetv3": ("LR-ASPP", "MobileNetV3-L"),
}


@dataclass(frozen=True)
class Entry:
    """One network by name.

    Attributes:
        name: What ``TrainConfig.model`` takes.
        architecture, encoder: Titles for people; the encoder is None where it is the compact family's own.
        stride: Input pixels per pixel of the logits along each axis.
        pools: See :class:`Architecture`.
        imagenet: Whether the library of the encoder has ImageNet weights for it.
    """

    name: str
    architecture: str
    encoder: str | None
    stride: int
    pools: bool = False
    imagenet: bool = False


def _table() -> dict[str, Entry]:
    entries = [
        Entry(name, "U-Net, compact", title, OUTPUT_STRIDE, imagenet=title is not None) for name, title in FAMILY.items()
    ]
    entries += [
        Entry(f"{key}-{encoder}", kind.title, ENCODERS[encoder], kind.stride, kind.pools, imagenet=True)
        for key, kind in ARCHITECTURES.items()
        for encoder in kind.encoders
    ]
    entries += [
        # fcn-resnet50 and deeplabv3-resnet50 have an encoder of the zoo's name, and so its download.
        Entry(name, title, encoder, 8, name.startswith("deeplabv3"), name.partition("-")[2] in ENCODERS)
        for name, (title, encoder) in TORCHVISION.items()
    ]
    return {entry.name: entry for entry in entries}


#: Name → network; the compact family first.
TABLE: dict[str, Entry] = _table()


def check_name(name: str) -> None:
    """Raises UnknownModelError, with the nearest name, unless ``name`` is in :data:`TABLE`.

    >>> check_name("unet-s")
    """
    if name not in TABLE:
        raise UnknownModelError(name)


class UnknownModelError(UnknownNameError):
    """A network that does not exist. The zoo has too many names to list in one line."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, TABLE, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        architecture, _, encoder = name.partition("-")
        kind = ARCHITECTURES.get(architecture)
        if kind and encoder in ENCODERS:
            hint = f"{kind.title} goes with {', '.join(kind.encoders)} alone; "
        text = f"unknown model {name!r}: {hint}valid names: {', '.join(FAMILY)} and {len(TABLE) - len(FAMILY)} others"
        InputError.__init__(self, f"{text}; seg-edge models lists them")


def check_pretrained(name: str, weights: str) -> None:
    """Refuses weights that can't be loaded into the encoder of a network, before anything heavy is imported.

    Args:
        name: A key of :data:`TABLE`.
        weights: :data:`IMAGENET` or the path of a file.

    Raises:
        InputError: the network has no encoder of a classification network, or its library has no such weights.
        ModelFileError: no such file.
    """
    entry = TABLE[name]
    if entry.encoder is None:
        raise InputError(
            f"`pretrained={weights!r}`: {name} has no encoder of a classification network; use `init` for it, or a network "
            "that has one, such as `model='unet-lite0'` or unet-resnet18"
        )
    if weights == IMAGENET and not entry.imagenet:
        raise InputError(f"`pretrained={weights!r}`: there are none for {name}; pass a file of weights to `pretrained`")
    if weights != IMAGENET and not Path(weights).is_file():
        raise ModelFileError(
            f"`pretrained={weights!r}`: no such file; expected {IMAGENET!r} or a state dict (.pt, .pth, .safetensors)"
        )
