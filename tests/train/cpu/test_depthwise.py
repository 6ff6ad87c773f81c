"""Gradients of depthwise convolutions under bf16 autocast, against fp32's, and where that way is taken."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from seg_edge.train import fit, trainer
from seg_edge.train.cpu.depthwise import DepthwiseConv, use_fp32_gradients
from seg_edge.train.models.catalog import build


def pair(kernel: int = 5, stride: int = 2, channels: int = 8) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
    plain = plain.to(memory_format=torch.channels_last)
    other = copy.deepcopy(plain)
    use_fp32_gradients(other)
    assert type(other) is DepthwiseConv
    return plain, other


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape).to(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("size", [(12, 10), (7, 9), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_are_pytorchs_and_gradients_those_of_fp32(kernel, stride, size, dtype):
    plain, other = pair(kernel, stride)
    x = images(2, 8, *size)
    exact, given = (x.detach().bfloat16().to(kind).requires_grad_() for kind in (torch.float32, dtype))
    with torch.autocast("cpu", torch.bfloat16):
        one, two = plain(given.detach()), other(given)
    assert torch.equal(one, two)
    slope = torch.randn_like(one)
    two.backward(slope)
    rounded = plain.weight.detach().bfloat16().float().requires_grad_()
    torch.conv2d(exact, rounded, None, stride, kernel // 2, 1, 8).backward(slope.float())
    assert given.grad.dtype == dtype
    assert other.weight.grad.dtype == torch.float32
    torch.testing.assert_close(given.grad, exact.grad.to(dtype))
    torch.testing.assert_close(other.weight.grad, rounded.grad)


def test_neither_gradient_is_asked_for_in_vain():
    _, net = pair()
    with torch.autocast("cpu", torch.bfloat16):
        net(images(1, 8, 8, 8).detach()).sum().backward()
        assert net.weight.grad is not None
        net.weight.grad = None
        net.requires_grad_(False)
        x = images(1, 8, 8, 8)
        net(x).sum().backward()
    assert x.grad is not None
    assert net.weight.grad is None


@pytest.mark.parametrize("case", ["eval", "no gradient", "fp32", "fp16"])
def test_where_it_is_not_meant_for_pytorchs_own_is_used(case, monkeypatch):
    monkeypatch.setattr("seg_edge.train.cpu.depthwise._Convolution.apply", None)
    plain, net = pair()
    if case == "eval":
        net.eval()
    half = torch.float16 if case == "fp16" else torch.bfloat16
    with torch.set_grad_enabled(case != "no gradient"), torch.autocast("cpu", half, enabled=case != "fp32"):
        x = images(1, 8, 6, 6).detach()
        assert torch.equal(net(x), plain(x))


def test_only_plain_depthwise_convolutions_are_taken():
    plain = {"padding": 1, "groups": 4, "bias": False}
    net = nn.ModuleList(
        [
            nn.Conv2d(4, 4, 3, **plain), nn.Conv2d(4, 4, 3, **plain | {"bias": True}), nn.Conv2d(4, 8, 3, **plain),
            nn.Conv2d(4, 4, 3, **plain | {"groups": 2}), nn.Conv2d(4, 4, 3, **plain | {"dilation": 2}),
            nn.Conv2d(4, 4, 3, **plain | {"padding": "same"}), nn.Conv2d(4, 4, 3, **plain | {"padding": (1, 0)}),
            nn.Conv2d(4, 4, 3, **plain | {"padding_mode": "reflect"}), nn.Conv2d(1, 1, 3, **plain | {"groups": 1}),
        ]
    )  # fmt: skip
    use_fp32_gradients(net)
    assert [type(layer) is DepthwiseConv for layer in net] == [True, *[False] * 8]


def test_the_encoder_of_unet_lite0_goes_on_it_and_keeps_its_names():
    net = build("unet-lite0", 3)
    names = set(net.state_dict())
    use_fp32_gradients(net)
    assert set(net.state_dict()) == names
    assert sum(isinstance(layer, DepthwiseConv) for layer in net.modules()) == 16


@pytest.mark.parametrize(("precision", "taken"), [("bf16", True), ("fp32", False)])
def test_training_uses_it_in_bf16(precision, taken, config, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, "use_fp32_gradients", lambda net: seen.append(net))
    fit(*config(tmp_path / "o", epochs=1, precision=precision))
    assert bool(seen) is taken
