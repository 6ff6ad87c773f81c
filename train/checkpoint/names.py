"""Files of a training, by name. No torch here: missing files are reported before it is loaded."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import ModelFileError
from ...core.shipped import CHECKPOINT, hint, shipped

#: The best weights: of what Lightning saves it holds what inference needs.
BEST = "best.pt"
#: Everything that a resumed training needs.
LAST = "last.pt"
METRICS, CURVES = "metrics.csv", "curves.png"


def checkpoint_file(path: str | Path) -> Path:
    """The file of a checkpoint, or of a shipped model's by its name.

    >>> checkpoint_file("unet-s-camvid").name
    'checkpoint.pt'

    Raises:
        ModelFileError: no such file.
    """
    file = shipped(path, CHECKPOINT)
    if not file.is_file():
        problem = "is a folder" if file.is_dir() else "no such file"
        raise ModelFileError(f"{file}: {problem}; expected a checkpoint such as runs/NAME/best.pt{hint(file)}")
    return file


def epoch_file(epoch: int) -> str:
    """Name of the checkpoint that is kept of an epoch; epochs are counted from 1.

    >>> epoch_file(10)
    'epoch_0010.pt'
    """
    return f"epoch_{epoch:04d}.pt"
