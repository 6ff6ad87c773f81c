"""Reference networks as files of our contract, exported once."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.core.progress import Silent
from seg_edge.export.networks import reference as module
from seg_edge.export.networks.cache_folder import cache_folder
from seg_edge.export.networks.reference import known, reference, table_models
from seg_edge.runtime import read_spec
from seg_edge.train.models import registry, zoo

SIZE = (64, 96)


class Lines(Silent):
    """Keeps the lines that it receives."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_a_network_is_exported_once_and_again_when_a_version_changes(tmp_path, monkeypatch):
    progress = Lines()
    path = reference("lraspp-mobilenetv3", SIZE, 5, tmp_path, progress)
    spec = read_spec(path)
    assert (spec.name, spec.input_hw, spec.output_stride, len(spec.labels)) == ("lraspp-mobilenetv3", SIZE, 1, 5)
    network = zoo.build("lraspp-mobilenetv3", 5)
    assert spec.provenance["params"] == registry.parameters(network)
    assert spec.provenance["macs"] == registry.macs(network, SIZE)
    assert spec.provenance["weights"] == "random"
    assert reference("lraspp-mobilenetv3", SIZE, 5, tmp_path, progress) == path
    assert len(progress.lines) == 1
    path.write_bytes(b"damaged")
    assert reference("lraspp-mobilenetv3", SIZE, 5, tmp_path, progress) == path
    monkeypatch.setattr(module.metadata, "version", lambda name: "99")
    assert reference("lraspp-mobilenetv3", SIZE, 5, tmp_path, progress) != path
    assert len(progress.lines) == 3


def test_the_table_leaves_out_what_is_measured_trained(tmp_path, tiny_onnx, monkeypatch):
    made = []
    monkeypatch.setattr(module, "reference", lambda name, size, classes, *rest: made.append((name, classes)) or name)
    path = tmp_path / "a.onnx"
    spec = tiny_onnx(path)
    assert table_models([], SIZE) == known()
    assert known()[:4] == ["fcn-resnet50", "unet-resnet50", "deeplabv3-resnet50", "deeplabv3plus-resnet50"]
    assert {"unet-n", "unet-s", "unet-m", "lraspp-mobilenetv3", "unet-mobilenetv2", "unet-resnet18"} <= set(known())
    assert {classes for _, classes in made} == {11}
    made.clear()
    monkeypatch.setattr(module, "read_spec", lambda path: spec.with_(name="unet-s"))
    assert "unet-s" not in table_models([path], SIZE)
    assert {classes for _, classes in made} == {3}
    assert table_models([path], SIZE, networks=["unet-s", "unet-n"]) == ["unet-n"]


def test_wrong_words(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'fcn-resnet50'"):
        reference("fcn-resnet5", SIZE, 5, tmp_path)
    with pytest.raises(InputError, match="multiples of 32"):
        reference("unet-n", (60, 80), 5, tmp_path)


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "seg-edge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/seg-edge"
