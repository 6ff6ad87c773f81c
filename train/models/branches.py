"""Convolutions that are trained as the sum of several kernels and are one at inference.

After Hu et al., "Online Convolutional Re-parameterization" (2022): a 3×3 kernel, a 1×1 kernel, a 1×1 kernel spread over
the window as its average, and the identity where a layer keeps its channels and size, each with a learnt scale for every
output channel, summed before the one convolution and the one batch normalization. The sum costs next to nothing in
training and nothing afterwards: checkpoints for inference hold the sums.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

_ORIGINAL = ".parametrizations.weight.original"
_BRANCHES = ".parametrizations.weight.0."


class Branches(nn.Module):
    """The sum, as a function of the 3×3 kernel: float (O, I, 3, 3) → the same shape.

    Args:
        inputs, outputs: Channels of the convolution.
        identity: Whether there is an identity branch: ``inputs`` equal ``outputs`` and the stride is 1.
    """

    def __init__(self, inputs: int, outputs: int, identity: bool) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.average = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        for kernel in (self.point, self.average):
            nn.init.kaiming_normal_(kernel, mode="fan_out", nonlinearity="relu")
        #: Of the 3×3, 1×1, averaging and identity kernels, by output channel.
        self.scales = nn.Parameter(torch.full((4 if identity else 3, outputs), 0.5))
        with torch.no_grad():
            self.scales[0] = 1.0

    def forward(self, kernel: Tensor) -> Tensor:
        scales = self.scales[:, :, None, None, None]
        total = scales[0] * kernel + F.pad(scales[1] * self.point, (1, 1, 1, 1)) + scales[2] / 9 * self.average
        if len(scales) == 4:
            channels = kernel.shape[0]
            eye = torch.eye(channels, dtype=kernel.dtype, device=kernel.device)[:, :, None, None]
            total = total + F.pad(scales[3] * eye, (1, 1, 1, 1))
        return total


def add_branches(net: nn.Module) -> nn.Module:
    """Gives every plain 3×3 convolution of a network its branches, in place. Grouped and dilated ones stay as they are."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) and layer.groups == 1 and layer.dilation == (1, 1):
            identity = layer.in_channels == layer.out_channels and layer.stride == (1, 1)
            parametrize.register_parametrization(
                layer, "weight", Branches(layer.in_channels, layer.out_channels, identity).to(layer.weight.device)
            )
    return net


def fused(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with every convolution's branches summed up: that of the same network without branches."""
    summed = {}
    for name, value in weights.items():
        if _BRANCHES in name:
            continue
        if not name.endswith(_ORIGINAL):
            summed[name] = value
            continue
        layer = name.removesuffix(_ORIGINAL)
        own = {k.removeprefix(layer + _BRANCHES): v for k, v in weights.items() if k.startswith(layer + _BRANCHES)}
        branches = Branches(value.shape[1], value.shape[0], len(own["scales"]) == 4)
        branches.load_state_dict(own)
        with torch.no_grad():
            summed[f"{layer}.weight"] = branches.to(value.device)(value)
    return summed
