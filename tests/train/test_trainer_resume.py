"""Trainings that were interrupted and continue, and what a training that goes on refuses."""

from __future__ import annotations

import json
import re
import shutil
import signal

import pytest
import torch

from seg_edge.core.errors import InputError, ModelFileError
from seg_edge.train import AugmentOptions, fit
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.lightning_module import SegmentationModule


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def weights(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    """A training of three epochs that nothing interrupted: its folder and report. Read only."""
    out = tmp_path_factory.mktemp("whole") / "o"
    return out, fit(*config(out, epochs=3))


@pytest.fixture(scope="module")
def longer(config, trained, tmp_path_factory):
    """``trained``, resumed for a third epoch: folder and report. Read only."""
    out = shutil.copytree(trained.out, tmp_path_factory.mktemp("longer") / "o")
    return out, fit(*config(out, epochs=3), resume=True)


@pytest.fixture
def stop_in_epoch(monkeypatch):
    """A function (number) that has Ctrl-C come at the start of that epoch, and (None) that takes it back."""

    def set_(number):
        def hook(self):
            if number is not None and self.current_epoch + 1 == number:
                raise KeyboardInterrupt

        monkeypatch.setattr(SegmentationModule, "on_train_epoch_start", hook, raising=False)

    return set_


def test_interrupted_and_resumed_equals_uninterrupted(config, whole, tmp_path, stop_in_epoch, same_weights, losses):
    """Also in another folder than the one it began in: a training may be moved."""
    handler = signal.getsignal(signal.SIGINT)
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(*config(tmp_path / "part", epochs=3))
    assert signal.getsignal(signal.SIGINT) is handler
    assert names(tmp_path / "part") == ["best.pt", "last.pt", "metrics.csv"]
    assert load_checkpoint(tmp_path / "part" / "last.pt").epoch == 1
    stop_in_epoch(None)
    (tmp_path / "part").rename(tmp_path / "moved")
    resumed = fit(*config(tmp_path / "moved", epochs=3), resume=True)
    assert losses(resumed) == losses(whole[1])
    assert resumed["best"] == whole[1]["best"]
    assert same_weights(tmp_path / "moved" / "last.pt", whole[0] / "last.pt")
    assert names(tmp_path / "moved") == names(whole[0])


def test_more_epochs_than_planned(longer, trained, same_weights, losses):
    """One more epoch after two: earlier rows stay, the learning rate follows the longer schedule."""
    out, report = longer
    assert report["epochs"] == 3
    assert losses(report)[:2] == losses(trained.report)
    assert trained.report["history"][-1]["lr"] == 0
    assert report["history"][-1]["lr"] == 0
    assert load_checkpoint(out / "last.pt").epoch == 3
    assert not same_weights(out / "last.pt", trained.out / "last.pt")


def test_worse_epochs_leave_best_alone(config, trained, tmp_path, monkeypatch):
    shutil.copytree(trained.out, tmp_path / "more")
    plain = SegmentationModule.on_validation_epoch_end

    def worse(self):
        self.confusion.counts = self.confusion.counts[[1, 2, 0]]
        plain(self)

    monkeypatch.setattr(SegmentationModule, "on_validation_epoch_end", worse)
    report = fit(*config(tmp_path / "more", epochs=3), resume=True)
    assert report["history"][-1]["val_miou"] < report["best"]["miou"]
    assert report["best"] == trained.report["best"]
    assert (tmp_path / "more" / "best.pt").read_bytes() == (trained.out / "best.pt").read_bytes()


def test_resumed_with_a_loader_process(config, whole, tmp_path, stop_in_epoch, same_weights, losses):
    """It loads ahead of the trainer, also the first images after the restart: those of the right epoch."""
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(*config(tmp_path / "part", epochs=3, workers=1))
    stop_in_epoch(None)
    part = fit(*config(tmp_path / "part", epochs=3, workers=1), resume=True)
    assert losses(part) == losses(whole[1])
    assert same_weights(tmp_path / "part" / "last.pt", whole[0] / "last.pt")


def test_seconds_are_those_of_all_parts(longer, trained):
    _, report = longer
    assert report["seconds"] == pytest.approx(trained.report["seconds"] + report["history"][-1]["seconds"])


def test_resume_keeps_the_size(config, rectangles, tmp_path, stop_in_epoch):
    """size_hw left out means the checkpoint's size, not that of the images."""
    stop_in_epoch(2)
    data = rectangles.write_dataset(tmp_path / "large", train=4, val=1, size_hw=(96, 128))
    with pytest.raises(KeyboardInterrupt):
        fit(*config(tmp_path / "o", data=data, size_hw=(32, 64)))
    stop_in_epoch(None)
    assert fit(*config(tmp_path / "o", data=data), resume=True)["imgsz"] == [32, 64]


@pytest.mark.parametrize("report", [None, "{", '{"epochs": 1}'])
def test_killed_before_the_report(config, trained, tmp_path, report, lines):
    """After the last checkpoint: resumed, it writes what is missing, and trains nothing. An earlier run's report is none."""
    out = tmp_path / "o"
    shutil.copytree(trained.out, out)
    for name in ("report.json", "curves.png"):
        (out / name).unlink()
    if report:
        (out / "report.json").write_text(report)
    (out / ".last.abcdefgh.tmp.pt").write_bytes(b"half")
    found = fit(*config(out), resume=True, progress=lines)
    different = {"seconds", "config"}
    assert {k: v for k, v in found.items() if k not in different} == {
        k: v for k, v in trained.report.items() if k not in different
    }
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    assert (out / "last.pt").read_bytes() == (trained.out / "last.pt").read_bytes()
    assert names(out) == names(trained.out)
    assert lines.said == ["epoch 2/2 was the last one; writing curves and report"]
    with pytest.raises(InputError, match="has 2 epochs already"):
        fit(*config(out), resume=True)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 2}, "has 2 epochs already; pass `epochs` above that to train on"),
        ({"model": "unet-s"}, "holds unet-n, but `model` is unet-s; pass `model='unet-n'`"),
        ({"size_hw": (64, 64)}, "has `size_hw=64x96`; pass the same or leave it out"),
        ({"lr": 1e-3}, "was trained with `lr=0.002`, got 0.001; pass the same"),
        (
            {"batch": 2},
            "was trained in 2 steps per epoch, but 8 images in batches of 2 are 4; pass the same `data` and `batch`",
        ),
        ({"seed": 1}, "was trained with `seed=0`, got 1; pass the same"),
        ({"weight_decay": 0.5}, "was trained with `weight_decay=0.01`, got 0.5; pass the same"),
        ({"ema": 0.9}, "was trained with ema 0.998, got 0.9; pass the same"),
        ({"augment": AugmentOptions(scale=(1, 1.5))}, "was trained with `scale=0.75,2.0`, got 1,1.5; pass the same"),
        ({"crop_hw": (32, 64)}, "was trained with `crop_hw=None`, got 32,64; pass the same"),
        ({"classes": "camvid"}, "was trained on other classes than"),
    ],
)
def test_resume_refuses_another_training(config, trained, tmp_path, changes, text):
    shutil.copytree(trained.out, tmp_path / "o")
    before = (tmp_path / "o" / "last.pt").read_bytes()
    with pytest.raises(InputError, match=re.escape(text)):
        fit(*config(tmp_path / "o", **({"epochs": 3} | changes)), resume=True)
    assert (tmp_path / "o" / "last.pt").read_bytes() == before


def test_resume_without_a_training(config, tmp_path):
    with pytest.raises(ModelFileError, match=re.escape("last.pt does not exist; leave `resume` out to start")):
        fit(*config(tmp_path / "o"), resume=True)
    assert not (tmp_path / "o").exists()


def test_resume_from_weights_alone(config, trained, tmp_path):
    (tmp_path / "o").mkdir()
    shutil.copy(trained.out / "best.pt", tmp_path / "o" / "last.pt")
    with pytest.raises(ModelFileError, match=re.escape("holds weights only")):
        fit(*config(tmp_path / "o", epochs=9), resume=True)


def test_a_finished_training_is_not_overwritten(config, trained):
    before = {path.name: path.read_bytes() for path in trained.out.iterdir()}
    with pytest.raises(
        InputError, match="holds a training already; pass `resume=True` to continue it, or another folder as `out`"
    ):
        fit(*trained.asked)
    assert {path.name: path.read_bytes() for path in trained.out.iterdir()} == before


def test_every_second_epoch_is_kept(config, tmp_path, same_weights):
    """Each is what last.pt was then: a training goes on from it to the same end."""
    out = tmp_path / "o"
    fit(*config(out, epochs=3, save_every=2))
    assert [path.name for path in sorted(out.glob("epoch_*"))] == ["epoch_0002.pt"]
    kept = weights(out / "epoch_0002.pt")
    assert (kept["epoch"], len(kept["callbacks"]["History"]["rows"])) == (1, 2)
    again = shutil.copytree(out, tmp_path / "again")
    shutil.copy(out / "epoch_0002.pt", again / "last.pt")
    fit(*config(again, epochs=3), resume=True)
    assert same_weights(again / "last.pt", out / "last.pt")


ADDITIONS = {"branches": True, "aux": 0.4, "class_weights": 0.0}


def test_additions_resume(config, tmp_path, stop_in_epoch, same_weights):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    fit(*config(straight, **ADDITIONS))
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(*config(stopped, **ADDITIONS))
    stop_in_epoch(None)
    for change, text in (
        ("branches", "`branches=True`, got False"),
        ("aux", "`aux=0.4`, got 0.0"),
        ("class_weights", "`class_weights=0.0`, got 1.0"),
    ):
        with pytest.raises(InputError, match=re.escape(text)):
            fit(*config(stopped, **{k: v for k, v in ADDITIONS.items() if k != change}), resume=True)
    fit(*config(stopped, **ADDITIONS), resume=True)
    assert same_weights(straight / "last.pt", stopped / "last.pt")


def test_resumed_from_init_equals_uninterrupted(config, pruned, tmp_path, stop_in_epoch, same_weights):
    """Resumed without it: last.pt holds the shape of the network too."""
    fit(*config(tmp_path / "whole", init=pruned, epochs=3))
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(*config(tmp_path / "part", init=pruned, epochs=3))
    stop_in_epoch(None)
    fit(*config(tmp_path / "part", epochs=3), resume=True)
    assert same_weights(tmp_path / "part" / "last.pt", tmp_path / "whole" / "last.pt")
    provenances = [load_checkpoint(tmp_path / name / "last.pt").spec.provenance for name in ("part", "whole")]
    assert provenances[0]["init"] == provenances[1]["init"]


def test_accumulated_batches_make_one_step(config, tmp_path, stop_in_epoch, same_weights):
    """4 batches of 2 images, 3 of them to a step: two steps an epoch; interrupted and resumed, the same weights."""
    wanted = {"batch": 2, "accumulate": 3, "epochs": 2}
    fit(*config(tmp_path / "whole", **wanted))
    assert weights(tmp_path / "whole" / "last.pt")["global_step"] == 4
    stop_in_epoch(2)
    with pytest.raises(KeyboardInterrupt):
        fit(*config(tmp_path / "part", **wanted))
    stop_in_epoch(None)
    fit(*config(tmp_path / "part", **wanted), resume=True)
    assert same_weights(tmp_path / "part" / "last.pt", tmp_path / "whole" / "last.pt")
