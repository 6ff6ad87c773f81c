"""Weights of another training, for the same classes and for others."""

from __future__ import annotations

import re
import shutil

import pytest
import torch

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.core.spec import ModelSpec
from seg_edge.datasets.dataset import write_labels
from seg_edge.train import fit
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint
from seg_edge.train.checkpoint.begin import begin_with, config_for
from seg_edge.train.models.catalog import build
from seg_edge.train.models.registry import parameters
from seg_edge.train.models.widths import layer_widths

PALETTE = ((0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3))


def labels(*names: str) -> Labels:
    return Labels(names, PALETTE[: len(names)])


def start_of(model: str, names: tuple[str, ...], config=None) -> Checkpoint:
    torch.manual_seed(1)
    net = build(model, len(names), config)
    for value in net.parameters():  # no head is left at what it is initialized with
        torch.nn.init.normal_(value, std=0.1)
    return Checkpoint(net.eval(), ModelSpec(model, labels(*names), (32, 32)), 1, model, config or {})


def test_the_same_classes_take_everything():
    start = start_of("unet-n", ("a", "b", "c"))
    net = build("unet-n", 3, None)
    assert begin_with(net, start, labels("a", "b", "c")) == []
    assert all(torch.equal(value, start.model.state_dict()[key]) for key, value in net.state_dict().items())


PRUNED = {"widths": [8, 8, 16, 16, 24], "depths": [1] * 5, "decoder_depths": [1] * 3}
PRUNED["layer_widths"] = [[8], [8], [16], [16], [24], [12], [10], [6]]


@pytest.mark.parametrize(
    ("model", "config", "head"),
    [("unet-n", None, "head"), ("unet-n", PRUNED, "head"), ("pspnet-resnet18", None, "network.head.classifier.2")],
)
def test_classes_keep_their_weights_by_name(model, config, head):
    """Two of them known, in another order, beside a new one; as many classes as before make no difference."""
    start = start_of(model, ("a", "b", "c"), config)
    torch.manual_seed(2)
    net = build(model, 3, config)
    fresh = {key: value.clone() for key, value in net.state_dict().items()}
    assert begin_with(net, start, labels("c", "new", "a")) == ["new"]
    before, after = start.model.state_dict(), net.state_dict()
    for name in ("weight", "bias"):
        key = f"{head}.{name}"
        torch.testing.assert_close(after[key], torch.stack((before[key][2], fresh[key][1], before[key][0])))
    same = [key for key in after if not key.startswith(head)]
    assert len(same) > 10
    assert all(torch.equal(before[key], after[key]) for key in same)


def test_a_pruned_network_of_the_zoo_gets_other_classes():
    """Its configuration has the classifier's width, which is no matter of pruning."""
    widths = layer_widths(build("unet-resnet18", 3))
    name = "network.decoder.blocks.4.conv2.0"
    widths[name][1] -= 4
    widths["network.decoder.blocks.4.conv2.1"][0] -= 4
    widths["network.segmentation_head.0"][0] -= 4
    start = start_of("unet-resnet18", ("a", "b", "c"), {"layer_widths": widths})
    net = build("unet-resnet18", 5, config_for(start, 5)).eval()
    assert begin_with(net, start, Labels(("c", "x", "y", "b", "z"), Labels.numbered(5).palette)) == ["x", "y", "z"]
    before, after = start.model.state_dict(), net.state_dict()
    key = "network.segmentation_head.0.weight"
    assert after[key].shape[0] == 5
    assert torch.equal(after[key][0], before[key][2])
    assert torch.equal(after[key][3], before[key][1])
    assert net(torch.zeros(1, 3, 32, 32)).shape[1] == 5
    assert start.config == {"layer_widths": widths}


def test_training_for_other_classes(config, trained, rectangles, tmp_path, lines):
    """The body is the checkpoint's: almost no rate, no averaging."""
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1)
    write_labels(data, Labels.numbered(5))
    start = load_checkpoint(trained.out / "best.pt")
    fit(*config(tmp_path / "o", init=trained.out / "best.pt", data=data, epochs=1, lr=1e-12, ema=0.0), progress=lines)
    text = "\n".join(lines.said)
    assert "does not know" in text
    assert "the head learns" in text
    after = load_checkpoint(tmp_path / "o" / "last.pt")
    assert after.spec.labels == Labels.numbered(5)
    assert after.spec.input_hw == start.spec.input_hw
    for key, value in start.model.named_parameters():
        if not key.startswith("head"):
            torch.testing.assert_close(value, dict(after.model.named_parameters())[key], rtol=1e-4, atol=1e-6, msg=key)
    # It goes on without a word about classes.
    lines.said.clear()
    fit(
        *config(tmp_path / "o", data=data, epochs=2, lr=1e-12, ema=0.0, init=trained.out / "best.pt"),
        resume=True,
        progress=lines,
    )
    assert "does not know" not in "\n".join(lines.said)


def test_init_is_where_training_begins(config, pruned, tmp_path):
    """At a rate of almost nothing and without averaging, the weights stay; so do size, classes and history."""
    report = fit(*config(tmp_path / "o", init=pruned, epochs=1, lr=1e-12, ema=0.0))
    before, after = load_checkpoint(pruned), load_checkpoint(tmp_path / "o" / "last.pt")
    assert after.config == before.config
    for (key, a), b in zip(before.model.named_parameters(), after.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=key)
    assert report["params"] == parameters(before.model)
    provenance = after.spec.provenance
    assert provenance["pruned"] == {"importance": "l2"}
    assert provenance["init"] == {"file": "pruned.pt", "sha256": sha256(pruned)}
    assert after.spec.labels == before.spec.labels


def test_init_that_does_not_fit(config, pruned, trained, tmp_path):
    with pytest.raises(
        InputError, match=re.escape("pruned.pt'` holds unet-n, but `model` is unet-s; pass `model='unet-n'`")
    ):
        fit(*config(tmp_path / "o", init=pruned, model="unet-s"))
    shutil.copytree(trained.out, tmp_path / "o")
    with pytest.raises(InputError, match="began with no other checkpoint, got `init="):
        fit(*config(tmp_path / "o", init=pruned, epochs=3), resume=True)
