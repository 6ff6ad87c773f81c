"""The configuration of a training: light, checked when it is made, recorded as it was before."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import seg_edge.train
from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.datasets import merged
from seg_edge.train import AugmentOptions, DistillOptions, SiameseOptions, TrainConfig, load_recipe, trainer
from seg_edge.train.config import OPTIMIZERS, PRECISIONS, UNLABELLED
from seg_edge.train.losses.options import TERM_NAMES
from seg_edge.train.losses.terms import TERMS
from seg_edge.train.models import catalog, names, registry, zoo
from seg_edge.train.models.lite import LiteConfig
from seg_edge.train.models.parts.encoders import LIBRARY_NAMES
from seg_edge.train.models.unet import STAGES

# Names without torch, and the tables that need it


def test_names_are_those_of_the_tables():
    assert set(TERM_NAMES) == set(TERMS)
    assert set(PRECISIONS) == set(trainer.PRECISIONS)
    assert UNLABELLED == merged.UNLABELLED
    assert list(names.FAMILY) == list(registry.MODELS)
    assert names.STRIDE == 2**STAGES
    assert [title is not None for title in names.FAMILY.values()] == [
        isinstance(shape, LiteConfig) for shape in registry.MODELS.values()
    ]
    assert set(names.ARCHITECTURES) == set(catalog.MAKERS)
    assert set(names.ENCODERS) == set(LIBRARY_NAMES)
    ours = {name: row for name, row in zoo.NETWORKS.items() if row.distribution == "torchvision"}
    assert names.TORCHVISION == {name: (row.title, row.backbone) for name, row in ours.items()}


def test_the_surface():
    assert seg_edge.train.__all__ == sorted(seg_edge.train.__all__)
    assert set(seg_edge.train.__all__) <= set(dir(seg_edge.train))
    for name in seg_edge.train.__all__:
        assert getattr(seg_edge.train, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'seg_edge.train' has no attribute 'Trainer'"):
        _ = seg_edge.train.Trainer


@pytest.mark.parametrize(
    "words",
    [
        ["--data", "NOWHERE"], ["--data", ".", "--model", "unet-x"], ["--data", ".", "--loss", "x"],
        ["--data", ".", "--optimizer", "x"], ["--data", ".", "--config", "x"], ["--data", ".", "--imgsz", "100x96"],
        ["--data", ".", "--epochs", "0"], ["--data", ".", "--init", "absent.pt"], ["--data", ".", "--teacher", "absent.pt"],
        ["--data", ".", "--resume"], ["--data", ".", "--out", "file"], ["--data", ".", "--freeze"],
        ["--data", ".", "--model", "unet-lite0", "--pretrained", "absent.pth"],
    ],
)  # fmt: skip
def test_mistakes_are_said_before_torch_is_loaded(words, tmp_path, monkeypatch, capsys):
    from seg_edge.cli.main import main

    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "seg_edge.train.trainer", None)  # its import would fail
    assert main(["train", *words]) == 1
    line = capsys.readouterr().err
    assert line.startswith("seg-edge: error: ")
    assert "import" not in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_missing_dataset_needs_no_torch(tmp_path):
    code = (
        "import sys; from seg_edge.cli.main import main; status = main(['train', '--data', 'NOWHERE'])\n"
        "print(status, sorted({'torch', 'lightning', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "1 []\n"


# Values


def test_texts_are_paths():
    config = TrainConfig(init="a.pt", distill=DistillOptions(teacher="b.pt"))
    assert (config.init, config.distill.teacher) == (Path("a.pt"), Path("b.pt"))


def test_the_rate_is_the_optimizers_unless_given():
    assert {name: TrainConfig(optimizer=name).resolved().lr for name in OPTIMIZERS} == {"adamw": 0.002, "sgd": 0.05}
    assert TrainConfig(optimizer="sgd", lr=1).resolved().lr == 1


def test_the_record_has_the_names_of_earlier_reports():
    """Resumed trainings, benchmarks/results and scripts read them."""
    config = TrainConfig(size_hw=(64, 96), distill=DistillOptions(teacher="t.pt", kd_weight=3), optimizer="sgd")
    record = config.recorded(Path("d"), Path("o"))
    assert json.loads(json.dumps(record)) == {
        "data": "d", "out": "o", "model": "unet-s", "epochs": 100, "batch": 8, "size_hw": [64, 96], "crop_hw": None,
        "lr": 0.05, "weight_decay": 0.01, "warmup": 0.03, "ema": 0.998, "seed": 0, "classes": None, "precision": None,
        "device": None, "workers": None, "train_split": "train", "val_split": "val",
        "augment": {"scale": [0.75, 2.0], "flip": 0.5, "jitter": 0.4, "classmix": 0.0, "cutmix": 0.0, "rotate": 0.0},
        "init": None,
        "distill": {"teacher": "t.pt", "temperature": 2.0, "logits": 3, "features": 0.1, "scale": 1.0},
        "branches": False, "aux": 0.0, "loss": "ce+0.5*dice", "class_weights": 1.0, "optimizer": "sgd", "accumulate": 1,
        "patience": None, "deterministic": False, "pretrained": None, "unlabelled": "marginal", "freeze": False,
        "siamese": None, "save_every": None, "tensorboard": False,
    }  # fmt: skip
    siamese = TrainConfig(siamese=SiameseOptions(appearance=0.5)).recorded(Path("d"), Path("o"))["siamese"]
    assert siamese == {"features": 0.5, "predictions": 0.5, "strength": 0.5}


# Recipes in Python


def recipe(folder, text):
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


def test_a_recipe_of_ones_own(tmp_path):
    file = recipe(
        tmp_path,
        "data: d\nout: o\nepochs: 7\nimgsz: 64x96\ncrop: 32\nscale: [1, 1.5]\nlr: 1e-3\nweight-decay: 0\nteacher: ~/t.pt\n"
        "kd-weight: 3\nsiamese: false\nhalf: true\nseed: 5\n",
    )
    wanted = TrainConfig(
        epochs=7, size_hw=(64, 96), crop_hw=(32, 32), augment=AugmentOptions(scale=(1, 1.5)), lr=0.001, weight_decay=0,
        distill=DistillOptions(teacher=Path.home() / "t.pt", kd_weight=3), precision="half", seed=5,
    )  # fmt: skip
    assert load_recipe(file) == wanted
    assert load_recipe(str(file), seed=6, distill=None) == wanted.with_(seed=6, distill=None)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("epoch: 3", UnknownNameError, "'epoch': did you mean 'epochs'?"),
        ("epochs: many", InputError, "mine.yaml: epochs: expected int, got 'many'"),
        ("epochs: 1.5", InputError, "mine.yaml: epochs: expected int, got 1.5"),
        ("freeze: 3", InputError, "mine.yaml: freeze: expected bool, got 3"),
        ("imgsz: large", InputError, "mine.yaml: imgsz: expected HEIGHTxWIDTH"),
        ("epochs: 0", InputError, "`epochs`: expected at least 1, got 0"),
        ("model: unet_s", UnknownNameError, "unknown model 'unet_s': did you mean 'unet-s'?"),
    ],
)
def test_recipes_that_are_wrong(tmp_path, text, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        load_recipe(recipe(tmp_path, text))
