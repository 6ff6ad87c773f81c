"""Models that come with the package, found by name."""

from __future__ import annotations

from pathlib import Path

from seg_edge.core.shipped import CHECKPOINT, DEFAULT, FOLDER, hint, shipped


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
    folders = [folder for folder in FOLDER.iterdir() if (folder / CHECKPOINT).is_file()]
    assert FOLDER / DEFAULT in folders
    for folder in folders:
        assert sum(file.stat().st_size for file in folder.rglob("*")) <= 8_000_000, folder
