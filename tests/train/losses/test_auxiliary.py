"""Classifiers on the decoder's stages."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from seg_edge.core.errors import InputError
from seg_edge.train.losses.auxiliary import Auxiliary
from seg_edge.train.losses.terms import SegmentationLoss
from seg_edge.train.models.lite import LiteConfig, LiteUNet
from seg_edge.train.models.registry import build

CONFIG = {"widths": [8, 8, 12, 16, 24], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 2, 1]}


@pytest.mark.parametrize(
    ("net", "widths"), [(build("unet-n", 3, CONFIG), [16, 12]), (LiteUNet(3, LiteConfig((24, 16, 8), (1, 1, 1))), [24, 16])]
)
def test_heads_fit_the_stages(net, widths):
    found = Auxiliary(net, 3, 0.4)
    assert [(head.in_channels, head.out_channels) for head in found.heads] == [(width, 3) for width in widths]
    with found.watching(net) as features:
        net(torch.zeros(2, 3, 64, 96))
    assert [tuple(features[name].shape) for name in found.stages] == [(2, widths[0], 4, 6), (2, widths[1], 8, 12)]


def test_the_term_is_the_weighted_mean_of_the_heads_losses():
    torch.manual_seed(0)
    net = build("unet-n", 3, CONFIG)
    found = Auxiliary(net, 3, 0.4)
    for head in found.heads:
        nn.init.normal_(head.weight)
    masks = torch.randint(0, 3, (2, 64, 96), dtype=torch.uint8)
    loss = SegmentationLoss(torch.ones(3), 255).eval()
    with found.watching(net) as features:
        net(torch.randn(2, 3, 64, 96))
    by_hand = [loss(head(features[f"decoder.{k}"]), masks) for k, head in enumerate(found.heads)]
    torch.testing.assert_close(found(features, masks, loss), 0.4 * (by_hand[0] + by_hand[1]) / 2)


def test_it_teaches_the_decoder_and_leaves_the_network_as_it_was():
    net = build("unet-n", 3, CONFIG)
    found = Auxiliary(net, 3, 1.0)
    for head in found.heads:
        nn.init.normal_(head.weight)
    with found.watching(net) as features:
        net(torch.randn(2, 3, 64, 64))
    found(features, torch.zeros(2, 64, 64, dtype=torch.uint8), SegmentationLoss(torch.ones(3), 255)).backward()
    assert net.decoder[1][0][0].weight.grad.any()
    assert net.head.weight.grad is None
    assert not any(module._forward_hooks for module in net.modules())


def test_networks_without_a_decoder_of_stages():
    with pytest.raises(InputError, match=re.escape("`aux`: Linear has no decoder of several stages; leave `aux` out")):
        Auxiliary(nn.Linear(3, 3), 3, 0.4)
