"""Accuracy of models on other domains than that of their training: a table of mIoU, training domain × test domain."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..core.errors import GateError, InputError
from ..core.options import several
from ..core.progress import Count, Progress, Silent
from ..core.report import MappingReport
from ..datasets.dataset import SegDataset
from ..datasets.opening import for_model, open_dataset
from ..runtime.segmenter import Segmenter
from .evaluation import evaluate_split, percent
from .opening import check_model, open_model
from .options import EvaluateOptions

_DEFAULTS = EvaluateOptions()


class DomainsReport(MappingReport):
    """mIoU of models on domains: ``split``, ``domains`` and ``rows``, as in ``domains --json``."""

    def title(self) -> str:
        return f"mIoU in % ({self['split']}); * is the model's own domain, unseen the mean of the others"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        columns = ["model", "trained on", *(domain["name"] for domain in self["domains"]), "unseen"]
        rows = []
        for row in self["rows"]:
            # A star marks the training domain of the model.
            cells = [percent(value) + ("*" if name == row["trained_on"] else "") for name, value in row["miou"].items()]
            rows.append([row["model"], row["trained_on"] or "–", *cells, percent(row["unseen_miou"])])
        return columns, rows

    def csv_text(self) -> str:
        """The table as CSV; fractions with six digits, empty where undefined."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["model", "trained_on", *(domain["name"] for domain in self["domains"]), "unseen"])
        for row in self["rows"]:
            values = [*row["miou"].values(), row["unseen_miou"]]
            writer.writerow([row["model"], row["trained_on"] or "", *("" if v is None else f"{v:.6f}" for v in values)])
        return text.getvalue()


def evaluate_domains(
    models: str | Path | Sequence[str | Path],
    data: str | Path | Sequence[str | Path],
    options: EvaluateOptions = _DEFAULTS,
    *,
    progress: Progress | None = None,
) -> DomainsReport:
    """Evaluates every model on every domain.

    >>> report = evaluate_domains(["unet-s-camvid"], ["data"])
    >>> [domain["name"] for domain in report["domains"]], report["rows"][0]["trained_on"]
    (['data'], 'camvid')

    The seen domain of a model is the dataset that the model's provenance names; all other domains are unseen.

    Args:
        models: Checkpoints (.pt), exported models, artefact folders or shipped models' names.
        data: Dataset folder of each domain; the folder's name is the name of the domain.
        options: Split, engine and threads.
        progress: Receives the number of images done; None is silent.

    Raises:
        InputError: no model or domain, or two domains with the same name.
        ModelFileError: no such model.
        DataError: no such dataset, other classes than a model's, or an image or label that can't be read.
        EngineError: an engine is missing or failed.
    """
    models, data = several(models), several(data)
    names = [Path(folder).resolve().name for folder in data]
    if not models or not names:
        raise InputError("domains: expected at least one model and one dataset in `data`")
    if len(set(names)) < len(names):
        raise InputError(f"domains: `data` folders are called by their names, which must differ; got {', '.join(names)}")
    for path in models:
        check_model(path, options.engine)
    domains = {name: open_dataset(folder, options.split) for name, folder in zip(names, data, strict=True)}
    with ExitStack() as stack:
        opened = [(str(path), stack.enter_context(open_model(path, options.engine, options.threads))) for path in models]
        domains = {name: for_model(dataset, opened[0][1].spec) for name, dataset in domains.items()}
        rows: list[dict[str, Any]] = []
        images = sum(map(len, domains.values()))
        count = (progress or Silent()).count("evaluating")
        for at, (name, segmenter) in enumerate(opened):
            scores = _scores(segmenter, domains, at * images, len(opened) * images, count)
            own = segmenter.spec.provenance.get("dataset")
            unseen = [value for domain, value in scores.items() if domain != own and value is not None]
            rows.append(
                {
                    "model": name, "network": segmenter.spec.name, "trained_on": own, "engine": segmenter.engine.name,
                    "miou": scores, "unseen_miou": sum(unseen) / len(unseen) if unseen else None,
                }
            )  # fmt: skip
    return DomainsReport(
        {
            "split": next(iter(domains.values())).split,
            "domains": [{"name": name, "images": len(dataset)} for name, dataset in domains.items()],
            "rows": rows,
        }
    )


def require_unseen_miou(report: Mapping[str, Any], min_unseen: float) -> None:
    """Raises GateError if a model's mean mIoU on unseen domains is below ``min_unseen``, a fraction.

    >>> require_unseen_miou({"rows": [{"model": "a.onnx", "unseen_miou": 0.4}]}, 0.5)
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.GateError: domains: a.onnx: 40.00 % on unseen domains, `min_unseen` is 50 %
    """
    for row in report["rows"]:
        value = row["unseen_miou"]
        if value is None or value < min_unseen:
            got = "no unseen domain" if value is None else f"{100 * value:.2f} %"
            raise GateError(f"domains: {row['model']}: {got} on unseen domains, `min_unseen` is {100 * min_unseen:g} %")


def _scores(
    segmenter: Segmenter, domains: Mapping[str, SegDataset], done: int, total: int, count: Count
) -> dict[str, float | None]:
    """mIoU by domain; ``count`` receives the number of images, starting after ``done`` of ``total``."""
    scores: dict[str, float | None] = {}
    for name, dataset in domains.items():
        scores[name] = evaluate_split(segmenter, dataset, _after(done, total, count))["miou"]
        done += len(dataset)
    return scores


def _after(before: int, total: int, count: Count) -> Count:
    return lambda done, _images: count(before + done, total)
