"""The networks of other libraries: small inputs, one of each library run, all names built."""

from __future__ import annotations

import sys

import pytest
import torch

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.measure.benchmark.reference_table import REFERENCE
from seg_edge.train.models import zoo


def test_the_published_networks_are_in_the_zoo_under_their_names():
    for row in REFERENCE["rows"]:
        network = zoo.NETWORKS[row["network"]]
        assert (network.title, network.backbone) == (row["model"], row["backbone"])


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_gives_logits_at_the_size_of_its_input(name):
    pytest.importorskip(zoo.NETWORKS[name].package)
    network = zoo.build(name, 5)
    assert not network.training
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 5, 64, 96)


def test_wrong_names_and_missing_packages(monkeypatch):
    with pytest.raises(UnknownNameError, match="did you mean 'unet-resnet50'"):
        zoo.build("unet-resnet5", 3)
    with pytest.raises(InputError, match="at least one class"):
        zoo.build("unet-resnet18", 0)
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(InputError, match=r"needs segmentation-models-pytorch.*seg-edge\[zoo\]"):
        zoo.build("unet-resnet18", 3)
