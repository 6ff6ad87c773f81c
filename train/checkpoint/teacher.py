"""The teacher of a distillation; its terms of the loss are in :mod:`seg_edge.train.losses.distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.artefact import sha256
from ...core.errors import DataError, ModelFileError
from ...core.labels import Labels
from ...core.shipped import CHECKPOINT, shipped
from ..losses.options import DistillOptions
from .file import Checkpoint, load_checkpoint


def open_teacher(path: str | Path, labels: Labels) -> Checkpoint:
    """A teacher for networks with these classes.

    Raises:
        ModelFileError: no checkpoint.
        DataError: the checkpoint knows other classes.
    """
    teacher = load_checkpoint(path)
    known, numbered = teacher.spec.labels, Labels.numbered(len(labels)).names
    # Classes that are only numbered have no names that could differ.
    same = known.names == labels.names or numbered in (known.names, labels.names)
    if len(known) != len(labels) or not same:
        raise DataError(
            f"`teacher={str(path)!r}`: knows {len(known)} classes ({', '.join(known.names[:3])}, …), the data has "
            f"{len(labels)} ({', '.join(labels.names[:3])}, …); a teacher must have been trained on the same classes"
        )
    return teacher


def provenance(options: DistillOptions) -> dict[str, Any]:
    """What a checkpoint records of its teacher: the file by its hash, and the weights of the terms.

    Raises:
        ModelFileError: the teacher is no file.
    """
    file = shipped(options.teacher, CHECKPOINT)
    if not file.is_file():
        raise ModelFileError(
            f"`teacher={str(options.teacher)!r}`: no such file; expected a checkpoint such as runs/NAME/best.pt"
        )
    return {"file": options.teacher.name, "sha256": sha256(file), **options.weights()}
