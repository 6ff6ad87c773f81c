"""Checkpoints: reading and writing them, and beginning or distilling with another training's.

>>> from seg_edge.train.checkpoint import load_checkpoint
>>> load_checkpoint("unet-s-camvid").spec.input_hw
(352, 480)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .begin import begin_with, config_for
    from .file import KEY, AtomicCheckpointIO, Checkpoint, describe, load_checkpoint, read_checkpoint, save_checkpoint
    from .names import BEST, CURVES, LAST, METRICS, checkpoint_file, epoch_file
    from .teacher import open_teacher, provenance

__all__ = [
    "BEST", "CURVES", "KEY", "LAST", "METRICS", "AtomicCheckpointIO", "Checkpoint", "begin_with", "checkpoint_file",
    "config_for", "describe", "epoch_file", "load_checkpoint", "open_teacher", "provenance", "read_checkpoint",
    "save_checkpoint",
]  # fmt: skip

# Loaded on first use: the names need no torch.
_HOMES = {
    ".begin": ("begin_with", "config_for"),
    ".file": (
        "KEY",
        "AtomicCheckpointIO",
        "Checkpoint",
        "describe",
        "load_checkpoint",
        "read_checkpoint",
        "save_checkpoint",
    ),
    ".names": ("BEST", "CURVES", "LAST", "METRICS", "checkpoint_file", "epoch_file"),
    ".teacher": ("open_teacher", "provenance"),
}  # fmt: skip


def __getattr__(name: str) -> object:
    home = next((home for home, members in _HOMES.items() if name in members), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home, __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
