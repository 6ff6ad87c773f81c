"""The stage of comparison: two trainings on one split, with a page, curves, and best and worst cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.artefact import check_writable
from ...core.errors import InputError
from ...core.progress import Progress
from ...core.report import MappingReport
from ...datasets.opening import for_model, open_dataset
from ..opening import two_checkpoints
from ..options import CompareOptions
from .titles import TITLES


class ComparisonReport(MappingReport):
    """A comparison of two trainings, as in ``compare --json``.

    Attributes:
        files: The written files: the page, its JSON, and the images.
    """

    def __init__(self, data: Mapping[str, Any], files: Sequence[Path] = ()) -> None:
        super().__init__(data)
        self.files = list(files)

    def title(self) -> str:
        return f"{self['data']} ({self['split']}, {self['images']} images)"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        a, b = self["runs"]
        rows = []
        for key, title in TITLES.items():
            cells = ["–" if value is None else f"{100 * value:.2f}" for value in (a["metrics"][key], b["metrics"][key])]
            gap = self["difference"][key]
            rows.append([title, *cells, "–" if gap is None else f"{100 * gap:+.2f}"])
        return ["%", a["name"], b["name"], "difference"], rows


def compare(
    runs: Sequence[str | Path], out: str | Path, options: CompareOptions, *, progress: Progress | None = None
) -> ComparisonReport:
    """Evaluates two trainings through the runtime's pre- and post-processing, image by image.

    >>> report = compare(["runs/street", "unet-s-camvid"], "compare", CompareOptions(data="data", cases=1))
    >>> report["difference"]["miou"]  # two copies of one training
    0.0

    Args:
        runs: Two folders of trainings, checkpoints, or shipped models' names, with the same classes.
        out: Folder for ``compare.md``, ``compare.json``, ``curves.png``, ``best.png`` and ``worst.png``.
        options: Dataset, split, number of cases, threads.
        progress: Receives the number of images done; None is silent.

    Raises:
        InputError: not two runs, the same run twice, a folder that can't be written, or torch or matplotlib is missing.
        ModelFileError, DataError: a file can't be read, or the classes differ.
    """
    files, out = two_checkpoints(runs), Path(out)
    check_writable(out / "compare.json")
    dataset = open_dataset(options.data, options.split)
    try:  # after the checks of paths, because torch takes seconds to import
        from .images import write_comparison
        from .sides import compare_runs
    except ImportError as error:
        raise InputError(
            f"compare needs packages that are not installed ({error}); pip install 'seg-edge[train]'"
        ) from error
    comparison = compare_runs(files, lambda segmenter: for_model(dataset, segmenter.spec), options.threads, progress)
    written = write_comparison(comparison, out, options.cases, options.threads)
    return ComparisonReport(comparison.to_dict(options.cases), written)
