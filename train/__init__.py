"""Training: models, losses, augmentation and the trainer.

>>> from seg_edge.train import TrainConfig, fit, load_recipe
>>> config = load_recipe("camvid", epochs=20)
>>> report = fit("data/camvid", "runs/camvid", config)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import TrainConfig
    from .data.options import AugmentOptions
    from .losses.options import DistillOptions, SiameseOptions
    from .recipe import load_recipe
    from .report import TrainReport
    from .training import fit

__all__ = ["AugmentOptions", "DistillOptions", "SiameseOptions", "TrainConfig", "TrainReport", "fit", "load_recipe"]

# Loaded on first use, so that no part waits for the others.
_HOMES = {
    "AugmentOptions": ".data.options",
    "DistillOptions": ".losses.options",
    "SiameseOptions": ".losses.options",
    "TrainConfig": ".config",
    "TrainReport": ".report",
    "fit": ".training",
    "load_recipe": ".recipe",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
