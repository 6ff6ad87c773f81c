"""A network from its name and configuration alone: the compact family, networks of other libraries, narrowed ones."""

from __future__ import annotations

import re

import pytest
import torch

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.train.models.config import build, config_of, names, output_stride, with_config
from seg_edge.train.models.registry import MODELS
from seg_edge.train.models.zoo import NETWORKS

LRASPP = "lraspp-mobilenetv3"


@pytest.fixture(scope="module")
def lraspp():
    return build(LRASPP, 4)


def test_the_family_comes_first_and_nothing_twice():
    assert names()[: len(MODELS)] == list(MODELS)
    assert len(set(names())) == len(names()) == len(MODELS) + len(NETWORKS)


def test_the_config_of_the_family_is_its_own():
    assert config_of(build("unet-s", 4)) == MODELS["unet-s"].to_dict()


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
        assert narrow(torch.zeros(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_no_config_is_the_network_as_its_library_has_it(lraspp):
    assert config_of(build(LRASPP, 4, {})) == config_of(lraspp)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"width": {}}, f"{LRASPP} config: unknown key 'width'; valid keys: layer_widths"),
        ({"layer_widths": [3]}, f"{LRASPP} config: layer_widths must hold a list for each layer, got [3]"),
        ({"layer_widths": {"a": [1]}}, f"{LRASPP}: layer widths: 'a': the network has no such layer"),
    ],
)
def test_configs_that_do_not_fit(lraspp, config, text):
    with pytest.raises(ModelFileError, match=re.escape(text)):
        with_config(lraspp, LRASPP, config)


def test_unknown_names_answer_with_the_nearest_of_all():
    with pytest.raises(InputError, match="did you mean 'unet-resnet18'"):
        build("unet-resnet81", 3)


def test_output_stride(lraspp):
    family = build("unet-n", 3)
    assert output_stride(family) == 4
    assert family.training
    assert output_stride(lraspp) == 1
