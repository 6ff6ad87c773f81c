"""Two views through one network: the second view, the terms, training with them."""

from __future__ import annotations

import csv

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from seg_edge.core.errors import InputError
from seg_edge.train import DistillOptions, SiameseOptions, fit
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.data.view import other_view
from seg_edge.train.losses import siamese as module
from seg_edge.train.losses.siamese import Siamese
from seg_edge.train.models.registry import build

CONFIG = {"widths": [8, 8, 16, 16, 24], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}
HW = (64, 96)


def images(count=2, seed=0):
    """Smooth images with an edge, far from black and white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = 60 + 120 * torch.rand(count, 3, 4, 6, generator=generator)
    picture = F.interpolate(coarse, HW, mode="bilinear")
    picture[..., 40:50] += 40
    return picture.to(torch.uint8)


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = build("unet-n", 3, CONFIG)
    nn.init.normal_(made.head.weight)
    return made


# The second view


def test_views_change_every_image_in_their_own_way():
    torch.manual_seed(3)
    picture = images(1).repeat(8, 1, 1, 1)
    before = picture.clone()
    other = other_view(picture)
    assert (other.dtype, other.shape) == (torch.uint8, picture.shape)
    assert torch.equal(picture, before)
    means = other.float().mean((1, 2, 3))
    assert means.std() > 5
    assert len({float(value) for value in means}) == 8


def test_views_keep_the_geometry():
    """The edge stays where it is: brightness rises between the same columns, in nearly every image."""
    torch.manual_seed(1)
    other = other_view(images(1).repeat(16, 1, 1, 1)).float().mean((1, 2))
    rise = other[:, 37:43].mean(1) - other[:, 33:39].mean(1)
    plain = images(1).float().mean((1, 2))
    assert plain[:, 41] - plain[:, 38] > 30
    assert (other[:, 42] - other[:, 37] > 0).float().mean() > 0.9
    assert rise.median() > 2


def test_strength_and_seed():
    torch.manual_seed(0)
    weak = other_view(images(8), 1e-6)
    assert (weak.int() - images(8).int()).abs().max() <= 1
    found = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        found.append(other_view(images()))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


# The terms


def terms(net, config, monkeypatch, second=None):
    """The terms, with a given second view."""
    if second is not None:
        monkeypatch.setattr(module, "other_view", lambda _images, _strength: second)
    seen = []

    def forward(batch):
        seen.append(batch)
        return net(batch.float() / 128 - 1)

    masks = torch.randint(0, 3, (2, *HW), generator=torch.Generator().manual_seed(1)).to(torch.uint8)

    def loss(logits, labels):
        assert torch.equal(labels, torch.cat((masks, masks)))
        return F.cross_entropy(logits, labels[:, ::4, ::4].long())

    found = Siamese(config, net, HW).terms(images(), masks, net, forward, loss)
    (batch,) = seen
    assert torch.equal(batch[:2], images())
    return found, batch


def test_equal_branches_agree(net, monkeypatch):
    net.eval()
    found, _ = terms(net, SiameseOptions(), monkeypatch, second=images())
    assert found["features"].item() == pytest.approx(0, abs=1e-5)
    assert found["predictions"].item() == pytest.approx(0, abs=1e-5)


def test_terms_are_the_formulas(net, monkeypatch):
    net.eval()
    second = images(seed=7)
    found, batch = terms(net, SiameseOptions(pull_features=2.0, pull_predictions=3.0), monkeypatch, second)
    assert torch.equal(batch[2:], second)
    a, b = (net(x.float() / 128 - 1) for x in (images(), second))
    p, q = a.softmax(1), b.softmax(1)
    kl = (p * (p / q).log() + q * (q / p).log()).sum(1).mean() / 2
    torch.testing.assert_close(found["predictions"], 3 * kl, rtol=1e-4, atol=1e-6)
    deep = []
    for x in (images(), second):
        x = x.float() / 128 - 1
        for stage in net.encoder:
            skip, x = x, stage(x)
        up = torch.cat((F.interpolate(x, scale_factor=2.0, mode="nearest"), skip), 1)
        deep.append((x, net.decoder[0](up)))
    apart = sum((1 - F.cosine_similarity(one, other)).mean() for one, other in zip(*deep, strict=True)) / 2
    torch.testing.assert_close(found["features"], 2 * apart, rtol=1e-4, atol=1e-6)


def test_descending_pulls_the_branches_together(net, monkeypatch):
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    values = []
    for _ in range(6):
        found, _ = terms(net, SiameseOptions(), monkeypatch, images(seed=7))
        values.append((found["features"] + found["predictions"]).item())
        optimizer.zero_grad()
        (found["features"] + found["predictions"]).backward()
        optimizer.step()
    assert values[-1] < 0.8 * values[0]


def test_without_weights_only_the_labels_count(net, monkeypatch):
    found, _ = terms(net, SiameseOptions(pull_features=0, pull_predictions=0), monkeypatch)
    assert list(found) == ["supervised"]


def test_a_network_without_deep_features(net):
    shallow = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 3, 1))
    with pytest.raises(InputError, match="`pull_features`: the network has no features at strides"):
        Siamese(SiameseOptions(), shallow, HW)
    assert not list(Siamese(SiameseOptions(), net, HW).parameters())


# Training


def test_trains_and_leaves_one_branch(config, tmp_path):
    report = fit(*config(tmp_path / "whole", siamese=SiameseOptions()))
    assert report["config"]["siamese"] == {"features": 0.5, "predictions": 0.5, "strength": 1.0}
    with open(tmp_path / "whole" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = [sum(float(row[f"train_{name}"]) for name in ("supervised", "features", "predictions")) for row in rows]
    assert parts == pytest.approx([float(row["train_loss"]) for row in rows], rel=1e-4)
    fit(*config(tmp_path / "parts", epochs=1, siamese=SiameseOptions()))
    with pytest.raises(InputError, match="was trained with `siamese=features 0.5, predictions 0.5, appearance 1`, got off"):
        fit(*config(tmp_path / "parts"), resume=True)
    # One branch is all there is: the checkpoint is that of a plain network.
    names = set(load_checkpoint(tmp_path / "whole" / "best.pt").model.state_dict())
    assert names == set(build("unet-n", 3).state_dict())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pull_features": -1}, "`pull_features`: expected at least 0, got -1"),
        ({"pull_predictions": float("nan")}, "`pull_predictions`: expected a finite number, got nan"),
        ({"appearance": 0}, "`appearance`: expected a number above 0, got 0"),
        ({"appearance": 1.5}, "`appearance`: expected at most 1, got 1.5"),
    ],
)
def test_refusals(values, message):
    with pytest.raises(InputError, match=message):
        SiameseOptions(**values)


def test_no_teacher_beside(config, tmp_path):
    with pytest.raises(InputError, match="`siamese` and `teacher` exclude each other"):
        config(tmp_path / "o", siamese=SiameseOptions(), distill=DistillOptions(teacher=tmp_path / "t.pt"))
