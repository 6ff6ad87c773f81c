"""The compact U-Net: shapes, ingredients, configuration."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from seg_edge.core.errors import ModelFileError
from seg_edge.train.models.unet import ConvBNReLU, UNet, UNetConfig, config_of

SMALL = UNetConfig(widths=(4, 6, 8, 10, 12), depths=(1, 2, 1, 2, 1), decoder_depths=(2, 1, 1))


@pytest.mark.parametrize("size_hw", [(32, 32), (64, 96), (96, 32), (160, 224)])
@pytest.mark.parametrize("classes", [1, 7])
def test_output_is_at_stride_4(size_hw, classes):
    net = UNet(classes, SMALL).eval()
    with torch.inference_mode():
        assert net(torch.randn(2, 3, *size_hw)).shape == (2, classes, size_hw[0] // 4, size_hw[1] // 4)


@pytest.mark.parametrize("size_hw", [(48, 64), (64, 40), (33, 32), (31, 64), (16, 16), (100, 100)])
def test_other_sizes_are_refused(size_hw):
    text = f"UNet: height and width must be multiples of 32, got (1, 3, {size_hw[0]}, {size_hw[1]})"
    with pytest.raises(ValueError, match=re.escape(text)):
        UNet(3, SMALL)(torch.zeros(1, 3, *size_hw))


def test_ingredients_are_those_that_run_fast_everywhere():
    net = UNet(5, SMALL)
    leaves = [m for m in net.modules() if not list(m.children())]
    assert {type(m) for m in leaves} == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU}
    blocks = [m for m in net.modules() if isinstance(m, ConvBNReLU)]
    assert len(blocks) == sum(SMALL.depths) + sum(SMALL.decoder_depths)
    for conv, norm, relu in blocks:
        assert conv.kernel_size == (3, 3)
        assert (conv.padding, conv.groups, conv.dilation, conv.bias) == ((1, 1), 1, (1, 1), None)
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(relu, nn.ReLU)
    assert len(leaves) == 3 * len(blocks) + 1
    assert (net.head.kernel_size, net.head.stride, net.head.bias is None) == ((1, 1), (1, 1), False)
    strided = [conv for conv, _, _ in blocks if conv.stride == (2, 2)]
    assert strided == [stage[0][0] for stage in net.encoder]


def test_config_sets_widths_and_depths():
    net = UNet(5, SMALL)
    assert [stage[0][0].out_channels for stage in net.encoder] == [4, 6, 8, 10, 12]
    assert [len(stage) for stage in net.encoder] == [1, 2, 1, 2, 1]
    assert [len(stage) for stage in net.decoder] == [2, 1, 1]
    assert [stage[0][0].in_channels for stage in net.decoder] == [12 + 10, 10 + 8, 8 + 6]
    assert (net.head.in_channels, net.head.out_channels) == (6, 5)


def test_every_weight_takes_part():
    net = UNet(3, SMALL).train()
    nn.init.normal_(net.head.weight)
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_skip_connections_carry_detail(stage):
    """With the deeper stages silenced, the encoder stage at stride 4, 8 or 16 alone still reaches the output."""
    net = UNet(3, SMALL).eval()
    nn.init.normal_(net.head.weight)
    for block in (m for deeper in net.encoder[stage + 1 :] for m in deeper):
        nn.init.zeros_(block[1].weight)
        nn.init.zeros_(block[1].bias)
    with torch.inference_mode():
        a, b = (net(torch.randn(1, 3, 64, 64)) for _ in range(2))
    assert (a - b).abs().max() > 1e-6


def test_first_predictions_are_undecided():
    torch.manual_seed(0)
    with torch.inference_mode():
        p = UNet(4, UNetConfig()).eval()(torch.randn(1, 3, 64, 64)).softmax(1)
    assert (p - 0.25).abs().max() < 0.1


def test_config_round_trip():
    data = json.loads(json.dumps(SMALL.to_dict()))
    assert UNetConfig.from_dict(data) == SMALL
    assert UNetConfig.from_dict({}) == UNetConfig()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"width": [1]}, "unknown key 'width'; valid keys: decoder_depths, depths, layer_widths, widths"),
        ({"widths": [8, 8, 8, 8]}, "widths must be 5 positive integers, got (8, 8, 8, 8)"),
        ({"widths": [8, 8, 8, 8, 0]}, "widths must be 5 positive integers"),
        ({"widths": [8, 8, 8, 8, 1.5]}, "widths must be 5 positive integers"),
        ({"depths": 3}, "depths must be 5 positive integers, got 3"),
        ({"depths": "11111"}, "depths must be 5 positive integers, got 11111"),
        ({"decoder_depths": None}, "decoder_depths must be 3 positive integers, got None"),
        ({"decoder_depths": [1, 1, 1, 1]}, "decoder_depths must be 3 positive integers"),
    ],
)
def test_wrong_configs_are_refused(data, text):
    with pytest.raises(ModelFileError, match=re.escape(text)):
        UNetConfig.from_dict(data)


LAYERS = ((4,), (5, 6), (8,), (9, 10), (12,), (7, 11), (9,), (3,))


def test_every_layer_may_have_its_own_width():
    config = UNetConfig.from_dict(SMALL.to_dict() | {"layer_widths": [list(stage) for stage in LAYERS]})
    net = UNet(5, config).eval()
    assert tuple(tuple(block[0].out_channels for block in stage) for stage in (*net.encoder, *net.decoder)) == LAYERS
    assert [stage[0][0].in_channels for stage in net.decoder] == [12 + 10, 11 + 8, 9 + 6]
    assert net.head.in_channels == 3
    assert UNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config == config_of(net)
    with torch.inference_mode():
        assert net(torch.randn(1, 3, 64, 32)).shape == (1, 5, 16, 8)


def test_config_of_a_plain_network_is_the_plain_one():
    assert config_of(UNet(5, SMALL)) == SMALL
    assert "layer_widths" not in SMALL.to_dict()


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([[4]], "layer_widths must be lists of (1, 2, 1, 2, 1, 2, 1, 1) widths"),
        ([4, 6, 8, 10, 12, 10, 8, 6], "layer_widths must be lists of"),
        ([[4], [5, 6], [8], [9, 0], [12], [7, 11], [9], [3]], "layer_widths must be positive integers"),
        ([[4], [5, 7], [8], [9, 10], [12], [7, 11], [9], [3]], "(4, 7, 8, 10, 12), got (4, 6, 8, 10, 12)"),
    ],
)
def test_wrong_layer_widths(layers, text):
    with pytest.raises(ModelFileError, match=re.escape(text)):
        UNetConfig.from_dict(SMALL.to_dict() | {"layer_widths": layers})
