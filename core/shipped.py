"""The models that come with the package, by name: ``seg-edge run --source 0`` works before anything is trained."""

from __future__ import annotations

from pathlib import Path

#: One folder each: an artefact (INT8) and ``checkpoint.pt``, the weights it was exported from.
FOLDER = Path(__file__).parents[1] / "models"
#: What ``run`` and ``predict`` take where no model is named: street scenes in CamVid's 11 classes.
DEFAULT = "unet-s-camvid"
CHECKPOINT = "checkpoint.pt"


def shipped(path: str | Path, file: str = "") -> Path:
    """The folder of the shipped model of that name, or a file in it; ``path`` itself where it is no such name, or exists.

    >>> shipped("unet-s-camvid", CHECKPOINT).name
    'checkpoint.pt'
    """
    path = Path(path)
    if path.exists() or len(path.parts) != 1 or not (FOLDER / path).is_dir():
        return path
    return FOLDER / path / file
