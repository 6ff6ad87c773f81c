"""The loss against torch's own interpolation and plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.train.losses import terms as losses
from seg_edge.train.losses.terms import TERMS, Pixels, SegmentationLoss, class_weights, parse_loss, sampling_matrix

VOID = 255


def naive(logits: Tensor, target: Tensor, weights: Tensor, share: float) -> Tensor:
    """Cross entropy and Dice at full resolution, class by class, as the papers write them."""
    full = F.interpolate(logits, size=target.shape[-2:], mode="bilinear", align_corners=False)
    loss = F.cross_entropy(full, target.long(), weights, ignore_index=VOID)
    p, valid, scores = full.softmax(1), target != VOID, []
    for k in range(logits.shape[1]):
        true = (target == k)[valid].float()
        if true.sum():
            guess = p[:, k][valid]
            scores.append(2 * (guess * true).sum() / (guess.sum() + true.sum()))
    return loss + share * (1 - torch.stack(scores).mean())


def scene(classes: int = 4, size_hw: tuple[int, int] = (24, 36), stride: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    height, width = size_hw
    logits = 2 * torch.randn(2, classes, height // stride, width // stride, generator=generator)
    target = torch.randint(0, classes, (2, height, width), generator=generator).to(torch.uint8)
    target[:, :5, :7] = VOID
    return logits, target


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1, 3), (1, 9), (2, 7), (8, 32), (15, 60), (16, 61), (30, 119), (9, 9), (32, 8), (7, 5)]
)
@pytest.mark.parametrize(("first", "step"), [(0, 1), (0, 2), (1, 2), (2, 3)])
def test_sampling_matrix_is_bilinear_interpolation(inputs, outputs, first, step):
    values = torch.randn(1, 1, inputs, generator=torch.Generator().manual_seed(inputs))
    expected = F.interpolate(values, size=outputs, mode="linear", align_corners=False)[0, 0, first::step]
    matrix = sampling_matrix(inputs, outputs, first, step)
    assert matrix.shape == (len(range(first, outputs, step)), inputs)
    torch.testing.assert_close(matrix @ values[0, 0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(matrix.sum(1), torch.ones(len(matrix)))


@pytest.mark.parametrize(
    ("low_hw", "full_hw"), [((8, 12), (32, 48)), ((5, 7), (21, 26)), ((16, 16), (16, 16)), ((1, 3), (9, 8))]
)
def test_two_matrices_are_interpolate(low_hw, full_hw):
    values = torch.randn(2, 3, *low_hw, generator=torch.Generator().manual_seed(1))
    rows, columns = (sampling_matrix(low, full, 0, 1) for low, full in zip(low_hw, full_hw, strict=True))
    expected = F.interpolate(values, size=full_hw, mode="bilinear", align_corners=False)
    torch.testing.assert_close(rows @ (values @ columns.T), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("size_hw", "stride"), [((24, 36), 4), ((24, 36), 1), ((10, 14), 2)])
def test_loss_at_every_pixel_is_the_naive_one(share, size_hw, stride):
    logits, target = scene(size_hw=size_hw, stride=stride)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    loss = SegmentationLoss(weights, VOID, f"ce+{share}*dice" if share else "ce", step=1)
    torch.testing.assert_close(loss(logits, target), naive(logits, target, weights, share), rtol=1e-5, atol=1e-5)


def test_gradient_is_the_naive_one():
    logits, target = scene()
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    mine, other = (logits.clone().requires_grad_() for _ in range(2))
    SegmentationLoss(weights, VOID, step=1)(mine, target).backward()
    naive(other, target, weights, 0.5).backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_absent_classes_count_nowhere_in_dice():
    logits, target = scene()
    target[target == 3] = 0
    weights = torch.ones(4)
    loss = SegmentationLoss(weights, VOID, step=1)
    torch.testing.assert_close(loss(logits, target), naive(logits, target, weights, 0.5), rtol=1e-5, atol=1e-5)


def test_perfect_prediction_costs_nothing():
    target = scene()[1]
    logits = 60.0 * F.one_hot(torch.where(target == VOID, 0, target).long(), 4).permute(0, 3, 1, 2)
    assert SegmentationLoss(torch.ones(4), VOID)(logits, target) == pytest.approx(0, abs=1e-5)


def test_step_2_takes_every_second_pixel():
    """At logits of full resolution the subgrid is nothing but slicing."""
    logits, target = scene(stride=1)
    loss = SegmentationLoss(torch.ones(4), VOID, step=2).eval()
    expected = naive(logits[..., ::2, ::2], target[..., ::2, ::2], torch.ones(4), 0.5)
    torch.testing.assert_close(loss(logits, target), expected, rtol=1e-5, atol=1e-5)


def test_every_pixel_counts_in_the_long_run_of_training():
    """Only one pixel of each 2x2 block is labelled: evaluation with its fixed grid sees one of the four, training all."""
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 8, 8)
    loss = SegmentationLoss(torch.ones(3), VOID)
    for y in range(2):
        for x in range(2):
            target = torch.full((1, 8, 8), VOID, dtype=torch.uint8)
            target[:, y::2, x::2] = 1
            assert (loss.eval()(logits, target) > 0) == ((y, x) == (0, 0))
            seen = [float(loss.train()(logits, target)) > 0 for _ in range(64)]
            assert 4 <= sum(seen) <= 32  # 16 expected


def test_void_pixels_have_no_gradient():
    logits, target = scene(stride=1)
    logits.requires_grad_()
    SegmentationLoss(torch.ones(4), VOID, step=1)(logits, target).backward()
    size = logits.grad.abs().sum(1)
    assert size[target == VOID].max() == 0
    assert size[target != VOID].min() > 0


def test_all_void_batch_is_zero_and_trains_on():
    logits = scene()[0].requires_grad_()
    loss = SegmentationLoss(torch.ones(4), VOID)(logits, torch.full((2, 24, 36), VOID, dtype=torch.uint8))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() == 0


def test_computed_in_fp32_under_autocast():
    logits, target = scene()
    loss = SegmentationLoss(torch.ones(4), VOID, step=1)
    half = logits.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, naive(half.float(), target, torch.ones(4), 0.5), rtol=1e-5, atol=1e-5)


def test_weights_of_the_loss_are_not_in_checkpoints():
    assert not SegmentationLoss(torch.ones(4), VOID).state_dict()


def test_class_weights():
    share = np.array([0.7, 0.25, 0.05, 0.0])
    weights = class_weights(share).double()
    plain = [1 / math.log(1.10 + p) for p in share]
    scale = sum(w * p for w, p in zip(plain, share, strict=True))
    torch.testing.assert_close(weights, torch.tensor([w / scale for w in plain], dtype=torch.float64), rtol=1e-6, atol=0)
    assert float((weights * torch.tensor(share)).sum()) == pytest.approx(1)
    assert (weights.diff() > 0).all()  # the rarer, the heavier


def test_class_weights_by_strength():
    share = np.array([0.7, 0.25, 0.05])
    torch.testing.assert_close(class_weights(share, 0), torch.ones(3))
    root = torch.tensor([math.log(1.10 + p) ** -0.5 for p in share])
    torch.testing.assert_close(class_weights(share, 0.5), root / (root * torch.tensor(share)).sum(), check_dtype=False)


def test_class_weights_without_any_labelled_pixel():
    torch.testing.assert_close(class_weights(np.zeros(3)), torch.ones(3))


# The table of terms


def pixels(logits: Tensor, target: Tensor, weights: Tensor | None = None) -> Pixels:
    count = logits.shape[1]
    return Pixels(F.log_softmax(logits, 1), target.long(), torch.ones(count) if weights is None else weights, VOID)


def dense(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (2, 3, 8, 10) and labels of that size, some void."""
    return scene(3, (8, 10), 1, seed)


@pytest.mark.parametrize("name", list(TERMS))
def test_terms_fall_as_predictions_get_better(name):
    """From wrong by way of undecided to right, where they end at nothing; always with a gradient to get there."""
    target = torch.zeros(1, 12, 12, dtype=torch.long)
    target[:, 3:9, 4:10] = 1
    target[:, :2, :2] = VOID
    right = 20.0 * F.one_hot(torch.where(target == VOID, 0, target), 3).permute(0, 3, 1, 2)
    costs = []
    for share in (-1.0, 0.05, 1.0):
        logits = (share * right).requires_grad_()
        cost = TERMS[name](pixels(logits, target))
        cost.backward()
        assert logits.grad.isfinite().all()
        assert logits.grad[..., :2, :2].abs().max() == 0  # void
        costs.append(cost.item())
    assert costs[1] > costs[2]
    if name != "boundary":  # the wrong side of a boundary has it at the same place
        assert costs[0] > costs[1]
    assert costs[2] == pytest.approx(0, abs=1e-3)


def test_focal_is_the_papers():
    logits, target = dense()
    weights = torch.tensor([0.5, 1.0, 2.0])
    p, total, norm = logits.softmax(1), 0.0, 0.0
    for n, y, x in (target != VOID).nonzero().tolist():
        k = int(target[n, y, x])
        total -= float(weights[k] * (1 - p[n, k, y, x]) ** 2 * p[n, k, y, x].log())
        norm += float(weights[k])
    assert TERMS["focal"](pixels(logits, target, weights)).item() == pytest.approx(total / norm, rel=1e-4)


def test_ohem_takes_the_hard_pixels():
    """Two hard pixels among 48: only they count; among easy ones alone, the hardest sixteenth."""
    logits = torch.zeros(1, 2, 6, 8)
    logits[:, 0] = 5.0
    target = torch.zeros(1, 6, 8, dtype=torch.long)
    target[0, 0, :2] = 1
    costs = F.cross_entropy(logits, target, reduction="none")
    several = torch.cat((logits, logits), 3), torch.cat((target, target), 2)
    assert TERMS["ohem"](pixels(*several)).item() == pytest.approx(
        costs[0, 0, 0].item() * 4 / 6 + costs[0, 1, 1].item() * 2 / 6
    )
    easy = torch.zeros_like(target)
    assert TERMS["ohem"](pixels(logits, easy)).item() == pytest.approx(costs[0, 1, 1].item())


def test_lovasz_of_hard_predictions_is_the_jaccard_loss():
    """The extension equals the set function on its corners (Berman et al., section 2): 1 - IoU, mean over classes."""
    generator = torch.Generator().manual_seed(3)
    guess, target = (torch.randint(0, 3, (1, 9, 9), generator=generator) for _ in range(2))
    target[0, 0] = VOID
    logits = 200.0 * F.one_hot(guess, 3).permute(0, 3, 1, 2).float()
    ious = []
    for k in range(3):
        a, b = ((x == k) & (target != VOID) for x in (guess, target))
        ious.append(((a & b).sum() / (a | b).sum()).item())
    assert TERMS["lovasz"](pixels(logits, target)).item() == pytest.approx(1 - sum(ious) / 3, abs=1e-5)


def test_lovasz_is_the_papers_algorithm_and_so_is_its_gradient():
    """Algorithm 1 of Berman et al., pixel by pixel, differentiated by hand; a class that does not occur counts nowhere."""
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 4, 6, 7, generator=generator, requires_grad=True)
    target = torch.randint(0, 3, (2, 6, 7), generator=generator)
    target[1, :2] = VOID
    p = logits.softmax(1)
    loss = TERMS["lovasz"](Pixels(p.log(), target, torch.ones(4), VOID))
    (got,) = torch.autograd.grad(loss, logits, retain_graph=True)
    gradient, total = torch.zeros_like(p), 0.0
    for k in range(3):
        places = [place for place in np.ndindex(*target.shape) if target[place] != VOID]
        errors = {(n, y, x): abs(float(target[n, y, x] == k) - p[n, k, y, x].item()) for n, y, x in places}
        intersection = union = sum(int(target[place] == k) for place in places)
        before = 0.0
        for n, y, x in sorted(places, key=lambda place: -errors[place]):
            true = bool(target[n, y, x] == k)
            intersection, union = intersection - true, union + (not true)
            slope, before = 1 - intersection / union - before, 1 - intersection / union
            total += errors[n, y, x] * slope / 3
            gradient[n, k, y, x] = (-slope if true else slope) / 3
    assert loss.item() == pytest.approx(total, abs=1e-6)
    (wanted,) = torch.autograd.grad((p * gradient).sum(), logits)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-7)


def test_lovasz_leaves_out_what_is_no_error_and_nothing_else(monkeypatch):
    generator = torch.Generator().manual_seed(6)
    target = torch.randint(0, 3, (1, 40, 40), generator=generator)
    logits = 6 * F.one_hot(target, 3).permute(0, 3, 1, 2) + 3 * torch.randn(1, 3, 40, 40, generator=generator)
    found = []
    for least in (-1.0, losses.NO_ERROR):
        monkeypatch.setattr(losses, "NO_ERROR", least)
        log_p = logits.log_softmax(1).requires_grad_()
        loss = TERMS["lovasz"](Pixels(log_p, target, torch.ones(3), VOID))
        found.append((loss.item(), *torch.autograd.grad(loss, log_p)))
    (exact, wanted), (short, got) = found
    assert exact - 1e-3 < short < exact
    errors = (F.one_hot(target, 3).permute(0, 3, 1, 2) - logits.softmax(1)).abs()
    assert 0.1 < (errors > 1e-3).float().mean() < 0.9
    torch.testing.assert_close(got, torch.where(errors > 1e-3, wanted, 0.0), rtol=1e-4, atol=1e-9)
    # All are right, and very sure of it: no error at all, and no NaN.
    log_p = (40.0 * F.one_hot(target, 3).permute(0, 3, 1, 2)).log_softmax(1).requires_grad_()
    loss = TERMS["lovasz"](Pixels(log_p, target, torch.ones(3), VOID))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, log_p)[0].any()


def test_boundary_looks_at_boundaries_alone():
    """A square that is one pixel off is found within the tolerance; one that is four off is not."""

    def square(x: int) -> Tensor:
        mask = torch.zeros(1, 20, 20, dtype=torch.long)
        mask[:, 6:14, x : x + 8] = 1
        return mask

    costs = [
        TERMS["boundary"](pixels(50.0 * F.one_hot(square(x), 2).permute(0, 3, 1, 2).float(), square(4))).item()
        for x in (4, 5, 11)
    ]
    assert costs[:2] == pytest.approx([0, 0], abs=1e-4)
    assert costs[2] > 0.3
    flat = torch.zeros(1, 4, 4, dtype=torch.long)
    assert TERMS["boundary"](pixels(torch.randn(1, 2, 4, 4), flat)).item() == 0


def test_deterministic_cross_entropy_is_the_same(monkeypatch):
    """The way that CUDA takes in deterministic mode."""
    logits, target = dense()
    weights = torch.tensor([0.5, 1.0, 2.0])
    expected = TERMS["ce"](pixels(logits, target, weights))
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda _self: True))
    torch.testing.assert_close(TERMS["ce"](pixels(logits, target, weights)), expected)


def test_sums():
    logits, target = scene()
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    single = {name: SegmentationLoss(weights, VOID, name, step=1)(logits, target) for name in ("ohem", "lovasz", "ce")}
    total = SegmentationLoss(weights, VOID, "ohem + 0.5*lovasz+2*ce", step=1)(logits, target)
    torch.testing.assert_close(total, single["ohem"] + 0.5 * single["lovasz"] + 2 * single["ce"])
    assert parse_loss("ce+0.5*dice") == {"ce": 1.0, "dice": 0.5}


@pytest.mark.parametrize("text", ["", "ce+", "-1*ce", "0*ce", "x*ce", "ce+ce", "ce*2", "inf*ce"])
def test_what_is_no_sum(text):
    with pytest.raises((InputError, UnknownNameError), match=r"`loss`: expected different terms|unknown loss '2'"):
        parse_loss(text)


def test_unknown_term():
    with pytest.raises(UnknownNameError, match="unknown loss 'lovas': did you mean 'lovasz'"):
        parse_loss("ce+lovas")
