"""``seg-edge compare``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import print_table, progress_bar, writable

if TYPE_CHECKING:
    from ..datasets.dataset import SegDataset
    from ..runtime.segmenter import Segmenter


def compare(
    run_a: Annotated[
        Path,
        typer.Argument(metavar="RUN_A", help="Folder of a training (runs/NAME), a checkpoint, or a shipped model's name."),
    ],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The other one; same classes.")],
    data: Annotated[Path, typer.Option(help="Dataset folder.")],
    split: Annotated[str, typer.Option(help="Which split to compare on.")] = "val",
    out: Annotated[Path, typer.Option(help="Folder for compare.md, compare.json, curves.png, best.png, worst.png.")] = Path(
        "compare"
    ),
    cases: Annotated[int, typer.Option(min=1, max=50, help="Images among the best and among the worst.")] = 3,
    threads: Annotated[int | None, typer.Option(help="CPU threads. Default: every core.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here too.", callback=writable)] = None,
) -> None:
    """Compare two trainings: six metrics, curves in one picture, best and worst cases."""
    from ..core.artefact import check_writable, write_json
    from ..core.errors import InputError
    from ..datasets.opening import open_dataset_for

    try:
        from ..measure.comparison import compare_runs
        from ..measure.comparison_images import TITLES, write_comparison
    except ImportError as error:
        raise InputError(
            f"compare needs packages that are not installed ({error}); pip install 'seg-edge[train]'"
        ) from error

    check_writable(out / "compare.json")

    def open_split(segmenter: Segmenter) -> SegDataset:
        return open_dataset_for(data, split, segmenter.labels)

    with progress_bar() as bar:
        task = bar.add_task("comparing", total=None)
        found = compare_runs(
            (run_a, run_b), open_split, threads,
            lambda name, done, total: bar.update(task, description=name, completed=done, total=total),
        )  # fmt: skip
    files = write_comparison(found, out, cases, threads)
    report = found.to_dict(cases)
    from rich.table import Table

    a, b = report["runs"]
    table = Table("%", *(run["name"] for run in (a, b)), "difference")
    for key, title in TITLES.items():
        values = (a["metrics"][key], b["metrics"][key])
        cells = ["–" if value is None else f"{100 * value:.2f}" for value in values]
        gap = report["difference"][key]
        table.add_row(title, *cells, "–" if gap is None else f"{100 * gap:+.2f}")
    print_table(f"{report['data']} ({report['split']}, {report['images']} images)", table)
    for note in report["notes"]:
        print(f"note: {note}")
    for file in files:
        print(f"  {file}")
    if json:
        write_json(json, report)
