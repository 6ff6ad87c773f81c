"""Small random networks for tests, with weights and statistics like those of trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_edge.core.labels import Labels
from seg_edge.core.progress import Silent
from seg_edge.core.spec import ModelSpec

SPEC = ModelSpec(name="tiny", labels=Labels.numbered(4), input_hw=(64, 96))


class Lines(Silent):
    """Remembers what a chain says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class TinyUNet(nn.Module):
    """The family's ingredients: strided convolutions, nearest upsampling, a skip connection, a 1x1 head; stride 4."""

    def __init__(self, classes: int = 4, wide: int = 8) -> None:
        super().__init__()
        self.stem, self.down, self.deep = block(3, wide, 2), block(wide, 2 * wide, 2), block(2 * wide, 4 * wide, 2)
        self.fuse, self.head = block(6 * wide, 2 * wide), nn.Conv2d(2 * wide, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(self.stem(x))
        up = F.interpolate(self.deep(skip), scale_factor=2.0, mode="nearest")
        return self.head(self.fuse(torch.cat((up, skip), 1)))


# Of TinyUNet at SPEC's size, layer by layer: stem, down, deep, fuse, head.
PARAMS = (3 * 72 + 16) + (8 * 144 + 32) + (16 * 288 + 64) + (48 * 144 + 32) + (16 * 4 + 4)
MACS = 3 * 72 * (32 * 48) + 8 * 144 * (16 * 24) + 16 * 288 * (8 * 12) + 48 * 144 * (16 * 24) + 16 * 4 * (16 * 24)


class NotAConvFirst(nn.Module):
    """Reads its input twice, once without a convolution: normalization can't be folded into weights."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(7, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = F.avg_pool2d(x, 4)
        return self.head(torch.cat((F.max_pool2d(self.conv(x).relu(), 2), small), 1))


def trained(net: nn.Module, seed: int = 0) -> nn.Module:
    """Gives batch normalization statistics and weights that are not their neutral initial ones."""
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * (2 / fan_in) ** 0.5
            if module.bias is not None:
                module.bias.data = torch.randn(module.bias.shape, generator=generator) * 0.1
        if isinstance(module, nn.BatchNorm2d):
            count = module.num_features
            module.running_mean = torch.randn(count, generator=generator) * 0.3
            module.running_var = torch.rand(count, generator=generator) + 0.5
            module.weight.data = torch.rand(count, generator=generator) + 0.5
            module.bias.data = torch.randn(count, generator=generator) * 0.3
    return net.eval()


def tiny(seed: int = 0) -> nn.Module:
    return trained(TinyUNet(), seed)


def frames(count: int, size_hw: tuple[int, int] = SPEC.input_hw, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
    """Random street-like frames, uint8 (1, H, W, 3): a gradient, coloured blocks, a little noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    made = []
    for _ in range(count):
        blocks = rng.integers(0, 256, (height // 16, width // 16, 3)).repeat(16, 0).repeat(16, 1)
        gradient = np.linspace(0, 120, height)[:, None, None]
        noise = rng.normal(0, 8, (height, width, 3))
        made.append(np.clip(0.5 * blocks + gradient + noise, 0, 255).astype(np.uint8)[None])
    return made


def normalized(frame: npt.NDArray[np.uint8], spec: ModelSpec = SPEC) -> Tensor:
    """What training feeds to the network: float32 (1, 3, H, W), RGB."""
    rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    return (rgb - mean) / std


def write_dataset(root: Path, net: nn.Module, spec: ModelSpec = SPEC, *, train: int = 6, val: int = 4) -> Path:
    """A folder dataset whose labels are the network's own masks, so that its mIoU is 1 and any change of it shows.

    A band of void (255) runs along the top of every label.
    """
    import cv2

    for split, count, seed in (("train", train, 1), ("val", val, 2)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for i, frame in enumerate(frames(count, spec.input_hw, seed)):
            with torch.inference_mode():
                logits = net(normalized(frame, spec))
                full = F.interpolate(logits, size=spec.input_hw, mode="bilinear", align_corners=False)
            mask = full[0].argmax(0).numpy().astype(np.uint8)
            mask[:4] = 255
            cv2.imwrite(str(root / "images" / split / f"{i:02}.png"), frame[0])
            cv2.imwrite(str(root / "labels" / split / f"{i:02}.png"), mask)
    return root


def write_checkpoint(path: Path, size_hw: tuple[int, int] = (64, 96)) -> nn.Module:
    """A checkpoint of the smallest model of the family, as training writes it; returns the network."""
    from seg_edge.train.checkpoint import describe
    from seg_edge.train.models.registry import build

    config: dict[str, Any] = {"widths": [8, 8, 16, 16, 24], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}
    net = trained(build("unet-n", 4, config))
    spec = SPEC.with_(name="unet-n", input_hw=size_hw)
    weights = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"seg_edge": describe("unet-n", config, spec), "state_dict": weights, "epoch": 0}, path)
    return net
