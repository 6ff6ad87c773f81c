"""Models that are shipped with the package, by name, so that ``seg-edge run --source 0`` works without a training."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

#: One folder per model: an INT8 artefact and ``checkpoint.pt``, the weights that it was exported from.
FOLDER = Path(__file__).parents[1] / "models"
#: Default model of ``run`` and ``predict``: street scenes in CamVid's 11 classes.
DEFAULT = "unet-s-camvid"
CHECKPOINT = "checkpoint.pt"
_MODELS = {".onnx", ".pt", ".engine", ".plan"}


def shipped(path: str | Path, file: str = "") -> Path:
    """The folder of the shipped model ``path``, or ``file`` in it; ``path`` itself if it is not a shipped model's name.

    A file ``path`` in the working folder, or a folder ``path`` that contains a model, takes precedence.

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
    """Names of all shipped models."""
    return sorted(file.parent.name for file in FOLDER.glob(f"*/{CHECKPOINT}"))


def hint(path: Path) -> str:
    """Suffix for errors about a missing file: the shipped model with a similar name, or an empty text."""
    near = get_close_matches(str(path), names(), 1)
    return f"; or did you mean {near[0]}, which comes with the package?" if near else ""
