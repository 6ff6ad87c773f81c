"""Two samples made into one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.datasets.opening import open_dataset
from seg_edge.train import AugmentOptions
from seg_edge.train.data.mix import class_mix, cut_mix, draw_weights
from seg_edge.train.data.module import TrainSet

VOID = 255


def sample(rows: list[str], value: int) -> tuple[Tensor, Tensor]:
    """A mask as drawn, ``.`` being void, and an image of one value."""
    mask = torch.tensor([[VOID if c == "." else int(c) for c in row] for row in rows], dtype=torch.uint8)
    return torch.full((3, *mask.shape), value, dtype=torch.uint8), mask


def drawn(mask: Tensor) -> list[str]:
    return ["".join("." if v == VOID else str(v) for v in row) for row in mask.tolist()]


GROUND = sample(["0000", "0000", "00.."], 10)
SCENE = sample([".122", "3122", "3311"], 200)


def test_whole_classes_are_pasted_with_their_pixels():
    """Two of three classes; by these weights always 1 and 3."""
    image, mask = class_mix(GROUND, SCENE, torch.tensor([1.0, 1.0, 1e-9, 1.0]), VOID)
    assert drawn(mask) == ["0100", "3100", "3311"]
    expected = np.where(np.array([list(r) for r in ["0100", "3100", "3311"]]) == "0", 10, 200)
    assert all(np.array_equal(image[k].numpy(), expected) for k in range(3))
    assert drawn(GROUND[1]) == ["0000", "0000", "00.."]  # as it was


def test_void_is_never_pasted():
    other = sample(["....", "....", "...."], 200)
    image, mask = class_mix(GROUND, other, torch.ones(4), VOID)
    assert torch.equal(mask, GROUND[1])
    assert torch.equal(image, GROUND[0])


def test_rare_classes_are_drawn_more_often():
    torch.manual_seed(0)
    weights = draw_weights(np.array([0.89, 0.1, 0.01, 0.0]))
    assert weights.tolist() == pytest.approx([1 / 0.89**0.5, 1 / 0.1**0.5, 10, 10])
    other = sample(["0011", "2200"], 1)
    base = sample(["3333", "3333"], 0)
    seen = [set(class_mix(base, other, weights, VOID)[1].unique().tolist()) - {3} for _ in range(200)]
    counts = [sum(k in got for got in seen) for k in range(3)]
    assert all(len(got) == 2 for got in seen)
    assert counts[2] > counts[1] > counts[0] > 0


def test_a_rectangle_is_pasted_at_its_place():
    torch.manual_seed(3)
    base, other = sample(["0" * 12] * 8, 10), sample(["1" * 12] * 8, 200)
    sizes = set()
    for _ in range(50):
        image, mask = cut_mix(base, other)
        assert torch.equal(image[0] == 200, mask == 1)
        rows, columns = (mask == 1).any(1).nonzero().flatten(), (mask == 1).any(0).nonzero().flatten()
        assert int((mask == 1).sum()) == len(rows) * len(columns)  # one box
        sizes.add(len(rows) * len(columns))
    assert min(sizes) < 10
    assert max(sizes) > 40
    assert drawn(base[1]) == ["0" * 12] * 8


@pytest.fixture(scope="module")
def data(rectangles, tmp_path_factory):
    return open_dataset(rectangles.write_dataset(tmp_path_factory.mktemp("mix") / "data"), "train", Labels.numbered(3))


def test_samples_are_decided_by_their_seed(data):
    mixed = TrainSet(data, (64, 96), AugmentOptions(classmix=0.5, cutmix=0.5), np.array([0.7, 0.2, 0.1]))
    one, other = (mixed[(2, 77)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert one[0].dtype == one[1].dtype == torch.uint8
    assert type(one[0]) is type(one[1]) is Tensor


def test_the_share_of_mixed_samples(data):
    """With nothing else varied, a sample is mixed where it is not its own image."""
    still = {"scale": (1.0, 1.0), "flip": 0.0, "jitter": 0.0}
    plain = TrainSet(data, (64, 96), AugmentOptions(**still))
    for kind in ("classmix", "cutmix"):
        some = TrainSet(data, (64, 96), AugmentOptions(**still, **{kind: 0.5}))
        changed = sum(not torch.equal(plain[(k, seed)][0], some[(k, seed)][0]) for k in range(8) for seed in range(8))
        assert 12 <= changed <= 44  # 28 expected: of 64 half, of which an eighth meets itself


def test_without_mixing_nothing_is_drawn(data):
    """Earlier trainings stay what they were: the same seed gives the same sample."""
    off, on = (TrainSet(data, (64, 96), AugmentOptions(classmix=share)) for share in (0.0, 1e-12))
    assert all(torch.equal(a, b) for a, b in zip(off[(1, 5)], on[(1, 5)], strict=True))


@pytest.mark.parametrize("shares", [(-0.1, 0), (0, 1.1), (0.6, 0.6), (float("nan"), 0)])
def test_wrong_shares(shares):
    with pytest.raises(
        InputError,
        match="`classmix` and `cutmix` are shares of all images|`(classmix|cutmix)`: expected (0 to 1|a finite number)",
    ):
        AugmentOptions(classmix=shares[0], cutmix=shares[1])
