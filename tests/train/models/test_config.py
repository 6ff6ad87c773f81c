"""A network from its name and configuration alone: the compact family, networks of other libraries, narrowed ones."""

from __future__ import annotations

import re

import pytest
import torch

from seg_edge.core.errors import ModelFileError
from seg_edge.train.models.catalog import build
from seg_edge.train.models.config import config_of
from seg_edge.train.models.registry import MODELS

LRASPP = "lraspp-mobilenetv3"


@pytest.fixture(scope="module")
def lraspp():
    return build(LRASPP, 4)


def test_the_config_of_the_family_is_its_own():
    for name in ("unet-s", "unet-lite0"):
        assert config_of(build(name, 4)) == MODELS[name].to_dict()


def test_a_network_of_the_zoo_is_rebuilt_from_its_widths(lraspp):
    config = config_of(lraspp)
    widths = config["layer_widths"]
    assert widths["network.classifier.low_classifier"] == [40, 4, 1]
    again = build(LRASPP, 4, config)
    assert again.training
    again.load_state_dict(lraspp.state_dict())
    assert config_of(again) == config
    # Another width of the layers between two others: the network takes it.
    other = {**widths, "network.classifier.cbr.0": [960, 24, 1], "network.classifier.cbr.1": [24]}
    other |= {"network.classifier.scale.1": [960, 24, 1], "network.classifier.high_classifier": [24, 4, 1]}
    narrow = build(LRASPP, 4, {"layer_widths": other}).eval()
    with torch.inference_mode():
        assert narrow(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 8, 8)


def test_no_config_is_the_network_as_its_library_has_it(lraspp):
    assert config_of(build(LRASPP, 4, {})) == config_of(lraspp)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"width": {}}, "network config: unknown key 'width'; valid keys: layer_widths"),
        ({"layer_widths": [3]}, "network config: layer_widths must be a table, got list"),
        ({"layer_widths": {"a": [1]}}, "layer widths: 'a': the network has no such layer"),
    ],
)
def test_configs_that_do_not_fit(config, text):
    with pytest.raises(ModelFileError, match=re.escape(text)):
        build(LRASPP, 4, config)
