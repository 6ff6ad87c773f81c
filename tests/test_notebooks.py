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


@pytest.mark.timeout(600)
def test_carvana(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    monkeypatch.chdir(tmp_path)
    carvana(tmp_path / "data/carvana")
    names: dict[str, Any] = {"__name__": "__main__"}
    first, *rest = cells("carvana.ipynb")
    exec(first, names)
    assert {"DATA", "OUT", "SIZE_HW", "EPOCHS", "BATCH"} <= set(names)
    names |= {"SIZE_HW": (32, 64), "EPOCHS": 1, "BATCH": 4}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for cell in rest:
            exec(cell, names)
    finally:
        torch.set_num_threads(threads)
        plt.close("all")
    text = capsys.readouterr().out
    assert "8 pictures to train, 1 to validate; classes: background, car" in text
    assert "best mIoU" in text
    overlays = list((tmp_path / names["OUT"] / "overlays").iterdir())
    assert [path.suffix for path in overlays] == [".jpg"]
