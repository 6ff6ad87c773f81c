"""Gradients of depthwise convolutions under bf16 autocast on a CPU, computed in fp32.

oneDNN has fast bf16 kernels for their forward pass, but none for many of their gradients (kernels of 5×5, strides of 2),
where fp32 is 5 to 25 times as fast. ``benchmarks/train_step.py --precision bf16`` times a training step with and without.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, stride: int, padding: int) -> Tensor:
        ctx.types, ctx.geometry = (x.dtype, kernels.dtype), ([stride] * 2, [padding] * 2)
        x, kernels = x.bfloat16(), kernels.bfloat16()
        ctx.save_for_backward(x, kernels)
        return torch.conv2d(x, kernels, None, stride, padding, 1, len(kernels))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, kernels = (saved.float() for saved in ctx.saved_tensors)
        stride, padding = ctx.geometry
        by_x, by_kernels, _ = torch.ops.aten.convolution_backward(
            gradient.float().contiguous(memory_format=torch.channels_last), x, kernels, None,
            stride, padding, [1, 1], False, [0, 0], len(kernels), [*ctx.needs_input_grad[:2], False],
        )  # fmt: skip
        gradients = (by if by is None else by.to(kind) for by, kind in zip((by_x, by_kernels), ctx.types, strict=True))
        return *gradients, None, None


class DepthwiseConv(nn.Conv2d):
    """A depthwise ``nn.Conv2d`` whose training step under bf16 autocast on a CPU is faster; its outputs are the same."""

    def forward(self, x: Tensor) -> Tensor:
        """float (N, C, H, W) → float (N, C, H/stride, W/stride), bf16 under autocast."""
        half = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if x.device.type == "cpu" and half and self.training and torch.is_grad_enabled():
            with torch.autocast("cpu", enabled=False):
                return _Convolution.apply(x, self.weight, self.stride[0], self.padding[0])  # type: ignore[no-any-return]
        return super().forward(x)


def use_fp32_gradients(net: nn.Module) -> None:
    """Turns a network's depthwise convolutions, in place, into :class:`DepthwiseConv`."""
    for layer in net.modules():
        if type(layer) is not nn.Conv2d or layer.bias is not None or layer.padding_mode != "zeros":
            continue
        square = all(isinstance(pair, tuple) and pair[0] == pair[1] for pair in (layer.stride, layer.padding))
        if square and layer.dilation == (1, 1) and 1 < layer.groups == layer.in_channels == layer.out_channels:
            layer.__class__ = DepthwiseConv  # the same attributes and hooks, another forward
