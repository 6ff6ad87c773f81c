"""The notebooks: their cells run in order on small data of the same layout; only the settings of the first are smaller."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


def cells(name: str) -> list[str]:
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), "committed with outputs"
    return ["".join(cell["source"]) for cell in code]


def carvana(root: Path) -> Path:
    """Ten cars from one side each: a bright box on a dark ground."""
    rng = np.random.default_rng(0)
    for folder in ("train", "train_masks"):
        (root / folder).mkdir(parents=True)
    for car in range(10):
        mask = np.zeros((40, 72), np.uint8)
        mask[10:30, 10 + car : 50 + car] = 255
        frame = rng.integers(0, 60, (40, 72, 3)) + mask[..., None] // 2
        cv2.imwrite(str(root / "train" / f"car{car:02}_01.jpg"), frame.astype(np.uint8))
        cv2.imwrite(str(root / "train_masks" / f"car{car:02}_01_mask.png"), mask)
    return root


def cityscapes(root: Path) -> Path:
    """Two towns' streets: road (label id 7) below sky (23), a car (26) between, and an id that no benchmark counts (4)."""
    rng = np.random.default_rng(0)
    for split, town, count in (("train", "ulm", 4), ("val", "lindau", 2)):
        for kind in ("leftImg8bit", "gtFine"):
            (root / kind / split / town).mkdir(parents=True)
        for i in range(count):
            ids = np.full((64, 128), 23, np.uint8)
            ids[30:], ids[24:40, 10 + 9 * i : 50 + 9 * i], ids[60:] = 7, 26, 4
            frame = rng.integers(0, 30, (64, 128, 3)) + 8 * ids[..., None]
            stem = f"{town}_{i:06}_000019"
            cv2.imwrite(str(root / "leftImg8bit" / split / town / f"{stem}_leftImg8bit.png"), frame.astype(np.uint8))
            cv2.imwrite(str(root / "gtFine" / split / town / f"{stem}_gtFine_labelIds.png"), ids)
    return root


def run_cells(name: str, smaller: dict[str, Any]) -> dict[str, Any]:
    """Runs a notebook in the working folder; ``smaller`` replaces settings of its first cell. Returns its names."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names: dict[str, Any] = {"__name__": "__main__"}
    first, *rest = cells(name)
    exec(first, names)
    assert set(smaller) | {"DATA", "OUT"} <= set(names)
    names |= smaller
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for cell in rest:
            exec(cell, names)
    finally:
        torch.set_num_threads(threads)
        plt.close("all")
    return names


@pytest.mark.timeout(600)
def test_carvana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    carvana(tmp_path / "data/carvana")
    names = run_cells("carvana.ipynb", {"SIZE_HW": (32, 64), "EPOCHS": 1, "BATCH": 4})
    text = capsys.readouterr().out
    assert "8 pictures to train, 1 to validate; classes: background, car" in text
    assert "best mIoU" in text
    overlays = list((tmp_path / names["OUT"] / "overlays").iterdir())
    assert [path.suffix for path in overlays] == [".jpg"]


@pytest.mark.timeout(600)
def test_cityscapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A smaller encoder without weights from the network; everything else as it is written."""
    monkeypatch.chdir(tmp_path)
    cityscapes(tmp_path / "data/cityscapes")
    smaller = {"MODEL": "deeplabv3plus-resnet18", "PRETRAINED": None, "SIZE_HW": (64, 128), "EPOCHS": 1, "BATCH": 2}
    names = run_cells("cityscapes.ipynb", smaller)
    text = capsys.readouterr().out
    assert "4 pictures to train, 2 to validate; 19 classes: road, sidewalk, building" in text
    assert "onnx: " in text
    _, mask = names["train"].read(0)
    assert set(np.unique(mask)) == {0, 10, 13, 255}  # road, sky, car, void
    out = tmp_path / names["OUT"]
    assert sorted(path.name for path in (out / "overlays").iterdir()) == [
        f"lindau_00000{i}_000019_leftImg8bit.jpg" for i in range(2)
    ]
    colours = cv2.imread(str(out / "colours" / "lindau_000000_000019_leftImg8bit.png"))
    assert colours.shape == (64, 128, 3)
    known = {tuple(rgb)[::-1] for rgb in names["labels"].palette}
    assert {tuple(int(value) for value in pixel) for pixel in colours.reshape(-1, 3)} <= known
    assert (out / "model" / "model.fp32.onnx").is_file()
