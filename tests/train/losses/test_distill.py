"""Distillation: its two terms, the teacher that nothing changes, training with it."""

from __future__ import annotations

import copy
import csv
import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seg_edge.core.errors import DataError, InputError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.datasets.opening import open_dataset
from seg_edge.train import DistillOptions, fit
from seg_edge.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from seg_edge.train.checkpoint.teacher import open_teacher, provenance
from seg_edge.train.lightning_module import SegmentationModule
from seg_edge.train.losses.distill import Distillation, feature_layers, hint_loss, pixelwise_kl, scaled_size
from seg_edge.train.models.registry import build

CONFIG = {"widths": [8, 8, 16, 16, 24], "depths": [1, 1, 1, 1, 2], "decoder_depths": [1, 2, 1]}
HW = (64, 96)


@pytest.fixture(scope="module")
def teacher_file(nets, trained, tmp_path_factory):
    """A network of the family with other widths and mean, for the rectangles' classes."""
    spec = load_checkpoint(trained.out / "best.pt").spec.with_(mean=(100.0, 90.0, 80.0))
    config = CONFIG | {"widths": [8, 16, 16, 24, 24]}
    path = tmp_path_factory.mktemp("teacher") / "teacher.pt"
    save_checkpoint(path, Checkpoint(nets.trained(build("unet-n", 3, config), seed=9), spec, 3, "unet-n", config))
    return path


@pytest.fixture
def student():
    torch.manual_seed(0)
    net = build("unet-n", 3, CONFIG)
    nn.init.normal_(net.head.weight)
    return net


def images(count=2, seed=0):
    return torch.randint(0, 256, (count, 3, *HW), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


# The terms


def test_kl_is_the_papers():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 4, 3, 5, generator=generator) for _ in range(2))
    total = torch.zeros(())
    for n in range(2):
        for y in range(3):
            for x in range(5):
                p, q = ((z[n, :, y, x] / 3).softmax(0) for z in (student, teacher))
                total += (q * (q / p).log()).sum()
    torch.testing.assert_close(pixelwise_kl(student, teacher, 3.0), 9 * total / 30)


def test_kl_of_equals_is_nothing_and_shifts_do_not_matter():
    logits = torch.randn(1, 4, 6, 6)
    assert pixelwise_kl(logits, logits + 5, 2.0).item() == pytest.approx(0, abs=1e-5)
    assert pixelwise_kl(logits, -logits, 2.0) > 0.1


def test_gradients_keep_their_size_across_temperatures():
    """Equation 4: at high temperatures the gradient is (z - v) / N, whatever T, for logits of zero mean."""
    student = torch.tensor([0.3, -0.1, -0.2]).view(1, 3, 1, 1).requires_grad_()
    teacher = torch.tensor([-0.4, 0.3, 0.1]).view(1, 3, 1, 1)
    pixelwise_kl(student, teacher, 100.0).backward()
    torch.testing.assert_close(student.grad, (student.detach() - teacher) / 3, rtol=0.02, atol=1e-3)


def test_a_teacher_of_another_resolution_is_resized():
    teacher = torch.randn(1, 3, 4, 6)
    large = F.interpolate(teacher, scale_factor=2.0, mode="bilinear")
    assert pixelwise_kl(large, teacher, 1.0).item() == pytest.approx(0, abs=1e-6)
    assert pixelwise_kl(teacher, large, 1.0).item() == pytest.approx(0, abs=1e-6)


def test_scaled_sizes_are_what_networks_take():
    assert scaled_size((352, 480), 1.25) == (448, 608)
    assert scaled_size((352, 480), 1) == (352, 480)
    assert scaled_size((50, 40), 1) == (50, 40)  # its own size is the student's, whatever that is
    assert scaled_size((64, 96), 0.25) == (32, 32)


def test_hints_are_in_units_of_the_teacher():
    hint = torch.randn(1, 5, 4, 4)
    assert hint_loss(hint, hint) == 0
    assert hint_loss(torch.zeros_like(hint), hint).item() == pytest.approx(1)
    assert hint_loss(10 * hint * 1.5, 10 * hint).item() == pytest.approx(0.25)
    assert hint_loss(hint[..., ::2, ::2], hint) > 0


def test_features_are_read_where_each_stride_ends(student):
    """The decoder's last layers, and the deepest stage of the encoder; not the classifier."""
    assert feature_layers(student, HW) == {
        4: ("decoder.2.0.2", 8), 8: ("decoder.1.1.2", 16), 16: ("decoder.0.0.2", 16), 32: ("encoder.4.1.2", 24),
    }  # fmt: skip
    assert student.training


def test_a_layer_that_runs_at_several_sizes_is_no_feature():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.relu = nn.Conv2d(3, 4, 3, 4, 1), nn.Conv2d(4, 6, 3, 2, 1), nn.ReLU()
            self.head = nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.relu(self.b(self.relu(self.a(x)))))

    assert feature_layers(Shared(), HW) == {4: ("a", 4), 8: ("b", 6)}


def make(teacher_file, student, **weights):
    teacher = open_teacher(teacher_file, Labels.numbered(3))
    return Distillation(DistillOptions(teacher=teacher_file, **weights), teacher.model, teacher.spec, student, HW)


def test_terms_are_those_of_the_two_networks(teacher_file, student):
    """By hand: the teacher sees the image with its own normalization, the adapters the student's features."""
    teacher = load_checkpoint(teacher_file)
    distillation = make(teacher_file, student, temperature=3.0, kd_weight=0.7, feature_weight=0.5)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (teacher.spec.mean, teacher.spec.std))
    picture = images()
    x = torch.randn(2, 3, *HW)
    with distillation.watching(student) as features:
        logits = student(x)
    terms = distillation(picture, logits, features)
    with torch.no_grad():
        wanted = teacher.model((picture - mean) / std)
    torch.testing.assert_close(terms["kd"], 0.7 * pixelwise_kl(logits, wanted, 3.0), rtol=1e-4, atol=1e-5)
    assert distillation.pairs == [
        ("decoder.2.0.2", "decoder.2.0.2"), ("decoder.1.1.2", "decoder.1.1.2"), ("decoder.0.0.2", "decoder.0.0.2"),
        ("encoder.4.1.2", "encoder.4.1.2"),
    ]  # fmt: skip
    assert [(a.in_channels, a.out_channels) for a in distillation.adapters] == [(8, 16), (16, 16), (16, 24), (24, 24)]
    terms["features"].backward()
    assert all(a.weight.grad.abs().sum() > 0 for a in distillation.adapters)
    assert student.encoder[0][0][0].weight.grad.abs().sum() > 0
    assert student.head.weight.grad is None
    assert not any(m._forward_hooks for m in student.modules())


def test_a_teacher_sees_images_enlarged(teacher_file, student):
    distillation = make(teacher_file, student, teacher_scale=1.6)
    teacher = load_checkpoint(teacher_file)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (teacher.spec.mean, teacher.spec.std))
    picture = images()
    with distillation.watching(student) as features:
        logits = student(torch.randn(2, 3, *HW))
    terms = distillation(picture, logits, features)
    enlarged = F.interpolate(picture.float(), (96, 160), mode="bilinear")  # of 102 x 154
    with torch.no_grad():
        wanted = teacher.model((enlarged - mean) / std)
    torch.testing.assert_close(terms["kd"], pixelwise_kl(logits, wanted, 2.0), rtol=1e-4, atol=1e-5)
    assert [mine for mine, _ in distillation.pairs] == [mine for mine, _ in make(teacher_file, student).pairs]
    assert terms["features"] > 0


def test_a_term_without_weight_is_left_out(teacher_file, student):
    for weights, names in (({"kd_weight": 0.0}, ["features"]), ({"feature_weight": 0.0}, ["kd"])):
        distillation = make(teacher_file, student, **weights)
        with distillation.watching(student) as features:
            logits = student(torch.randn(1, 3, *HW))
        assert list(distillation(images(1), logits, features)) == names
    assert not list(distillation.parameters())


def test_the_teacher_is_nobodys_submodule(teacher_file, student):
    distillation = make(teacher_file, student)
    assert {name.split(".")[0] for name, _ in distillation.named_parameters()} == {"adapters"}
    assert {name.split(".")[0] for name in distillation.state_dict()} == {"adapters"}
    assert copy.deepcopy(distillation)._teacher is distillation._teacher


# Training with it


def test_training_leaves_the_teacher_alone(config, teacher_file, tmp_path, monkeypatch):
    """Weights, statistics, mode; also while the student trains."""
    seen = []
    plain = SegmentationModule.training_step

    def step(self, batch, index):
        loss = plain(self, batch, index)
        seen.append(self.distillation._teacher.on(self.device))
        assert not seen[-1].training
        assert not any(p.requires_grad for p in seen[-1].parameters())
        return loss

    monkeypatch.setattr(SegmentationModule, "training_step", step)
    before = teacher_file.read_bytes()
    report = fit(*config(tmp_path / "o", distill=DistillOptions(teacher=teacher_file)))
    saved = load_checkpoint(teacher_file).model.state_dict()
    assert len(seen) == 4
    assert all(torch.equal(value, saved[key]) for key, value in seen[-1].state_dict().items())
    assert teacher_file.read_bytes() == before
    assert report["config"]["distill"]["teacher"] == str(teacher_file)


def test_terms_are_logged_and_the_adapters_dropped(config, teacher_file, trained, tmp_path):
    fit(*config(tmp_path / "o", distill=DistillOptions(teacher=teacher_file)))
    with open(tmp_path / "o" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-3:] == ["train_features", "train_kd", "train_supervised"]
    for row in rows:
        parts = [float(row[f"train_{name}"]) for name in ("features", "kd", "supervised")]
        assert min(parts) > 0
        assert float(row["train_loss"]) == pytest.approx(sum(parts), rel=1e-4)
    best, last = (torch.load(tmp_path / "o" / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert {key.split(".")[0] for key in best["state_dict"]} == {"net"}
    assert {key.split(".")[0] for key in last["state_dict"]} == {"net", "distillation"}
    assert not any("teacher" in key for key in last["state_dict"])
    about = load_checkpoint(tmp_path / "o" / "best.pt").spec.provenance["teacher"]
    assert about == provenance(DistillOptions(teacher=teacher_file))
    assert "teacher" not in load_checkpoint(trained.out / "best.pt").spec.provenance


def test_a_student_comes_closer_to_its_teacher(config, trained, teacher_file, tmp_path):
    """The teacher's answers have nothing to do with the labels here, so that labels alone can't bring it there."""
    weights = DistillOptions(teacher=teacher_file, temperature=1.0, kd_weight=5.0, feature_weight=0.0)
    fit(*config(tmp_path / "o", epochs=6, distill=weights, ema=0.5))
    fit(*config(tmp_path / "plain", epochs=6, ema=0.5))
    dataset = open_dataset(trained.data, "val", Labels.numbered(3))
    picture = torch.stack([torch.from_numpy(dataset.read(k)[0]).flip(2).permute(2, 0, 1).float() for k in range(3)])

    def logits(path):
        loaded = load_checkpoint(path)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (loaded.spec.mean, loaded.spec.std))
        with torch.inference_mode():
            return loaded.model((picture - mean) / std)

    wanted = logits(teacher_file)
    near, far = (pixelwise_kl(logits(tmp_path / name / "last.pt"), wanted, 1.0).item() for name in ("o", "plain"))
    assert near < 0.8 * far


def test_interrupted_and_resumed_equals_uninterrupted(config, teacher_file, tmp_path, monkeypatch):
    wanted = {"epochs": 3, "distill": DistillOptions(teacher=teacher_file)}
    fit(*config(tmp_path / "whole", **wanted))

    def stop(self):
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "on_train_epoch_start", stop, raising=False)
        with pytest.raises(KeyboardInterrupt):
            fit(*config(tmp_path / "part", **wanted))
    fit(*config(tmp_path / "part", **wanted), resume=True)
    one, other = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "part"))
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, other[key][name]) for name, value in one[key].items())
    for changes, text in (
        ({}, "was trained with `teacher`, got none; pass the same options"),
        (
            {"distill": replace(wanted["distill"], temperature=5.0)},
            "with another `temperature` (2.0), got 5.0; pass the same",
        ),
        (
            {"distill": replace(wanted["distill"], teacher_scale=1.5)},
            "with another `teacher_scale` (1.0), got 1.5; pass the same",
        ),
    ):
        with pytest.raises(InputError, match=re.escape(text)):
            fit(*config(tmp_path / "part", epochs=4, **changes), resume=True)


# What makes no sense


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"temperature": 0.0}, "`temperature`: expected a number above 0, got 0"),
        ({"kd_weight": -1.0}, "`kd_weight`: expected at least 0, got -1"),
        ({"feature_weight": float("nan")}, "`feature_weight`: expected a finite number, got nan"),
        ({"teacher_scale": 5.0}, "`teacher_scale`: expected 0.25 to 4, got 5"),
        ({"kd_weight": 0.0, "feature_weight": 0.0}, "`kd_weight` and `feature_weight` are both 0; leave `teacher` out"),
    ],
)
def test_wrong_values(values, text):
    with pytest.raises(InputError, match=re.escape(text)):
        DistillOptions(teacher="x.pt", **values)


def test_a_teacher_of_other_classes(teacher_file):
    with pytest.raises(
        DataError, match=r"knows 3 classes .*, the data has 5 .*; a teacher must have been trained on the same"
    ):
        open_teacher(teacher_file, Labels.numbered(5))
    assert open_teacher(teacher_file, Labels(("a", "b", "c"), ((0, 0, 0),) * 3)).epoch == 3


def test_a_teacher_that_is_not_there(config, trained, tmp_path):
    """Also when resuming, where its hash is compared first."""
    absent = DistillOptions(teacher=tmp_path / "absent.pt")
    with pytest.raises(ModelFileError, match=re.escape("absent.pt: no such file; expected a checkpoint")):
        fit(*config(tmp_path / "o", distill=absent))
    with pytest.raises(ModelFileError, match=re.escape("absent.pt: no such file; expected a checkpoint")):
        fit(*config(trained.out, epochs=3, distill=absent), resume=True)
    assert not (tmp_path / "o").exists()


def test_no_common_features(teacher_file):
    flat = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1))
    with pytest.raises(InputError, match="no features at a common stride"):
        make(teacher_file, flat)
