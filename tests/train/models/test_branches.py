"""Convolutions of several kernels: what they compute, and that one kernel computes the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seg_edge.train.models.branches import Branches, add_branches, fused
from seg_edge.train.models.registry import build, parameters

CONFIG = {"widths": [8, 8, 16, 16, 24], "depths": [1, 2, 1, 1, 1], "decoder_depths": [1, 1, 2]}


def varied(net: nn.Module) -> nn.Module:
    """With scales that a training may have found, and statistics that are not the neutral ones."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.endswith("scales"):
                p.uniform_(-1, 1)
    net.train()(torch.randn(4, 3, 64, 64))
    return net.eval()


@pytest.mark.parametrize(("inputs", "outputs", "identity"), [(5, 7, False), (6, 6, True)])
def test_one_kernel_computes_the_sum_of_the_branches(inputs, outputs, identity):
    torch.manual_seed(0)
    branches = Branches(inputs, outputs, identity)
    nn.init.normal_(branches.scales)
    kernel, x = torch.randn(outputs, inputs, 3, 3), torch.randn(2, inputs, 9, 11)
    # Each branch by itself, the average as a pooling of what a 1×1 convolution gives.
    scaled = [
        F.conv2d(x, kernel, padding=1),
        F.conv2d(x, branches.point),
        F.avg_pool2d(F.conv2d(x, branches.average), 3, 1, padding=1),
    ]
    if identity:
        scaled.append(x)
    wanted = sum(scale[:, None, None] * branch for scale, branch in zip(branches.scales, scaled, strict=True))
    torch.testing.assert_close(F.conv2d(x, branches(kernel), padding=1), wanted, atol=1e-4, rtol=1e-4)


def test_a_network_without_its_branches_is_the_same():
    torch.manual_seed(0)
    net = varied(add_branches(build("unet-n", 3, CONFIG)))
    plain = build("unet-n", 3, CONFIG).eval()
    plain.load_state_dict(fused(net.state_dict()))
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(plain(x), net(x), atol=1e-5, rtol=1e-5)


def test_plain_weights_stay_as_they_are():
    weights = build("unet-n", 3, CONFIG).state_dict()
    again = fused(weights)
    assert list(again) == list(weights)
    assert all(again[name] is value for name, value in weights.items())


def test_which_layers_have_branches():
    net = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, padding=1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.Conv2d(8, 8, 5, padding=2),
    )  # fmt: skip
    add_branches(net)
    scales = {name: len(p) for name, p in net.named_parameters() if name.endswith("scales")}
    # The identity is a branch where channels and size stay.
    assert scales == {f"{k}.parametrizations.weight.0.scales": count for k, count in ((0, 4), (1, 3), (2, 3))}


def test_every_branch_learns():
    net = add_branches(build("unet-n", 3, CONFIG)).train()
    assert parameters(net) > parameters(build("unet-n", 3, CONFIG))
    nn.init.normal_(net.head.weight)
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
