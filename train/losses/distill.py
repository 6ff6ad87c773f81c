"""Distillation: a larger, trained network's outputs and features as additional targets.

Two terms are added to the loss of the labels:

- *logits*: Hinton et al., "Distilling the Knowledge in a Neural Network" (2015), section 2, pixel by pixel: the
  Kullback-Leibler divergence of both networks' class probabilities at temperature T, times T², so that gradients stay
  comparable across temperatures;
- *features*: Romero et al., "FitNets" (2015), equation 3: the squared distance of the student's features, brought to the
  teacher's number of channels by a 1×1 convolution, from the teacher's; divided by the mean square of the teacher's, so
  that the weight means the same for every teacher. The convolutions are trained along and dropped afterwards.

A teacher may see the images enlarged. A network that is better at a larger size, often the student itself, then teaches the
one for the smaller size, after Qi et al., "Multi-Scale Aligned Distillation for Low-Resolution Detection" (2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from ...core.spec import ModelSpec
from .options import DistillOptions

#: Input pixels per feature along each axis at which features are compared, where both networks have some.
STRIDES = (4, 8, 16, 32)
#: Sides of an enlarged image are multiples of this, as networks want them.
MULTIPLE = 32


class Distillation(nn.Module):
    """The two terms. Its only parameters are those of the adapters; the teacher is not a submodule.

    Args:
        options: Weights and temperature.
        teacher: Network in eval mode; never changed.
        spec: The teacher's: it says how the teacher's images are normalized.
        student: Network whose features are matched.
        size_hw: Input size, pixels.

    Raises:
        InputError: features have a weight, but the networks have none at a common stride.
    """

    def __init__(
        self, options: DistillOptions, teacher: nn.Module, spec: ModelSpec, student: nn.Module, size_hw: tuple[int, int]
    ) -> None:
        super().__init__()
        self.options = options
        self._teacher = _Frozen(teacher)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self.pairs: list[tuple[str, str]] = []
        self.adapters = nn.ModuleList()
        if options.feature_weight:
            mine = feature_layers(student, size_hw)
            theirs = feature_layers(teacher, scaled_size(size_hw, options.teacher_scale))
            for stride in sorted(set(mine) & set(theirs)):
                (name, channels), (other, others) = mine[stride], theirs[stride]
                self.pairs.append((name, other))
                self.adapters.append(nn.Conv2d(channels, others, 1))
            if not self.pairs:
                raise InputError(
                    f"`feature_weight`: student and teacher have no features at a common stride of {STRIDES}; pass 0"
                )

    @contextmanager
    def watching(self, student: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Collects the student's features, by layer name, while it runs."""
        with captured(student, [mine for mine, _ in self.pairs]) as features:
            yield features

    def forward(self, images: Tensor, logits: Tensor, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weighted terms.

        Args:
            images: uint8 (N, 3, H, W) RGB, as the student got them.
            logits: float (N, C, h, w), the student's.
            features: As :meth:`watching` collected them.

        Returns:
            Scalars ``kd`` and ``features``, those that have a weight.
        """
        teacher = self._teacher.on(images.device)
        with torch.no_grad(), captured(teacher, [other for _, other in self.pairs]) as hints:
            seen = images.float()
            if (size_hw := scaled_size((images.shape[-2], images.shape[-1]), self.options.teacher_scale)) != images.shape[
                -2:
            ]:
                seen = F.interpolate(seen, size_hw, mode="bilinear", align_corners=False, antialias=True)
            normalized = (seen - self.mean) / self.std  # type: ignore[operator]  # buffers are tensors
            wanted = teacher(normalized.contiguous(memory_format=torch.channels_last))
        terms = {}
        with torch.autocast(images.device.type, enabled=False):
            if self.options.kd_weight:
                terms["kd"] = self.options.kd_weight * pixelwise_kl(logits.float(), wanted.float(), self.options.temperature)
            if self.pairs:
                terms["features"] = self.options.feature_weight * torch.stack(
                    [
                        hint_loss(adapter(features[mine].float()), hints[other].float())
                        for adapter, (mine, other) in zip(self.adapters, self.pairs, strict=True)
                    ]
                ).mean()  # fmt: skip
        return terms


def scaled_size(size_hw: tuple[int, int], scale: float) -> tuple[int, int]:
    """``size_hw`` times ``scale``, both sides to the nearest multiple of :data:`MULTIPLE`; at 1 as it is."""
    if scale == 1:
        return size_hw
    height, width = (max(MULTIPLE, round(side * scale / MULTIPLE) * MULTIPLE) for side in size_hw)
    return height, width


def pixelwise_kl(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) at temperature T, mean over all pixels, void ones included: there the teacher knows more.

    Args:
        student: float (N, C, h, w), logits.
        teacher: float (N, C, h', w'), logits. Whichever has fewer pixels is resized bilinearly to the other's size.
    """
    if (size_hw := max(student.shape[-2:], teacher.shape[-2:], key=math.prod)) != student.shape[-2:]:
        student = F.interpolate(student, size=size_hw, mode="bilinear", align_corners=False)
    elif size_hw != teacher.shape[-2:]:
        teacher = F.interpolate(teacher, size=size_hw, mode="bilinear", align_corners=False)
    log_p, log_q = F.log_softmax(student / temperature, 1), F.log_softmax(teacher / temperature, 1)
    divergence = F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(1).mean()
    return divergence * temperature**2


def hint_loss(guess: Tensor, hint: Tensor) -> Tensor:
    """Mean squared distance of two feature maps, float (N, C, h, w), in units of the hint's mean square."""
    if guess.shape[-2:] != hint.shape[-2:]:  # sizes that no common stride divides
        guess = F.interpolate(guess, size=hint.shape[-2:], mode="bilinear", align_corners=False)
    return F.mse_loss(guess, hint) / hint.square().mean().clamp(min=1e-12)


def feature_layers(net: nn.Module, size_hw: tuple[int, int]) -> dict[int, tuple[str, int]]:
    """Where a network's features can be read: at each of :data:`STRIDES`, the last layer that runs, the classifier left out.

    Returns:
        Stride → name of the layer and its number of channels.
    """
    ran: list[tuple[str, nn.Module, tuple[int, ...]]] = []
    hooks = [
        layer.register_forward_hook(
            lambda m, _i, o, name=name: ran.append((name, m, tuple(o.shape))) if isinstance(o, Tensor) else None
        )
        for name, layer in net.named_modules()
        if not list(layer.children())
    ]
    parameter = next(net.parameters())
    was_training = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, 3, *size_hw, device=parameter.device, dtype=parameter.dtype))
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    classifier = max(i for i, (_, layer, _) in enumerate(ran) if isinstance(layer, nn.Conv2d))
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for name, _layer, shape in ran:
        shapes.setdefault(name, set()).add(shape)
    layers = {}
    for name, _layer, shape in ran[:classifier]:
        for stride in STRIDES:
            # A layer that runs at several sizes (one ReLU for all) would hand out another one's features.
            if len(shapes[name]) == 1 and len(shape) == 4 and shape[-2:] == tuple(-(-side // stride) for side in size_hw):
                layers[stride] = (name, shape[1])
    return layers


@contextmanager
def captured(net: nn.Module, names: list[str]) -> Iterator[dict[str, Tensor]]:
    """Collects the outputs of named layers, by name, while the network runs."""
    # Hooks only while it runs: a network that keeps them would be copied and saved with them.
    features: dict[str, Tensor] = {}
    layers = dict(net.named_modules())

    def keep(name: str) -> Any:
        return lambda _module, _inputs, output: features.__setitem__(name, output)

    hooks = [layers[name].register_forward_hook(keep(name)) for name in names]
    try:
        yield features
    finally:
        for hook in hooks:
            hook.remove()


class _Frozen:
    """Hides a network from the module that owns it: it is in no state dict, and is never averaged or copied."""

    def __init__(self, net: nn.Module) -> None:
        self._net = net.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def on(self, device: torch.device) -> nn.Module:
        return self._net.to(device)

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Frozen:
        return self
