"""One training with its folders, and what can be checked of it before torch is loaded."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError, InputError, ModelFileError
from .checkpoint.names import LAST, checkpoint_file
from .config import TrainConfig


@dataclass(frozen=True)
class Request:
    """A training that is asked for.

    Attributes:
        data: Folder with images/<split> and labels/<split>, or another of the layouts of :mod:`seg_edge.datasets`.
        out: Folder that is written.
        config: With its learning rate resolved.
        resume: Continue from ``last.pt`` in ``out``.
    """

    data: Path
    out: Path
    config: TrainConfig
    resume: bool = False

    @property
    def last(self) -> Path:
        """The checkpoint that a resumed training continues from."""
        return self.out / LAST

    def check(self) -> None:
        """Looks for missing files and folders and for an output folder that can't be used; takes milliseconds.

        Raises:
            DataError: no such dataset.
            ModelFileError: no such checkpoint.
            InputError: anything else.
        """
        config = self.config
        if not self.data.exists():
            raise DataError(
                f"dataset {self.data}: no such folder; pass `data` a folder with images/{config.train_split} and "
                f"labels/{config.train_split}"
            )
        for path in (config.init, config.distill.teacher if config.distill else None):
            if path is not None:
                checkpoint_file(path)
        if self.resume and not self.last.is_file():
            raise ModelFileError(f"nothing to resume: {self.last} does not exist; leave `resume` out to start")
        if not self.resume and self.last.exists():
            raise InputError(
                f"{self.out} holds a training already; pass `resume=True` to continue it, or another folder as `out`"
            )
        if config.freeze and not self.resume and config.init is None and config.pretrained is None:
            raise InputError("`freeze` keeps the encoder as it is, which needs a trained one; pass `init`, or `pretrained`")
        if config.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise InputError("`tensorboard` needs the package tensorboard; pip install 'seg-edge[tensorboard]'")
        _check_folder(self.out)


def _check_folder(out: Path) -> None:
    """Raises InputError if the folder can't be made or written; makes nothing."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise InputError(f"`out`: {existing} is a file; expected a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"`out`: {existing} can't be written; choose another folder")
