"""The training module: normalization, optimizer, schedule, validation."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_edge.core.labels import Labels
from seg_edge.core.metrics import ConfusionMatrix
from seg_edge.core.spec import ModelSpec
from seg_edge.runtime.frame import kernels
from seg_edge.train.checkpoint import KEY
from seg_edge.train.lightning_module import SegmentationModule, draws_per_image
from seg_edge.train.losses.options import SiameseOptions
from seg_edge.train.losses.siamese import Siamese
from seg_edge.train.losses.terms import EVALUATED
from seg_edge.train.models.registry import build

CONFIG = {"widths": [8, 8, 16, 16, 24], "depths": [1, 1, 1, 1, 1], "decoder_depths": [1, 1, 1]}
SPEC = ModelSpec("unet-n", Labels.numbered(3), (64, 96), mean=(10, 20, 30), std=(2, 4, 5), provenance={"seed": 3})


@pytest.fixture
def module():
    torch.manual_seed(0)
    net = build("unet-n", 3, CONFIG)
    nn.init.normal_(net.head.weight)
    return SegmentationModule(net, "unet-n", SPEC, torch.ones(3), lr=0.01, weight_decay=0.05, warmup=0.1)


@pytest.fixture
def logged(module, monkeypatch):
    """What the module logs, by name; without a trainer around it."""
    values: dict[str, object] = {}
    monkeypatch.setattr(
        module,
        "log",
        lambda name, value, **_: values.__setitem__(name, float(value.detach() if isinstance(value, Tensor) else value)),
    )
    return values


def images(count=2, seed=0):
    return torch.randint(0, 256, (count, 3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_normalization_is_the_specs(module):
    module.eval()
    picture = images()
    by_hand = torch.stack([(picture[:, k].float() - SPEC.mean[k]) / SPEC.std[k] for k in range(3)], 1)
    with torch.inference_mode():
        torch.testing.assert_close(module(picture), module.net(by_hand), rtol=1e-4, atol=1e-4)


def test_only_the_network_is_saved(module):
    assert {key.split(".")[0] for key in module.state_dict()} == {"net"}


def test_training_step_is_the_loss_of_the_logits(module, logged):
    module.train()
    module.loss.step = 1
    masks = torch.randint(0, 3, (2, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    loss = module.training_step((images(), masks), 0)
    assert logged["train_loss"] == loss.item()
    torch.testing.assert_close(loss, module.loss(module(images()), masks))
    loss.backward()
    assert all(p.grad is not None for p in module.net.parameters())


@pytest.fixture
def schedule(module, monkeypatch):
    """Optimizer and schedule of a training of 100 steps."""
    monkeypatch.setattr(SegmentationModule, "trainer", SimpleNamespace(estimated_stepping_batches=100))
    made = module.configure_optimizers()
    assert made["lr_scheduler"]["interval"] == "step"
    return made["optimizer"], made["lr_scheduler"]["scheduler"]


def test_convolutions_alone_decay(module, schedule):
    decayed, plain = schedule[0].param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.05, 0)
    convolutions = [m for m in module.net.modules() if isinstance(m, nn.Conv2d)]
    assert {id(p) for p in decayed["params"]} == {id(m.weight) for m in convolutions}
    assert {id(p) for p in plain["params"]} == {id(p) for p in module.net.parameters()} - {
        id(m.weight) for m in convolutions
    }


def test_learning_rate_rises_and_falls(schedule):
    optimizer, scheduler = schedule
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates[:10], [0.01 * (k + 1) / 10 for k in range(10)])
    np.testing.assert_allclose(rates[10:], [0.01 * (1 - k / 90) ** 0.9 for k in range(90)])
    assert optimizer.param_groups[0]["lr"] == 0
    assert optimizer.param_groups[1]["lr"] == 0


def test_short_trainings_have_a_schedule_too(module, monkeypatch):
    monkeypatch.setattr(SegmentationModule, "trainer", SimpleNamespace(estimated_stepping_batches=1))
    assert module.configure_optimizers()["optimizer"].param_groups[0]["lr"] == 0.01


def test_validation_scores_full_resolution(module, logged):
    """Two batches, masks of several sizes with void: the metrics are those of all pixels together."""
    module.eval()
    masks = [torch.randint(0, 4, size, dtype=torch.uint8) for size in ((64, 96), (100, 150), (33, 47))]
    for mask in masks:
        mask[mask == 3] = SPEC.labels.ignore_index
    expected = ConfusionMatrix(3)
    with torch.inference_mode():
        for picture, mask in zip(images(3), masks, strict=True):
            full = F.interpolate(module(picture[None]), mask.shape, mode="bilinear")
            expected.update(full[0].argmax(0).numpy(), mask.numpy())
        for _ in range(2):  # an epoch does not remember the one before
            module.on_validation_epoch_start()
            module.validation_step((images(3)[:2], masks[:2]), 0)
            module.validation_step((images(3)[2:], masks[2:]), 1)
            module.on_validation_epoch_end()
            np.testing.assert_array_equal(module.confusion.counts, expected.counts)
    assert logged["val_miou"] == pytest.approx(expected.miou)
    assert logged["val_pixel_accuracy"] == pytest.approx(expected.pixel_accuracy)
    assert logged["val_loss"] > 0
    assert module.metrics == {"miou": expected.miou, "pixel_accuracy": expected.pixel_accuracy}


def test_validation_without_labelled_pixels(module, logged):
    module.eval()
    module.on_validation_epoch_start()
    with torch.inference_mode():
        module.validation_step((images(1), [torch.full((64, 96), 255, dtype=torch.uint8)]), 0)
    module.on_validation_epoch_end()
    assert module.metrics == {"miou": None, "pixel_accuracy": None}
    assert (logged["val_loss"], logged["val_miou"]) == (0, 0)


def test_who_draws_for_each_image(module):
    """Dropout does, and a second appearance; the grid of the loss is drawn for the whole batch."""
    assert not draws_per_image(module)
    module.net.extra = nn.Dropout2d(0.0)
    assert not draws_per_image(module)
    module.net.extra = nn.Dropout2d(0.1)
    assert draws_per_image(module)
    module.net.extra = nn.Identity()
    module.siamese = Siamese(SiameseOptions(), module.net, (64, 96))
    assert draws_per_image(module)


def test_checkpoint_says_what_the_network_is(module):
    module.metrics = {"miou": 0.5, "pixel_accuracy": 0.75}
    checkpoint: dict[str, object] = {}
    module.on_save_checkpoint(checkpoint)
    about = checkpoint[KEY]
    assert about["model"] == "unet-n"
    assert about["config"] == CONFIG
    spec = ModelSpec.from_dict(about["spec"])
    assert spec.provenance == {"seed": 3, "epoch": 1, "val": {"miou": 0.5, "pixel_accuracy": 0.75}}
    assert spec.with_(provenance=SPEC.provenance) == SPEC


def test_validation_of_many_classes_makes_no_logits_of_the_labels_size(monkeypatch):
    """133 classes at 960x1280 are 654 MB of logits an image; the kernel and the loss look at rows and a subgrid."""
    many = ModelSpec("many", Labels.numbered(133), (64, 96))
    scores = torch.randn(1, 133, 16, 24, generator=torch.Generator().manual_seed(1))
    wide = SegmentationModule(
        torch.nn.Identity(), "unet-n", many, torch.ones(133), lr=0.01, weight_decay=0, warmup=0.1
    ).eval()
    monkeypatch.setattr(wide, "forward", lambda _images: scores)
    largest = 0
    real = torch.Tensor.__matmul__

    def product(a, b):
        nonlocal largest
        made = real(a, b)
        largest = max(largest, made.numel())
        return made

    monkeypatch.setattr(torch.Tensor, "__matmul__", product)
    monkeypatch.setattr(F, "interpolate", None)
    mask = torch.randint(0, 133, (960, 1280), dtype=torch.uint8)
    wide.on_validation_epoch_start()
    with torch.inference_mode():
        wide.validation_step((torch.zeros(1, 3, 64, 96, dtype=torch.uint8), [mask]), 0)
    guess = kernels.upsample_argmax(scores[0].numpy(), (960, 1280))
    expected = ConfusionMatrix(133)
    expected.update(guess, mask.numpy())
    np.testing.assert_array_equal(wide.confusion.counts, expected.counts)
    assert 0 < largest <= EVALUATED
