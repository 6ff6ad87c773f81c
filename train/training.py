"""The training as a stage: what can be checked at once is checked before torch is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.progress import Progress
from .config import TrainConfig
from .report import TrainReport
from .request import Request


def fit(
    data: str | Path,
    out: str | Path,
    config: TrainConfig | None = None,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainReport:
    """Trains a network.

    >>> from seg_edge.train import TrainConfig, fit
    >>> report = fit("data/camvid", "runs/camvid", TrainConfig(epochs=20))  # doctest: +SKIP
    >>> report["best"]["miou"]  # doctest: +SKIP
    0.61

    Under ``torchrun`` all processes call it alike: see :mod:`.distributed`. The first one writes and reports progress.

    Args:
        data: Dataset: a folder with images/<split> and labels/<split>, or another layout that
            :func:`seg_edge.datasets.open_dataset` reads.
        out: Folder for ``best.pt``, ``last.pt``, ``metrics.csv``, ``curves.png`` and ``report.json``.
        config: Everything else; None is ``TrainConfig()``. :func:`seg_edge.train.load_recipe` gives those of recipes.
        resume: Continue from ``last.pt`` in ``out``; ``config.epochs`` may have been raised.
        progress: Gets a line per epoch and counts the steps.

    Returns:
        The report, which is also ``report.json`` in ``out``.

    Raises:
        ProcessError: another process of the training failed.
        SegEdgeError: a wrong dataset, option or checkpoint; nothing has been written then.
        KeyboardInterrupt: on Ctrl-C; ``last.pt`` then holds the last whole epoch.
    """
    request = Request(Path(data), Path(out), (config or TrainConfig()).resolved(), resume)
    # What one process of several refuses, all must refuse: they agree on it once they are connected.
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        request.check()
    from .trainer import train

    return train(request, progress)
