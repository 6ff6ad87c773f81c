"""Units, widths and narrowing, on networks with skip connections, additions and depthwise or grouped convolutions."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.export.pruning.importance import scorer
from seg_edge.export.pruning.names import IMPORTANCES, NEED_DATA
from seg_edge.export.pruning.structure import Unit, allocate, narrow, output_layers, units
from seg_edge.train.models.registry import build
from seg_edge.train.models.unet import config_of
from seg_edge.train.models.widths import layer_widths, set_layer_widths

X = torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(7))
SMALL = {"widths": [16, 16, 24, 32, 40], "depths": [1, 2, 1, 1, 1], "decoder_depths": [1, 2, 1]}


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6())


class Mobile(nn.Module):
    """Inverted residuals with depthwise convolutions, an addition, a concatenation over a skip, a transposed convolution."""

    def __init__(self, wide: int = 24) -> None:
        super().__init__()
        self.stem = conv(3, wide, stride=2)
        self.expand, self.depthwise, self.project = conv(wide, 48, 1), conv(48, 48, groups=48), nn.Conv2d(48, wide, 1)
        self.down = conv(wide, 32, stride=2)
        self.grouped = conv(32, 32, groups=4)
        self.up = nn.ConvTranspose2d(32, 16, 2, 2)
        self.norm = nn.GroupNorm(2, 16)
        self.head = nn.Conv2d(16 + wide, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.stem(x)
        skip = skip + self.project(self.depthwise(self.expand(skip)))
        deep = self.norm(self.up(self.grouped(self.down(skip))))
        return F.interpolate(self.head(torch.cat((deep, skip), 1)), scale_factor=2.0, mode="bilinear")


@pytest.fixture
def mobile(nets):
    return nets.trained(Mobile())


@pytest.fixture
def unet(nets):
    return nets.trained(build("unet-n", 3, SMALL))


def l2(net):
    return scorer("l2", net)


def test_units_of_the_unet(unet):
    found = {unit.name: unit.channels for unit in units(unet, X, l2(unet))}
    convolutions = {n: m.out_channels for n, m in unet.named_modules() if isinstance(m, nn.Conv2d) and n != "head"}
    assert found == convolutions


def test_units_that_hang_together(mobile):
    """What is added to each other is one unit, the depthwise convolution belongs to the one before it, the head to none."""
    found = {unit.name: (unit.channels, unit.groups) for unit in units(mobile, X, l2(mobile))}
    assert sorted(found.values()) == [(16, 2), (24, 1), (32, 4), (32, 4), (48, 1)]
    assert len({"stem.0", "project"} & set(found)) == 1
    assert "head" not in found


def test_outputs_are_found_behind_what_has_no_weights(mobile, unet):
    assert output_layers(mobile, X) == [mobile.head]
    assert output_layers(unet, X) == [unet.head]
    two = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sigmoid()).eval()
    for p in two.parameters():
        p.requires_grad_(False)
    assert output_layers(two, X) == [two[0]]
    assert not any(p.requires_grad for p in two.parameters())


def test_scores_are_the_published_norms(unet):
    """The first layer's group: its own filters, its batch normalization, the input side of what reads it."""
    first, norm, reader = unet.encoder[0][0][0], unet.encoder[0][0][1], unet.encoder[1][0][0]
    parts = [
        first.weight.abs().pow(2).sum((1, 2, 3)), norm.weight.abs().pow(2), reader.weight.abs().pow(2).sum((0, 2, 3)),
    ]  # fmt: skip
    expected = torch.stack(parts).mean(0)
    unit = next(unit for unit in units(unet, X, l2(unet)) if unit.name == "encoder.0.0.0")
    torch.testing.assert_close(unit.scores, (expected / expected.mean()).detach())


def unit(name, scores, groups=1):
    return Unit(name, len(scores) * groups, groups, torch.tensor(scores, dtype=torch.float32))


def test_uniform_takes_the_same_share_everywhere():
    found = [unit("a", range(32)), unit("b", range(16)), unit("c", range(8)), unit("d", range(12))]
    assert allocate(found, 0.5, "uniform", 8) == {"a": 16, "b": 8, "c": 8, "d": 8}
    assert allocate(found, 0.4, "uniform", 4) == {"a": 20, "b": 8, "c": 4, "d": 8}
    assert allocate(found, 0.0, "uniform", 8) == {"a": 32, "b": 16, "c": 8, "d": 12}
    assert allocate(found, 0.95, "uniform", 8) == {"a": 8, "b": 8, "c": 8, "d": 8}


def test_global_takes_the_weakest_wherever_they_are():
    """24 strong channels and 8 weak ones, in the other unit the other way round: half of all goes, most of it there."""
    found = [unit("a", [9] * 24 + [1] * 8), unit("b", [1] * 24 + [9] * 8)]
    assert allocate(found, 0.5, "global", 8) == {"a": 24, "b": 8}
    assert allocate([unit("a", [9] * 16), unit("b", [1] * 16)], 0.5, "global", 8) == {"a": 16, "b": 8}  # one multiple stays


def test_grouped_units_stay_divisible():
    found = [unit("a", range(8), groups=3)]
    assert allocate(found, 0.5, "uniform", 4) == {"a": 12}
    assert allocate(found, 0.4, "uniform", 8) == {"a": 24}


def test_ratios_count_from_the_original():
    found = [unit("a", range(32))]
    assert allocate(found, 0.75, "uniform", 8, {"a": 64}) == {"a": 16}
    assert allocate(found, 0.25, "uniform", 8, {"a": 64}) == {"a": 32}
    assert allocate(found, 0.75, "global", 8, {"a": 64}) == {"a": 16}


def test_unknown_scope():
    with pytest.raises(UnknownNameError, match=re.escape("unknown pruning scope 'globl': did you mean 'global'?")):
        allocate([unit("a", range(8))], 0.5, "globl", 8)


@pytest.mark.parametrize("scope", ["global", "uniform"])
@pytest.mark.parametrize("importance", sorted(set(IMPORTANCES) - set(NEED_DATA)))
def test_narrowed_networks_have_their_widths_and_are_rebuilt(mobile, importance, scope):
    """Bit for bit, from the code, the widths as JSON values and the state dict."""
    score = scorer(importance, mobile)
    widths = allocate(units(mobile, X, score), 0.5, scope, 8)
    narrow(mobile, X, score, widths)
    layers = dict(mobile.named_modules())
    assert {name: layers[name].out_channels for name in widths} == widths
    assert sum(widths.values()) < 24 + 48 + 32 + 32 + 16
    assert (mobile.head.out_channels, mobile.stem[0].in_channels) == (5, 3)
    assert mobile.depthwise[0].groups == mobile.depthwise[0].out_channels == mobile.expand[0].out_channels
    assert mobile.grouped[0].groups == 4
    again = set_layer_widths(Mobile(), layer_widths(mobile)).eval()
    again.load_state_dict(mobile.state_dict())
    with torch.inference_mode():
        assert torch.equal(mobile(X), again(X))


def test_what_stays_is_what_was_important(unet):
    """With one half of a layer's channels silenced, that half goes, and the network computes what it did."""
    block = unet.encoder[2][0]
    dead = torch.arange(24) % 3 == 0  # 8 of 24
    with torch.no_grad():
        block[0].weight[dead] = 0
        block[1].weight[dead] = 0
        block[1].bias[dead] = -1  # behind ReLU: 0
        expected = unet(X)
    score = l2(unet)
    narrow(unet, X, score, {"encoder.2.0.0": 16})
    assert block[0].out_channels == 16
    with torch.inference_mode():
        torch.testing.assert_close(unet(X), expected, rtol=1e-4, atol=1e-4)


def test_pruned_unet_is_its_config_and_state_dict(unet, tmp_path):
    score = l2(unet)
    narrow(unet, X, score, allocate(units(unet, X, score), 0.5, "global", 8))
    config = config_of(unet)
    assert config.layer_widths is not None
    torch.save({"config": config.to_dict(), "weights": unet.state_dict()}, tmp_path / "x.pt")
    data = torch.load(tmp_path / "x.pt", weights_only=True)
    again = build("unet-n", 3, data["config"]).eval()
    again.load_state_dict(data["weights"])
    with torch.inference_mode():
        assert torch.equal(unet(X), again(X))


def test_a_copy_is_not_touched(unet):
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    other = copy.deepcopy(unet)
    score = l2(other)
    narrow(other, X, score, allocate(units(other, X, score), 0.5, "uniform", 8))
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())


def test_nothing_to_prune():
    with pytest.raises(InputError, match="scores no layer of this network"):
        units(nn.Conv2d(3, 4, 1).eval(), X, scorer("l2", nn.Identity()))


def test_broken_weights(unet):
    unet.encoder[1][0][0].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="the importance is not a finite number"):
        units(unet, X, l2(unet))
