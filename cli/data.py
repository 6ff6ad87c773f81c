"""``seg-edge data``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..datasets.composites.options import ComposeOptions
from ..datasets.options import AUTO, FORMATS, CheckOptions, ConvertOptions, SplitOptions, parse_names
from ..datasets.public import DOWNLOADED, REGISTERED
from ..datasets.synth.options import SynthOptions
from .common import print_table, writable
from .derive import Fields, Values, derive
from .progress import Bars
from .translate import translated

if TYPE_CHECKING:
    from ..datasets import CheckReport

app = typer.Typer(help="Make and look at datasets.", no_args_is_help=True)
Out = Annotated[Path, typer.Option("--out", help="Folder to make.")]


@app.callback()
def _group() -> None:
    """Make and look at datasets."""


@app.command()
@derive(Fields(SynthOptions, skip=("image_suffix",), defaults={"workers": None}))
def synth(
    out: Out,
    values: Values,
    jpg: Annotated[bool, typer.Option("--jpg", help="Images as JPEG instead of PNG.")] = False,
) -> None:
    """Generate street scenes with ground truth: CamVid's 11 classes, deterministic by seed."""
    given = values.given(SynthOptions)
    domains = tuple(name for entry in given.get("domains", ()) for name in parse_names(entry))
    options = SynthOptions(**{**given, "domains": domains, "image_suffix": ".jpg" if jpg else ".png"})

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from ..datasets import synthesize

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns) as bars:
        report = synthesize(out, options, progress=bars)
    print(report.title())


@app.command()
@derive(Fields(ComposeOptions, defaults={"workers": None}))
def compose(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="Datasets with labels, in any known layout. The first one's classes are those of the result.",
        ),
    ],
    out: Out,
    values: Values,
) -> None:
    """Cut things out of labelled photographs and paste them onto other backgrounds, with exact labels."""
    options = values.of(ComposeOptions)

    from ..datasets import compose as run

    with Bars() as bars:
        report = run(sources, out, options, progress=bars)
    columns, rows = report.table()
    print(report.title())
    for row in rows:
        print(f"{row[0]}: {', '.join(f'{count} {name}' for name, count in zip(columns[1:], row[1:], strict=True))}")
    print(f"look it over: seg-edge data check {out} --sheet sheet.png")


@app.command("split-classes")
@derive(SplitOptions)
def split_classes(
    data: Annotated[Path, typer.Argument(help="Dataset folder with all its labels, in any known layout.")],
    out: Out,
    values: Values,
) -> None:
    """Take a dataset apart into single-class ones (CLASS/images, CLASS/masks); its other splits stay whole."""
    options = values.of(SplitOptions)

    from ..datasets import split_classes as split

    with Bars() as bars:
        report = split(data, out, options, progress=bars)
    print(report.title())


@app.command()
def get(
    name: Annotated[str, typer.Argument(help=f"{', '.join(DOWNLOADED)}; {' and '.join(REGISTERED)} tell how to get them.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to make. Default: data/NAME.")] = None,
) -> None:
    """Download a public dataset; called again after an interruption, it goes on where it stopped."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

    from ..datasets import fetch

    with Bars(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()) as bars:
        report = fetch(name, out, progress=bars)
    print(f"{report.title()}\nlook it over: seg-edge data check {report.data}")


@app.command()
@derive(Fields(ConvertOptions, skip=("format",)))
def convert(
    format: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"{AUTO} (recognised by its files), {', '.join(FORMATS)}.")
    ],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of the dataset, or its annotation file.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to make.")],
    values: Values,
) -> None:
    """Convert annotations of other tools into images/<split> and labels/<split>."""
    options = values.of(ConvertOptions, format=format)

    from ..datasets import convert as run

    with Bars() as bars:
        report = run(source, target, options, progress=bars)
    print("\n".join([report.title(), *report.notes, f"look it over: seg-edge data check {target}"]))


@app.command()
@derive(CheckOptions)
def check(
    data: Annotated[Path, typer.Argument(help="Dataset folder, in any known layout.")],
    values: Values,
    json: Annotated[Path | None, typer.Option(help="Write what the check finds here.", callback=writable)] = None,
) -> None:
    """Look a dataset over: sizes, label values, class frequencies, missing pairs, images that are in two splits."""
    options = values.of(CheckOptions)

    from ..core.errors import DataError
    from ..datasets import check as run

    with Bars() as bars:
        report = run(data, options, progress=bars)
    if json:
        report.write(json)
    _print(report)
    if report.errors:
        raise DataError(
            f"data check: {data}: {len(report.errors)} of its files can't be trained on; the first: {report.errors[0]}"
        )


def _print(report: CheckReport) -> None:
    from rich.table import Table

    columns, rows = report.table()
    table = Table(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    print_table(report.title(), table)
    for line in report.notes():
        print(translated(line))
