"""How models that were trained on one domain do on others: a table of mIoU, training domain × test domain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..datasets.dataset import SegDataset
from ..runtime.segmenter import Segmenter
from .evaluation import evaluate


def transfer_table(
    models: Sequence[tuple[str, Segmenter]],
    domains: Mapping[str, SegDataset],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluates every model on every domain.

    A domain is seen by a model if it is the dataset that the model's provenance names as its own; the others are unseen.

    Args:
        models: (name, model) pairs.
        domains: Name → split of a dataset with the models' classes.
        progress: Called with (images done, images in all).

    Returns:
        What ``domains --json`` writes: split, domains with their number of images, and a row for each model.

    Raises:
        DataError: a dataset with other classes than a model's, or an image or label that can't be read.
        EngineError: an engine failed.
    """
    rows: list[dict[str, Any]] = []
    total, done = len(models) * sum(map(len, domains.values())), 0
    for name, segmenter in models:
        own = segmenter.spec.provenance.get("dataset")
        scores: dict[str, float | None] = {}
        for domain, dataset in domains.items():
            scores[domain] = evaluate(segmenter, dataset, _after(done, total, progress))["miou"]
            done += len(dataset)
        unseen = [value for domain, value in scores.items() if domain != own and value is not None]
        rows.append(
            {
                "model": name, "network": segmenter.spec.name, "trained_on": own, "engine": segmenter.engine.name,
                "miou": scores, "unseen_miou": sum(unseen) / len(unseen) if unseen else None,
            }
        )  # fmt: skip
    return {
        "split": next(iter(domains.values())).split,
        "domains": [{"name": name, "images": len(dataset)} for name, dataset in domains.items()],
        "rows": rows,
    }


def _after(before: int, total: int, progress: Callable[[int, int], None] | None) -> Callable[[int, int], None] | None:
    """Tells ``progress`` of one evaluation's images as those after the first ``before`` ones."""
    if progress is None:
        return None
    told = progress
    return lambda done, _all: told(before + done, total)
