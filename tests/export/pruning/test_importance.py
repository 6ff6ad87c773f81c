"""Scores by name, and the gradients that two of them need."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.datasets.opening import open_dataset
from seg_edge.export.pruning.importance import scorer
from seg_edge.export.pruning.samples import estimate_statistics, losses
from seg_edge.export.pruning.structure import units

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def net(nets):
    return nets.trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)))


def sample_losses():
    return [lambda net, x=x: net(x[None]).square().sum() for x in X]


def gradients(net):
    """Of each sample's loss: of the first layer's weight, the normalization's and the reader's."""
    rows = []
    for loss in sample_losses():
        net.zero_grad()
        loss(net).backward()
        rows.append([net[k].weight.grad.clone() for k in (0, 1, 3)])
    net.zero_grad()
    return rows


def scores(net, name):
    (unit,) = units(net, X[:1], scorer(name, net, sample_losses()))
    return unit.scores


def normalized(parts):
    mean = torch.stack(parts).mean(0).detach()
    return mean / mean.mean()


def test_taylor_is_weight_times_gradient(net):
    """The library leaves batch normalization out of it."""
    first, reader = net[0].weight, net[3].weight
    grads = gradients(net)
    mean = [sum(row[k] for row in grads) / 3 for k in range(3)]
    parts = [(first * mean[0]).abs().sum((1, 2, 3)), (reader * mean[2]).abs().sum((0, 2, 3))]
    torch.testing.assert_close(scores(net, "taylor"), normalized(parts))


def test_hessian_is_over_all_samples(net):
    """Mean of the squared gradients, not the square of the mean, and not the last sample's alone."""
    first, norm, reader = (net[k].weight for k in (0, 1, 3))
    grads = gradients(net)
    fisher = [sum(row[k].square() for row in grads) / 3 for k in range(3)]
    parts = [
        (first.square() * fisher[0]).sum((1, 2, 3)), norm.square() * fisher[1],
        (reader.square() * fisher[2]).sum((0, 2, 3)),
    ]  # fmt: skip
    torch.testing.assert_close(scores(net, "hessian"), normalized(parts))


def test_batch_normalization_scale(net):
    torch.testing.assert_close(scores(net, "bn"), (net[1].weight.abs() / net[1].weight.abs().mean()).detach())


def test_bn_without_batch_normalization(nets):
    bare = nets.trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 1)))
    with pytest.raises(InputError, match="scores no layer of this network; try `importance='l2'`"):
        units(bare, X[:1], scorer("bn", bare))


def test_random_is_seeded(net):
    a, b, c = (units(net, X[:1], scorer("random", net, seed=seed))[0].scores for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize("name", ["taylor", "hessian"])
def test_gradients_need_images(net, name):
    with pytest.raises(InputError, match=f"`importance='{name}'`: is measured on training images; pass `data`"):
        scorer(name, net)
    with pytest.raises(InputError, match="gave no image to measure importance on"):
        scorer(name, net, [])


def test_unknown_name(net):
    with pytest.raises(UnknownNameError, match=re.escape("unknown importance 'tailor': did you mean 'taylor'?")):
        scorer("tailor", net)


def test_losses_on_images(nets, tmp_path):
    """Of a network that is right everywhere it is small, of one that is wrong it is not."""
    net = nets.tiny()
    data = open_dataset(nets.write_dataset(tmp_path, net), "train", nets.SPEC.labels)
    with torch.inference_mode():
        right = [float(loss(net)) for loss in losses(data, nets.SPEC, 3)]
        wrong = [float(loss(nets.tiny(seed=1))) for loss in losses(data, nets.SPEC, 3)]
    assert len(right) == 3
    assert max(right) < min(wrong)


def test_statistics_are_those_of_the_images(net, nets, tmp_path):
    """Of one batch: mean and variance of what the convolution gives; the weights stay."""
    data = open_dataset(nets.write_dataset(tmp_path, nets.tiny(), train=4), "train", nets.SPEC.labels)
    before = [p.clone() for p in net.parameters()]
    expected = net[0](torch.cat([nets.normalized(data.read(k)[0][None]) for k in range(4)]))
    estimate_statistics(net, data, nets.SPEC, 9)
    torch.testing.assert_close(net[1].running_mean, expected.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net[1].running_var, expected.var((0, 2, 3)), rtol=1e-4, atol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert (net[1].momentum, net[1].training) == (0.1, False)
