"""Kernels' gradients against PyTorch's own, and where the way to them is taken."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from seg_edge.train import fit, trainer
from seg_edge.train.cpu.weight_gradient import Conv3x3, kernel_gradient, use_matrix_products, worthwhile
from seg_edge.train.models.branches import add_branches
from seg_edge.train.models.catalog import build


def pair(inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    plain = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    other = copy.deepcopy(plain)
    use_matrix_products(other)
    assert type(other) is Conv3x3
    return plain, other


def images(count: int, channels: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(count, channels, height, width).to(memory_format=torch.channels_last).requires_grad_()


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (8, 8), (12, 4), (4, 1)])
@pytest.mark.parametrize("size", [(1, 6, 9), (3, 7, 5), (2, 1, 1), (2, 1, 6), (2, 5, 1)])
def test_gradients_are_pytorchs(inputs, outputs, size):
    plain, other = pair(inputs, outputs)
    x = images(size[0], inputs, *size[1:])
    y = x.detach().clone().requires_grad_()
    one, two = plain(x), other(y)
    assert torch.equal(one, two)
    slope = torch.randn_like(one)
    one.backward(slope)
    two.backward(slope)
    torch.testing.assert_close(y.grad, x.grad)
    torch.testing.assert_close(other.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-4)


def test_a_gradient_that_is_expanded_and_one_in_another_order():
    """A sum's gradient is one number for all; a product with a contiguous tensor gives a contiguous one."""
    for last in (lambda out: out.sum(), lambda out: (out.contiguous() * 2).mean()):
        plain, other = pair(6, 6)
        for net in (plain, other):
            last(net(images(2, 6, 8, 8).detach() * 0 + 1)).backward()
        torch.testing.assert_close(other.weight.grad, plain.weight.grad)


def test_neither_gradient_is_computed_in_vain(monkeypatch):
    called = []
    monkeypatch.setattr(
        "seg_edge.train.cpu.weight_gradient.kernel_gradient", lambda x, g: called.append(1) or kernel_gradient(x, g)
    )
    _, net = pair(4, 4)
    net(images(1, 4, 4, 4).detach()).sum().backward()
    assert called == [1]
    net.requires_grad_(False)
    x = images(1, 4, 4, 4)
    net(x).sum().backward()
    assert called == [1]
    assert x.grad is not None


@pytest.mark.parametrize("case", ["eval", "no gradient", "half", "contiguous", "autocast"])
def test_where_it_is_not_meant_for_pytorchs_own_is_used(case, monkeypatch):
    monkeypatch.setattr("seg_edge.train.cpu.weight_gradient._Convolution.apply", None)
    plain, net = pair(4, 4)
    x = images(1, 4, 6, 6).detach()
    if case == "eval":
        net.eval()
    elif case == "half":
        plain, net, x = plain.bfloat16(), net.bfloat16(), x.bfloat16()
    elif case == "contiguous":
        x = x.contiguous()
    with torch.set_grad_enabled(case != "no gradient"), torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        assert torch.equal(net(x), plain(x))


def test_only_plain_convolutions_are_taken():
    net = nn.ModuleList(
        [
            nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1, bias=False),
            nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), nn.Conv2d(4, 4, 1, bias=False),
            nn.Conv2d(4, 4, 3, padding=2, dilation=2, bias=False),
            nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", bias=False),
        ]
    )  # fmt: skip
    use_matrix_products(net)
    assert [type(layer) is Conv3x3 for layer in net] == [True, *[False] * 6]


def test_branches_go_on_it_and_copies_have_weights_of_their_own():
    net = build("unet-n", 3)
    names = set(net.state_dict())
    use_matrix_products(net)
    assert set(net.state_dict()) == names
    assert sum(isinstance(layer, Conv3x3) for layer in net.modules()) == 11
    copied = copy.deepcopy(add_branches(net)).to(memory_format=torch.channels_last).train()
    x = torch.randn(2, 3, 32, 32).to(memory_format=torch.channels_last)
    copied(x).sum().backward()
    assert all(p.grad is not None for p in copied.parameters())
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("taken", [True, False])
def test_training_uses_it_where_it_is_worthwhile(taken, config, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(trainer, "worthwhile", lambda: taken)
    monkeypatch.setattr(
        "seg_edge.train.cpu.weight_gradient.kernel_gradient", lambda x, g: seen.append(1) or kernel_gradient(x, g)
    )
    fit(*config(tmp_path / "o", epochs=1))
    assert bool(seen) is taken


def test_worthwhile_asks_for_the_cpus_kind(monkeypatch):
    for kind, answer in (("AVX2", True), ("AVX512", False), ("DEFAULT", False)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda kind=kind: kind)
        assert worthwhile() is answer
