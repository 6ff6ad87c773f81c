"""The gradient of 3×3 kernels as a few matrix products, which on CPUs without AVX-512 takes less time than oneDNN's own.

There, with images in channels-last order, oneDNN computes it much more slowly than the forward pass.
``benchmarks/train_step.py`` times a training step with and without.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def kernel_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """What a loss's gradient by the output of a 3×3 convolution (stride 1, padding 1) is by its kernels.

    Tap (a, b) of it is the product of the outputs' gradient with the input moved by (a, b). Both are laid out in rows of one
    width with zeros at the ends, so that to move the input is to begin elsewhere in memory, and nothing is unfolded.

    Args:
        x: float (N, I, H, W), channels last.
        gradient: float (N, O, H, W), channels last.

    Returns:
        float (O, I, 3, 3).
    """
    count, inputs, height, width = x.shape
    outputs, row = gradient.shape[1], width + 2
    padded = x.new_zeros(count, height + 2, row, inputs)
    padded[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
    steep = gradient.permute(0, 2, 3, 1)
    if inputs < 2 * outputs:
        flat = x.new_zeros(count, height + 2, row, outputs)
        flat[:, :height, :width] = steep
        there, moved = flat.view(-1, outputs), padded.view(-1, inputs)
        rows = len(there) - 2 * row - 2
        taps = x.new_empty(3, 3, outputs, inputs)
        for a in range(3):
            for b in range(3):
                torch.mm(there[:rows].T, moved[a * row + b :][:rows], out=taps[a, b])
        return taps.permute(2, 3, 0, 1)
    # Few outputs make narrow products: three taps of a row side by side, the gradient moved instead of the input.
    three = x.new_zeros(count, height, row, 3, outputs)
    for b in range(3):
        three[:, :, b : b + width, b] = steep
    sums = x.new_zeros(3, inputs, 3 * outputs)
    for image, side in zip(padded, three.view(count, height * row, 3 * outputs), strict=True):
        for a in range(3):
            sums[a].addmm_(image[a : a + height].view(-1, inputs).T, side)
    return sums.view(3, inputs, 3, outputs).permute(3, 1, 0, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernels)
        return torch.conv2d(x, kernels, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, kernels = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        by_x = by_kernels = None
        if ctx.needs_input_grad[0]:
            pair = [1, 1]
            by_x = torch.ops.aten.convolution_backward(
                gradient, x, kernels, None, pair, pair, pair, False, [0, 0], 1, [True, False, False]
            )[0]
        if ctx.needs_input_grad[1]:
            by_kernels = kernel_gradient(x, gradient)
        return by_x, by_kernels


class Conv3x3(nn.Conv2d):
    """An ``nn.Conv2d`` of 3×3 kernels, whose training step on a CPU is faster; what it computes is the same."""

    def forward(self, x: Tensor) -> Tensor:
        """float (N, I, H, W) → float (N, O, H, W)."""
        fits = x.dtype == torch.float32 and x.is_contiguous(memory_format=torch.channels_last)
        if self.training and fits and torch.is_grad_enabled() and not torch.is_autocast_enabled(x.device.type):
            return _Convolution.apply(x, self.weight)  # type: ignore[no-any-return]
        return super().forward(x)


def worthwhile() -> bool:
    """Whether this CPU is of the kind that was measured. Wider ones have other kernels in oneDNN."""
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def use_matrix_products(net: nn.Module) -> None:
    """Turns a network's plain 3×3 convolutions, in place, into :class:`Conv3x3`."""
    for layer in net.modules():
        if type(layer) is nn.Conv2d and layer.bias is None and layer.groups == 1 and layer.padding_mode == "zeros":
            shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            if shape == ((3, 3), (1, 1), (1, 1), (1, 1)):
                layer.__class__ = Conv3x3  # the same attributes and hooks, another forward
