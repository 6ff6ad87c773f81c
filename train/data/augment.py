"""Augmentation of an image with its mask, built on torchvision's transforms."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import ColorJitter, v2
from torchvision.transforms.v2 import functional as TF

from ...runtime.frame.kernels import resize, set_threads
from .options import AugmentOptions

#: Shares of red, green and blue in an RGB pixel's brightness, as torchvision has them (ITU-R BT.601).
GREY = (0.2989, 0.587, 0.114)
#: Grey of what lies outside an image.
PAD = 114


class RandomRotation(nn.Module):
    """Turns the image about its centre, by an angle uniform in ±``degrees``; its size stays."""

    def __init__(self, degrees: float, ignore_index: int) -> None:
        super().__init__()
        self.degrees = degrees
        self.ignore_index = ignore_index

    def forward(self, image: Tensor, mask: Tensor) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """uint8 (3, H, W) and uint8 (H, W) → the same kinds."""
        height, width = mask.shape
        angle = self.degrees * (2 * torch.rand(()).item() - 1)
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
        pixels = image.as_subclass(Tensor).permute(1, 2, 0).contiguous().numpy()
        labels = mask.as_subclass(Tensor).contiguous().numpy()
        pixels = cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD, PAD, PAD))
        labels = cv2.warpAffine(labels, turn, (width, height), flags=cv2.INTER_NEAREST, borderValue=self.ignore_index)
        return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(labels))


class RandomScaleCrop(nn.Module):
    """Shows a random part of the image, stretched to ``size_hw`` as the runtime stretches whole frames.

    Where ``whole_hw``, the size that whole frames have in the network, is larger, the part is smaller by as much, so that
    things keep their sizes.
    """

    def __init__(
        self,
        size_hw: tuple[int, int],
        scale: tuple[float, float],
        ignore_index: int,
        whole_hw: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.size_hw = size_hw
        self.whole_hw = whole_hw or size_hw
        self.scale = scale
        self.ignore_index = ignore_index

    def forward(self, image: Tensor, mask: Tensor) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """uint8 (3, H, W) and uint8 (H, W) → the same kinds at ``size_hw``."""
        height, width = mask.shape
        low, high = (math.log(s) for s in self.scale)
        zoom = math.exp(low + (high - low) * torch.rand(()).item())
        shares = (crop / whole / zoom for crop, whole in zip(self.size_hw, self.whole_hw, strict=True))
        crop_h, crop_w = (max(1, round(side * share)) for side, share in zip((height, width), shares, strict=True))
        # Padding to at least the crop, so that every crop lies inside.
        pad_y, pad_x = max(0, crop_h - height), max(0, crop_w - width)
        if pad_y or pad_x:
            image = TF.pad(image, [pad_x, pad_y], fill=PAD)
            mask = TF.pad(tv_tensors.Mask(mask), [pad_x, pad_y], fill=self.ignore_index)
        top = int(torch.randint(0, max(0, height - crop_h) + pad_y + 1, ()))
        left = int(torch.randint(0, max(0, width - crop_w) + pad_x + 1, ()))
        box = (..., slice(top, top + crop_h), slice(left, left + crop_w))
        # Nearest between pixel centres, where the image is sampled too; plain "nearest" shifts masks that shrink.
        labels = cv2.resize(mask.as_subclass(Tensor)[box].numpy(), self.size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return tv_tensors.Image(resize_whole(image[box], self.size_hw)), tv_tensors.Mask(torch.from_numpy(labels))


class RandomFlip(nn.Module):
    """Mirrors left and right, both pixels and mask, with ``probability``."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (3, H, W) and uint8 (H, W) → the same kinds."""
        if torch.rand(()).item() >= self.probability:
            return image, mask
        # As rows of pixels, which they stay; torchvision's way leaves planes, which the next step turns around again.
        pixels = cv2.flip(image.as_subclass(Tensor).permute(1, 2, 0).contiguous().numpy(), 1)
        labels = cv2.flip(mask.as_subclass(Tensor).contiguous().numpy(), 1)
        return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(labels))


class ColourJitter(nn.Module):
    """Random brightness, contrast and saturation: torchvision's draws and formulas, computed by OpenCV.

    Each is a 3x3 product and an offset a pixel; as there, values are cut off after each step. On torchvision's
    tensors this took most of the time of a training sample (benchmarks/loading.py times both).
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.range = (max(0.0, 1 - strength), 1 + strength)

    def forward(self, image: Tensor, mask: Tensor) -> tuple[tv_tensors.Image, Tensor]:
        """uint8 (3, H, W) RGB and its mask → the same kinds; the mask stays."""
        order, brightness, contrast, saturation, _ = ColorJitter.get_params(self.range, self.range, self.range, None)
        pixels = image.as_subclass(Tensor).permute(1, 2, 0).contiguous().numpy()
        for step in order.tolist():
            if step == 0:
                pixels = _affine(pixels, brightness * _SAME, 0.0)
            elif step == 1:
                mean = float(np.dot(cv2.mean(pixels)[:3], GREY)) - 0.5  # theirs is of whole levels, cut off
                pixels = _affine(pixels, contrast * _SAME, (1 - contrast) * mean)
            elif step == 2:
                pixels = _affine(pixels, saturation * _SAME + (1 - saturation) * _GREYS, 0.0)
        return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1)), mask


_SAME, _GREYS = np.eye(3), np.tile(GREY, (3, 1))


def _affine(pixels: npt.NDArray[Any], product: npt.NDArray[np.float64], offset: float) -> npt.NDArray[Any]:
    """uint8 (H, W, 3) → ``product`` of each pixel plus ``offset``, cut off to whole levels as torchvision does."""
    return cv2.transform(pixels, np.hstack((product, np.full((3, 1), offset - 0.5))))  # OpenCV rounds


def training_transform(
    size_hw: tuple[int, int], ignore_index: int, options: AugmentOptions, whole_hw: tuple[int, int] | None = None
) -> nn.Module:
    """Rotation, scale, crop, flip and colours, on (``tv_tensors.Image`` uint8, ``tv_tensors.Mask``) pairs.

    ``whole_hw``: See :class:`RandomScaleCrop`.
    """
    steps: list[nn.Module] = [RandomRotation(options.rotate, ignore_index)] if options.rotate else []
    steps += [
        RandomScaleCrop(size_hw, options.scale, ignore_index, whole_hw), RandomFlip(options.flip),
    ]  # fmt: skip
    if options.jitter:
        steps.append(ColourJitter(options.jitter))
    transform: nn.Module = v2.Compose(steps)
    return transform


def to_tensors(frame_bgr: Any, mask: Any) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """NumPy frame (H, W, 3) BGR and mask (H, W) → image tensor (3, H, W) RGB and mask tensor, both uint8."""
    # Turned around as pixels: a tensor that is a view of rows is not copied again before each OpenCV call.
    image = torch.from_numpy(cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGB)).permute(2, 0, 1)
    return tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(mask))


def resize_whole(image: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The whole image, uint8 (3, H, W), stretched to ``size_hw`` by the runtime's own kernel, as it stretches frames."""
    pixels = image.as_subclass(Tensor).permute(1, 2, 0).contiguous().numpy()
    return torch.from_numpy(resize(pixels, size_hw, "area")).permute(2, 0, 1)


def in_one_thread(_worker: int) -> None:
    """One thread for each loader process: OpenCV's others would take the training's cores away even where they only wait."""
    cv2.setNumThreads(0)  # 1 would wait for threads of the process that this one was forked from
    set_threads(1)
