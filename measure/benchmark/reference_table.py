"""Published figures, for comparison with a measured table."""

from __future__ import annotations

from typing import Any

#: Published figures of four well-known networks: frames per second of an unnamed GPU, on another dataset than most of
#: ours. They show the expected order of magnitude and can't be compared row by row with a measurement. ``network`` is
#: the name of the same network in ``bench --table``.
REFERENCE: dict[str, Any] = {
    "source": "published figures of another machine (GPU not named) and another dataset; not measured here",
    "dataset": "Cityscapes",
    "device": None,
    "rows": [
        {"model": "FCN", "backbone": "ResNet-50", "network": "fcn-resnet50", "miou": 0.712, "fps": 28},
        {"model": "U-Net", "backbone": "ResNet-50", "network": "unet-resnet50", "miou": 0.735, "fps": 25},
        {"model": "DeepLabV3", "backbone": "ResNet-50", "network": "deeplabv3-resnet50", "miou": 0.793, "fps": 20},
        {"model": "DeepLabV3+", "backbone": "ResNet-50", "network": "deeplabv3plus-resnet50", "miou": 0.801, "fps": 18},
    ],
}
