"""The models that come with the package, by name: ``seg-edge run --source 0`` works before anything is trained."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

#: One folder each: an artefact (INT8) and ``checkpoint.pt``, the weights it was exported from.
FOLDER = Path(__file__).parents[1] / "models"
#: What ``run`` and ``predict`` take where no model is named: street scenes in CamVid's 11 classes.
DEFAULT = "unet-s-camvid"
CHECKPOINT = "checkpoint.pt"
_MODELS = {".onnx", ".pt", ".engine", ".plan"}


def shipped(path: str | Path, file: str = "") -> Path:
    """The folder of the shipped model of that name, or a file in it; ``path`` itself where it is no such name.

    A file of that name in the working folder, or a folder that holds a model, comes first.

    >>> shipped("unet-s-camvid", CHECKPOINT).name
    'checkpoint.pt'
    """
    path = Path(path)
    if len(path.parts) != 1 or path.name not in names():
        return path
    if path.is_file() or (path.is_dir() and any(entry.suffix in _MODELS for entry in path.iterdir())):
        return path
    return FOLDER / path / file


def names() -> list[str]:
    """Of all shipped models."""
    return sorted(file.parent.name for file in FOLDER.glob(f"*/{CHECKPOINT}"))


def hint(path: Path) -> str:
    """For an error about a file that is not there: the shipped model whose name was meant, or nothing."""
    near = get_close_matches(str(path), names(), 1)
    return f"; or did you mean {near[0]}, which comes with the package?" if near else ""
