"""Widths of layers as plain numbers, there and back."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from seg_edge.core.errors import ModelFileError
from seg_edge.train.models.widths import layer_widths, set_layer_widths


def network(a: int = 6, b: int = 8, c: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, a, 3), nn.BatchNorm2d(a), nn.Conv2d(a, a, 3, groups=a), nn.Conv2d(a, b, 3, groups=2, bias=False),
        nn.GroupNorm(2, b), nn.ConvTranspose2d(b, c, 2), nn.InstanceNorm2d(c), nn.Flatten(), nn.Linear(c, a),
        nn.LayerNorm(a), nn.Linear(a, 2),
    )  # fmt: skip


def test_there_and_back():
    wide, narrow = network(12, 16, 8), network()
    widths = json.loads(json.dumps(layer_widths(narrow)))
    assert widths["2"] == [6, 6, 6]
    assert widths["5"] == [8, 4, 1]
    assert set_layer_widths(wide, widths) is wide
    wide.load_state_dict(narrow.state_dict())
    assert layer_widths(wide) == widths
    assert repr(wide) == repr(narrow)
    with torch.inference_mode():
        y = torch.randn(2, 3, 8, 8)
        assert torch.equal(wide[:6].eval()(y), narrow[:6].eval()(y))
    assert all(p.requires_grad for p in wide.parameters())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"99": [1]}, "'99': the network has no such layer"),
        ({"0": None}, "'0': its widths are missing"),
        ({"0": [3, 6]}, "'0': expected 3 positive integers, got [3, 6]"),
        ({"1": [0]}, "'1': expected 1 positive integers, got [0]"),
        ({"1": "6"}, "'1': expected 1 positive integers, got 6"),
        ({"3": [6, 7, 2]}, "'3': 6 and 7 channels don't fit 2 groups"),
        ({"4": [7]}, "'4': 7 channels don't fit 2 groups"),
    ],
)
def test_widths_that_do_not_fit(changes, text):
    widths = {key: value for key, value in (layer_widths(network()) | changes).items() if value is not None}
    with pytest.raises(ModelFileError, match=re.escape(text)):
        set_layer_widths(network(), widths)
