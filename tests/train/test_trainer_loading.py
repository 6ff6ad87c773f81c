"""What a training does with its data before the first step."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.utils.data import DataLoader

from seg_edge.core.errors import DataError
from seg_edge.train import fit
from seg_edge.train.lightning_module import SegmentationModule


def test_validation_processes_are_there_before_the_first_step(config, tmp_path, monkeypatch):
    """They are forks: later ones would hold on to a copy of what the training took up and freed."""
    seen = []
    iterate, step = DataLoader.__iter__, SegmentationModule.training_step
    monkeypatch.setattr(DataLoader, "__iter__", lambda self: seen.append(type(self.dataset).__name__) or iterate(self))
    monkeypatch.setattr(SegmentationModule, "training_step", lambda *words: seen.append("step") or step(*words))
    fit(*config(tmp_path / "o", epochs=1, workers=1))
    assert seen == ["ValSet", "TrainSet", "step", "step", "ValSet"]


def test_an_unreadable_image_is_refused_before_anything_is_written(config, dataset, tmp_path):
    data = shutil.copytree(dataset, tmp_path / "d")
    (data / "images" / "train" / "005.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"005\.png: not a readable image"):
        fit(*config(tmp_path / "o", data=data, deterministic=True))
    assert not (tmp_path / "o").exists()
    assert not torch.are_deterministic_algorithms_enabled()
