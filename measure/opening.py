"""Opens models for measuring: exported models through the runtime's engines, checkpoints through torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.shipped import CHECKPOINT, shipped
from ..runtime.modelfile.modelfile import resolve_model
from ..train.checkpoint.names import BEST, checkpoint_file
from .options import TORCH

if TYPE_CHECKING:
    from ..runtime.segmenter import Segmenter

CHECKPOINT_SUFFIX = Path(CHECKPOINT).suffix


def check_model(model: str | Path, engine: str = "auto") -> None:
    """Checks the path of a model before any heavy import.

    Raises:
        ModelFileError: a missing path, or a folder without a model.
        InputError: a checkpoint with an engine of exported models.
    """
    path = Path(model)
    if path.suffix != CHECKPOINT_SUFFIX:
        resolve_model(path)
        return
    checkpoint_file(path)
    if engine not in ("auto", TORCH):
        raise InputError(f"{path}: a checkpoint runs on the engine torch, got `engine={engine!r}`; export it first")


def two_checkpoints(runs: Sequence[str | Path]) -> tuple[Path, Path]:
    """The checkpoints of two trainings: folders of ``seg-edge train``, checkpoints, or shipped models' names.

    Raises:
        InputError: not two trainings, or the same one twice.
        ModelFileError: a checkpoint is missing.
    """
    if len(runs) != 2:
        raise InputError(f"compare: expected two runs, got {len(runs)}")
    paths = [shipped(run, CHECKPOINT) for run in runs]
    first, second = (path / BEST if path.is_dir() else path for path in paths)
    if first.resolve() == second.resolve():
        raise InputError(f"compare: {first} was given twice; pass two different runs")
    return checkpoint_file(first), checkpoint_file(second)


def open_model(model: str | Path, engine: str = "auto", threads: int | None = None) -> Segmenter:
    """A Segmenter of a checkpoint (.pt), an exported model, an artefact folder or a shipped model's name.

    Raises:
        ModelFileError: a missing path, or not a model.
        InputError: a checkpoint without torch, or with an engine of exported models.
        EngineError: the engine is missing or can't open the file.
    """
    from ..runtime.segmenter import Segmenter

    check_model(model, engine)
    path = shipped(model)
    if path.suffix != CHECKPOINT_SUFFIX:
        return Segmenter(path, engine=engine, threads=threads)
    try:
        from ..train.torch_engine import TorchEngine
    except ImportError as error:
        raise InputError(f"{path}: a checkpoint needs torch ({error}); pip install 'seg-edge[train]'") from error
    return Segmenter(TorchEngine.from_checkpoint(path, threads))
