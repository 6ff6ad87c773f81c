"""The table of models, and what is counted of them."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from seg_edge.core.errors import ModelFileError, UnknownNameError
from seg_edge.train.models.registry import MODELS, build, macs, parameters
from seg_edge.train.models.unet import UNetConfig


def conv_macs(net: nn.Module, input_hw: tuple[int, int]) -> int:
    """Multiplications of every convolution's output values, counted while the network runs."""
    total = 0

    def count(conv: nn.Conv2d, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        height, width = conv.kernel_size
        total += output[0].numel() * conv.in_channels // conv.groups * height * width

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        net.eval()(torch.zeros(1, 3, *input_hw))
    for hook in hooks:
        hook.remove()
    return total


def conv_parameters(widths: tuple[int, ...], depths: tuple[int, ...], decoder: tuple[int, ...], classes: int) -> int:
    """Weights of the network that a configuration describes, from the formula."""

    def stage(inputs: int, outputs: int, depth: int) -> int:
        return 9 * outputs * (inputs + (depth - 1) * outputs) + 2 * outputs * depth

    total = sum(stage(i, o, d) for i, o, d in zip((3, *widths), widths, depths, strict=False))
    total += sum(stage(widths[k + 1] + widths[k], widths[k], d) for k, d in zip((3, 2, 1), decoder, strict=True))
    return total + widths[1] * classes + classes


@pytest.mark.parametrize("name", ["unet-n", "unet-s", "unet-m"])
def test_counts(name):
    net, config = build(name, 11), MODELS[name]
    assert isinstance(config, UNetConfig)
    assert parameters(net) == conv_parameters(config.widths, config.depths, config.decoder_depths, 11)


@pytest.mark.parametrize("name", list(MODELS))
def test_macs_are_those_of_the_convolutions(name):
    net = build(name, 11)
    assert macs(net, (96, 64)) == conv_macs(net, (96, 64))


@pytest.mark.parametrize(
    ("name", "count", "gmac"),
    [
        ("unet-n", 952_675, 0.964),
        ("unet-s", 1_602_555, 1.661),
        ("unet-m", 3_000_811, 4.950),
        ("unet-lite0", 3_565_931, 2.199),
    ],
)
def test_sizes_stay_as_published(name, count, gmac):
    """CamVid's 11 classes and 352x480. Another size is another network: its checkpoints and benchmarks would not fit."""
    net = build(name, 11)
    assert parameters(net) == count
    # Every term grows with the area, so that a small image tells the large one's.
    assert macs(net, (96, 128)) * (352 * 480) / (96 * 128) / 1e9 == pytest.approx(gmac, abs=0.001)


def test_counting_changes_nothing():
    net = build("unet-n", 3).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert macs(net, (32, 32)) > 0
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_config_replaces_values():
    net = build("unet-n", 3, {"widths": [8, 8, 16, 16, 24]})
    assert net.config.widths == (8, 8, 16, 16, 24)
    assert net.config.depths == MODELS["unet-n"].depths


def test_widths_suit_vector_units():
    assert all(width % 8 == 0 for config in MODELS.values() for width in config.widths)


@pytest.mark.parametrize(("name", "near"), [("unet_s", "unet-s"), ("unetm", "unet-m"), ("UNET-N", None)])
def test_unknown_names(name, near):
    hint = f"did you mean '{near}'? " if near else ""
    text = f"unknown model '{name}': {hint}valid names: {', '.join(sorted(MODELS))}"
    with pytest.raises(UnknownNameError, match=re.escape(text)):
        build(name, 3)


def test_no_classes():
    with pytest.raises(ModelFileError, match="model unet-s: needs at least one class, got 0"):
        build("unet-s", 0)
