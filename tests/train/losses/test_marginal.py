"""The marginal loss against plain formulas; training with labels that are sets."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.datasets.opening import open_dataset
from seg_edge.train import AugmentOptions, TrainConfig, fit
from seg_edge.train.losses.marginal import relations, set_dice, with_sets
from seg_edge.train.losses.terms import SegmentationLoss

STILL = AugmentOptions(scale=(1, 1), flip=0, jitter=0)
SETS = ((0, 2), (0, 1, 3))
VOID = 255


@pytest.fixture
def logits():
    return torch.randn(1, 4, 3, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)


def test_relations():
    about = relations(3, ((0, 2), (0, 1)))
    # Rows: is it in background, 1, 2, {0, 2}, {0, 1}? Columns: the pixel's label, in the same order.
    within = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 1, 1, 0], [1, 1, 0, 0, 1]]
    known = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1], [1, 1, 1, 1, 0], [1, 1, 1, 0, 1]]
    assert about.within.int().tolist() == within
    assert about.known.int().tolist() == known


def test_a_sets_probability_is_the_sum(logits):
    found = with_sets(F.log_softmax(logits, 1), SETS).exp()
    p = logits.softmax(1)
    torch.testing.assert_close(found[:, :4], p)
    torch.testing.assert_close(found[:, 4], p[:, 0] + p[:, 2])
    torch.testing.assert_close(found[:, 5], p[:, 0] + p[:, 1] + p[:, 3])


def test_cross_entropy_is_equation_4(logits):
    """Pixel by pixel: the label's own probability, or the sum over its set; void counts nowhere."""
    target = torch.tensor([[1, 4, 5, VOID], [2, 4, 0, 3], [5, 5, 4, 1]], dtype=torch.uint8)
    p, total, count = logits.softmax(1)[0], 0.0, 0
    for y in range(3):
        for x in range(4):
            label = int(target[y, x])
            if label != VOID:
                total -= p[list(SETS[label - 4]) if label >= 4 else [label], y, x].sum().log()
                count += 1
    loss = SegmentationLoss(torch.ones(6), VOID, "ce", step=1, sets=SETS)(logits, target[None])
    torch.testing.assert_close(loss, total / count)


def test_gradient_never_pushes_a_class_that_the_pixel_may_have(logits):
    """All pixels are "0 or 2": what leaves 0 and 2 shrinks, and the ratio between 0 and 2 is nobody's concern."""
    target = torch.full((1, 3, 4), 4, dtype=torch.uint8)
    SegmentationLoss(torch.ones(6), VOID, "ce", step=1, sets=SETS)(logits, target).backward()
    grad = logits.grad
    assert (grad[:, [0, 2]] < 0).all()
    assert (grad[:, [1, 3]] > 0).all()


def test_dice_of_classes_alone_is_the_usual_one(logits):
    target = torch.tensor([[[1, 0, 3, 3], [2, 1, 0, 3], [0, 0, 1, 1]]])
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[0, 0, 0] = False
    p = logits.softmax(1)
    mine = set_dice(p, target, valid, relations(4, ()))
    usual = SegmentationLoss(torch.ones(4), VOID, "dice", step=1)(logits, torch.where(valid, target, VOID).to(torch.uint8))
    torch.testing.assert_close(mine, usual)


def test_dice_leaves_out_what_is_unknown():
    """Class 1 at a pixel that may be it costs nothing, at one that is 0 or 2 it does."""
    target = torch.tensor([[[1, 4, 5, 5]]], dtype=torch.uint8)

    def cost(*classes: int) -> float:
        logits = 30.0 * F.one_hot(torch.tensor([[classes]]), 4).movedim(-1, 1).float()
        return float(SegmentationLoss(torch.ones(6), VOID, "dice", step=1, sets=SETS)(logits, target))

    assert cost(1, 0, 0, 0) == pytest.approx(0, abs=1e-5)
    assert cost(1, 2, 1, 3) == pytest.approx(0, abs=1e-5)
    assert cost(1, 1, 0, 0) > 0.05
    assert cost(1, 0, 2, 0) > 0.05


@pytest.mark.parametrize("name", ["ce", "ohem", "focal", "dice", "lovasz"])
def test_terms_end_at_nothing_where_every_pixel_is_what_it_may_be(name):
    target = torch.tensor([[1, 1, 4, 4], [5, 5, 2, VOID]], dtype=torch.uint8)[None].repeat_interleave(4, 2)
    right = torch.where(target == 4, 2, torch.where(target == 5, 3, torch.where(target == VOID, 0, target))).long()
    loss = SegmentationLoss(torch.ones(6), VOID, name, step=1, sets=SETS)
    costs = []
    for scale in (-1.0, 0.02, 1.0):
        logits = (scale * 30 * F.one_hot(right, 4).movedim(-1, 1).float()).requires_grad_()
        cost = loss(logits, target)
        cost.backward()
        assert logits.grad.isfinite().all()
        costs.append(cost.item())
    assert costs[0] > costs[1] > costs[2]
    assert costs[2] == pytest.approx(0, abs=1e-3)


def test_boundaries_of_what_is_unknown():
    with pytest.raises(InputError, match="`loss`: boundary needs datasets that label every class"):
        SegmentationLoss(torch.ones(6), VOID, "ce+boundary", sets=SETS)
    SegmentationLoss(torch.ones(6), VOID, "ce+boundary")


# Trainings


@pytest.fixture(scope="module")
def single(rectangles, tmp_path_factory):
    """The rectangles in two single-class sets: 2 pictures of class 1, 10 of class 2; whole ones for val. Read only."""
    root = tmp_path_factory.mktemp("single")
    rng = np.random.default_rng(0)

    def write(folder: str, kind: str, name: str, frame: np.ndarray, mask: np.ndarray) -> None:
        for part, content in (("images", frame), (kind, mask)):
            path = root / folder / part.split("/")[0] / name.split("_")[0]
            path.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path / f"{name}.png"), content)

    for k, folder, count in ((1, "green", 2), (2, "red", 10)):
        for i in range(count):
            frame, mask = rectangles.pair(rng, (64, 96))
            write(folder, "masks", f"train_{k}{i}", frame, np.where(mask == k, 255, 0).astype(np.uint8))
    for i in range(2):
        write("", "labels", f"val_{i}", *rectangles.pair(rng, (64, 96)))
    return root


def test_marginal_learns_what_the_naive_merge_unlearns(single, config, tmp_path):
    found = {
        side: fit(
            *config(tmp_path / side, data=single, unlabelled=side, epochs=8, lr=6e-3, ema=0.9, augment=STILL)
        )["best"]["miou"]
        for side in ("marginal", "background")
    }  # fmt: skip
    assert found["marginal"] > 0.5
    assert found["marginal"] > found["background"] + 0.1


def test_partial_labels_in_both_splits_and_mixed_images(single, config, tmp_path):
    """Validation on single-class folders: their unlabelled rest is right with whatever it may be."""
    for folder in ("green", "red"):
        for kind in ("images", "masks"):
            target = tmp_path / "d" / folder / kind
            target.mkdir(parents=True)
            for path in (single / folder / kind / "train").iterdir():
                (target / path.name).write_bytes(path.read_bytes())
    assert open_dataset(tmp_path / "d", "val").sets == ((0, 2), (0, 1))
    augment = AugmentOptions(classmix=0.5, cutmix=0.5)
    for side in ("marginal", "background"):
        report = fit(*config(tmp_path / side, data=tmp_path / "d", unlabelled=side, epochs=1, augment=augment))
        assert 0 <= report["best"]["miou"] <= 1
        assert report["config"]["unlabelled"] == side


def test_refusals(single, config, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown unlabelled 'unknown'"):
        config(tmp_path / "o", unlabelled="unknown")
    with pytest.raises(InputError, match="`loss`: boundary needs datasets"):
        fit(*config(tmp_path / "o", data=single, loss="ce+boundary"))
    assert not (tmp_path / "o").exists()
    assert TrainConfig().unlabelled == "marginal"
