"""What a training refuses, and how it says so: wrong options, wrong data."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from seg_edge.core.errors import DataError, InputError, SegEdgeError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.datasets.dataset import write_labels
from seg_edge.train import fit, trainer
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.lightning_module import SegmentationModule

# Wrong options


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": 0}, "`epochs`: expected at least 1, got 0"),
        ({"batch": 0}, "`batch`: expected at least 1, got 0"),
        ({"lr": 0}, "`lr`: expected a number above 0, got 0"),
        ({"lr": -1e-3}, "`lr`: expected a number above 0, got -0.001"),
        ({"lr": float("nan")}, "`lr`: expected a finite number, got nan"),
        ({"lr": float("inf")}, "`lr`: expected a finite number, got inf"),
        ({"size_hw": (64, 100)}, "`size_hw`: HEIGHTxWIDTH must be multiples of 32, got 64x100; try 64x96"),
        ({"size_hw": (8, 64)}, "must be multiples of 32, got 8x64; try 32x64"),
        ({"size_hw": (0, 64)}, "must be multiples of 32, got 0x64"),
        ({"crop_hw": (64, 100)}, "`crop_hw`: HEIGHTxWIDTH must be multiples of 32, got 64x100; try 64x96"),
        ({"pretrained": "imagenet"}, "unet-n has no encoder of a classification network"),
        (
            {"model": "unet-lite0", "pretrained": "imagenet", "init": Path("a.pt")},
            "`init` brings all weights along; drop `pretrained` or `init`",
        ),
        ({"aux": -1.0}, "`aux`: expected at least 0, got -1"),
        ({"class_weights": -1.0}, "`class_weights`: expected at least 0, got -1"),
        ({"model": "unet-l"}, "unknown model 'unet-l': did you mean 'unet-s'?" ),
        ({"precision": "int8"}, "unknown precision 'int8': valid names: bf16, fp16, fp32, half"),
        ({"device": "gpu"}, "unknown device 'gpu': did you mean 'cpu'?"),
        ({"seed": -1}, "`seed`: expected 0 to 4294967295, got -1"),
        ({"seed": 2**32}, "`seed`: expected 0 to 4294967295, got 4294967296"),
        ({"workers": -1}, "`workers`: expected at least 0, got -1"),
    ],
)  # fmt: skip
def test_wrong_options(config, tmp_path, changes, text):
    kind = UnknownNameError if text.startswith("unknown") else InputError
    pattern = re.escape(text) if "'unet-l'" not in text else r"unknown model 'unet-l': did you mean 'unet-[nsm]'\?"
    with pytest.raises(kind, match=pattern):
        config(tmp_path / "o", **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"optimizer": "adam"}, "unknown optimizer 'adam': did you mean 'adamw'?"),
        ({"loss": "focall"}, "unknown loss 'focall': did you mean 'focal'?"),
        ({"accumulate": 0}, "`accumulate`: expected at least 1, got 0"),
        ({"patience": 0}, "`patience`: expected at least 1, got 0"),
        ({"save_every": 0}, "`save_every`: expected at least 1, got 0"),
    ],
)
def test_wrong_options_of_the_recipe(config, tmp_path, changes, text):
    with pytest.raises(InputError, match=re.escape(text)):
        config(tmp_path / "o", **changes)


def test_crop_larger_than_the_input(config, tmp_path):
    with pytest.raises(
        InputError, match=re.escape("`crop_hw=96x96` is larger than the network's input, 64x96; pass a smaller one")
    ):
        fit(*config(tmp_path / "o", crop_hw=(96, 96)))
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA answers")
def test_cuda_where_there_is_none(config, tmp_path):
    with pytest.raises(InputError, match="`device='cuda'`: no CUDA device is visible to torch; pass `device='cpu'`"):
        fit(*config(tmp_path / "o", device="cuda"))
    assert not (tmp_path / "o").exists()


def test_one_pixel_at_the_deepest_stage(config, tmp_path):
    with pytest.raises(InputError, match="one image of 32x32 per step leaves batch normalization a single value"):
        fit(*config(tmp_path / "o", size_hw=(32, 32), batch=1))
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("precision", "fast", "resolved"),
    [(None, False, "fp32"), (None, True, "bf16"), ("half", False, "bf16"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_precision_is_resolved_once(config, tmp_path, monkeypatch, precision, fast, resolved):
    """The default is bf16 where the processor computes it. Lightning's trainer is asked; nothing is trained."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: fast, raising=False)
    asked = {}

    def stop(**options):
        asked.update(options)
        raise RuntimeError("far enough")

    monkeypatch.setattr(trainer.pl, "Trainer", stop)
    with pytest.raises(RuntimeError, match="far enough"):
        fit(*config(tmp_path / "o", precision=precision))
    assert asked["precision"] == {"fp32": "32-true", "bf16": "bf16-mixed"}[resolved]


# Wrong data


def break_(root, kind):
    """Breaks the last image of a copy of the data; returns where the refusal must point."""
    label = root / "labels" / "train" / "007.png"
    if kind == "missing split":
        shutil.rmtree(root / "images" / "val")
        return "no folder images/val (it has train)"
    if kind == "missing label":
        label.unlink()
        return "007.png: has no label (1 of 8 images have none)"
    if kind == "label out of range":
        write_labels(root, Labels.numbered(3))
        cv2.imwrite(str(label), np.full((64, 96), 3, np.uint8))
        return "train/007.png: label value 3 is out of range: expected 0..2 or 255"
    if kind == "validation label out of range":
        write_labels(root, Labels.numbered(3))
        cv2.imwrite(str(root / "labels" / "val" / "002.png"), np.full((64, 96), 3, np.uint8))
        return "val/002.png: label value 3 is out of range"
    if kind == "damaged label":
        label.write_bytes(b"\x89PNG")
        return "train/007.png: not a readable image (4 bytes)"
    if kind == "validation sizes differ":
        cv2.imwrite(str(root / "labels" / "val" / "002.png"), np.zeros((64, 64), np.uint8))
        return "val/002.png: label is 64x64 but its image 002.png is 96x64"
    assert kind == "first image too small"
    for path in ((root / "images" / "train" / "000.png"), (root / "labels" / "train" / "000.png")):
        cv2.imwrite(str(path), np.zeros((20, 96), np.uint8))
    return "000.png: 96x20 is smaller than the network's stride 32; pass `size_hw`"


@pytest.mark.parametrize(
    "kind",
    [
        "missing split", "missing label", "label out of range", "validation label out of range", "damaged label",
        "validation sizes differ", "first image too small",
    ],
)  # fmt: skip
def test_wrong_data_is_found_before_anything_is_written(config, dataset, tmp_path, kind):
    shutil.copytree(dataset, tmp_path / "data")
    text = break_(tmp_path / "data", kind)
    with pytest.raises(DataError, match=re.escape(text)):
        fit(*config(tmp_path / "o", data=tmp_path / "data"))
    assert not (tmp_path / "o").exists()


def test_missing_dataset(config, tmp_path):
    with pytest.raises(DataError, match=re.escape("absent: no such folder; pass `data`")):
        fit(*config(tmp_path / "o", data=tmp_path / "absent"))


@pytest.mark.parametrize("workers", [0, 1])
def test_image_that_breaks_in_an_epoch_is_one_line(config, dataset, tmp_path, workers):
    """Found by a loader process, the line comes back without that process's traceback."""
    shutil.copytree(dataset, tmp_path / "data")
    broken = tmp_path / "data" / "images" / "train" / "005.png"
    broken.write_bytes(b"\x89PNG")
    with pytest.raises(DataError) as caught:
        fit(*config(tmp_path / "o", data=tmp_path / "data", workers=workers))
    assert str(caught.value) == f"{broken}: not a readable image (4 bytes); replace or remove it"


def test_diverging_training_says_so(config, tmp_path):
    with pytest.raises(
        SegEdgeError, match=r"the (train|val)_loss of epoch \d is (nan|inf), not a finite number; .* lower `lr`"
    ):
        fit(*config(tmp_path / "o", lr=1e9, epochs=4))
    assert not (tmp_path / "o" / "report.json").exists()


def test_the_epoch_that_failed_is_not_kept(config, tmp_path, monkeypatch):
    step = SegmentationModule.training_step
    monkeypatch.setattr(
        SegmentationModule, "training_step",
        lambda self, *given: step(self, *given) * (math.nan if self.current_epoch == 2 else 1),
    )  # fmt: skip
    with pytest.raises(SegEdgeError, match="the train_loss of epoch 3 is nan"):
        fit(*config(tmp_path / "o", epochs=4))
    assert load_checkpoint(tmp_path / "o" / "last.pt").epoch == 2
