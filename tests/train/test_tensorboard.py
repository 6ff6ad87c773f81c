"""What TensorBoard is shown, read back from its file."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.train import fit, tensorboard
from seg_edge.train.lightning_module import SegmentationModule
from seg_edge.train.tensorboard import overlay

needs_package = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")

#: Its file format is read in a process of its own: the package's modules warn about themselves.
READ = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"images": 0, "scalars": 0}).Reload()
tags = events.Tags()
scalars = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags["scalars"]}
images = {tag: [(e.step, e.width, e.height) for e in events.Images(tag)] for tag in tags["images"]}
last = {tag: events.Images(tag)[-1].encoded_image_string.hex() for tag in tags["images"]}
print(json.dumps({"scalars": scalars, "images": images, "last": last}))
"""


def shown(out):
    words = [sys.executable, "-c", READ, str(out / tensorboard.FOLDER)]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@needs_package
def test_curves_and_pictures(config, tmp_path, monkeypatch):
    """Interrupted after one epoch and resumed, with something written after its checkpoint: every epoch is shown once."""

    def hook(self):
        if self.current_epoch == 1:
            shows = next(c for c in self.trainer.callbacks if isinstance(c, tensorboard.TensorBoard))
            shows._writer.add_scalar("loss/train", 99.0, 2)
            raise KeyboardInterrupt

    monkeypatch.setattr(SegmentationModule, "on_train_epoch_start", hook, raising=False)
    out = tmp_path / "o"
    with pytest.raises(KeyboardInterrupt):
        fit(*config(out, tensorboard=True, aux=0.4))
    monkeypatch.undo()
    report = fit(*config(out, tensorboard=True, aux=0.4), resume=True)
    found = shown(out)
    scalars = found["scalars"]
    for key, tag in tensorboard.TAGS.items():
        steps, values = zip(*scalars[tag], strict=True)
        assert steps == (1, 2)
        assert values == pytest.approx([row[key] for row in report["history"]], rel=1e-5)
    classes = [scalars[f"iou/class{k}"][-1][1] for k in range(3)]
    assert np.mean(classes) == pytest.approx(report["history"][-1]["val_miou"], rel=1e-5)
    parts = [scalars[f"loss/{name}"][-1][1] for name in ("supervised", "aux")]
    assert sum(parts) == pytest.approx(scalars["loss/train"][-1][1], rel=1e-4)
    assert found["images"] == {f"val/{k}_label_and_prediction": [[1, 192, 64], [2, 192, 64]] for k in range(3)}


def test_nothing_is_written_unasked(trained):
    assert not (trained.out / tensorboard.FOLDER).exists()


def test_without_the_package(config, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"`tensorboard` needs the package tensorboard; pip install 'seg-edge\["):
        fit(*config(tmp_path / "o", tensorboard=True))
    assert not (tmp_path / "o").exists()


def test_overlay():
    """Half image and half colour; void, and labels that are sets, show the image."""
    labels = Labels(("a", "b"), ((200, 0, 0), (0, 100, 40)), 255)
    image = torch.full((3, 1, 4), 100, dtype=torch.uint8)
    picture = overlay(image, torch.tensor([[0, 1, 2, 255]]), labels)
    assert picture.permute(1, 2, 0).tolist() == [[[150, 50, 50], [50, 100, 70], [100, 100, 100], [100, 100, 100]]]
