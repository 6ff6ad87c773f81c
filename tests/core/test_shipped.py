"""Models that come with the package, found by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from seg_edge.core import shipped as module
from seg_edge.core.shipped import CARD, CHECKPOINT, DEFAULT, FOLDER, LIMIT_BYTES, hint, names, shipped, shipped_models


def test_a_name_is_the_package_s_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped(DEFAULT) == FOLDER / DEFAULT
    assert shipped(Path(DEFAULT), CHECKPOINT) == FOLDER / DEFAULT / CHECKPOINT
    assert shipped(DEFAULT, CHECKPOINT).is_file()
    # Neither another name, nor a path, nor the folder of all models, nor nothing.
    for text in ("unet-x", f"./runs/{DEFAULT}", "runs/a.pt", "/", "..", "."):
        assert shipped(text) == Path(text)
    # A folder that happens to have the name is none; one that holds a model comes first.
    (tmp_path / DEFAULT).mkdir()
    assert shipped(DEFAULT) == FOLDER / DEFAULT
    (tmp_path / DEFAULT / "model.fp32.onnx").touch()
    assert shipped(DEFAULT) == Path(DEFAULT)


def test_a_misspelt_name_is_recognized():
    assert hint(Path("unet-s-camvd")) == f"; or did you mean {DEFAULT}, which comes with the package?"
    assert hint(Path("runs/other/best.pt")) == ""


def test_what_is_shipped_is_small():
    assert DEFAULT in names()
    assert sum(file.stat().st_size for file in FOLDER.rglob("*")) <= LIMIT_BYTES


def test_folders_that_are_being_made_are_no_models(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for name in ("one", ".two.x.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CHECKPOINT).touch()
    assert names() == ["one"]


@pytest.mark.parametrize("row", shipped_models(), ids=lambda row: row["name"])
def test_each_model_has_a_card_with_its_figures(row):
    card = (FOLDER / row["name"] / CARD).read_text(encoding="utf-8")
    assert card.startswith(f"# {row['name']}\n")
    for heading in ("Data and licences", "Recipe", "Figures", "Where it fails", "Intended use"):
        assert f"\n## {heading}\n" in card
    assert f"{100 * row['miou']:.2f}" in card
    for name in row["classes"]:
        assert f"| {name} |" in card
    listed = next(
        line for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines() if f"`{row['name']}`](" in line
    )
    assert f"| {100 * row['miou']:.2f} %" in listed
    assert (row["name"] == DEFAULT) == (row == shipped_models()[0])
