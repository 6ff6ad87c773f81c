"""``seg-edge bench``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..core.errors import InputError
from ..core.options import parse_size
from ..core.shipped import DEFAULT
from ..measure import BenchOptions
from .common import about_file, console, writable
from .derive import Fields, Values, derive
from .progress import Bars
from .translate import translated

if TYPE_CHECKING:
    from rich.console import Console

    from ..core.progress import Progress
    from ..measure import BenchReport
    from ..measure.report.tables import Table


#: Limits of the table: seconds of measurement per configuration, the uncertainty of the ratios at which it may stop
#: earlier, and the seconds after which no more turns begin. Ten networks then take less than nine minutes on two cores.
TABLE_DURATION_S, TABLE_SETTLE, TABLE_LIMIT_S = 8.0, 0.03, 430.0
#: Turns after which every network is opened again, and seconds per turn. Measurements show that a network's rate can
#: vary by 10 % between turns of any length, so forty short turns are more precise than twenty long ones.
TABLE_REOPEN, TABLE_TURN_S = 4, 0.2


class _Group(TyperGroup):
    """``bench MODEL…`` measures; ``bench compare`` is a command (write ``./compare`` for a folder of that name)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args if args[:1] == ["compare"] else ["measure", *args])


app = typer.Typer(cls=_Group, help="Measure latency and frames per second, or compare two reports: bench compare A B.")


@app.command("compare")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A.json", help="A report of bench --json.")],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="Another one.")],
    max_regression: Annotated[
        float | None,
        typer.Option(help="Fail (exit 3) if a row lost more than this many % of its speed, end to end or engine."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the comparison here.", callback=writable)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table here.", callback=writable)] = None,
) -> None:
    """Compare two reports row by row: slower, faster, or no difference shown."""
    from ..core.artefact import write_json, write_text
    from ..measure.report import difference

    comparison = difference.compare_reports(difference.read_report(a), difference.read_report(b))
    if json:
        write_json(json, {"a": str(a), "b": str(b), **comparison})
    if markdown:
        write_text(markdown, difference.markdown(comparison, str(a), str(b)))
    shown = difference.table(comparison)
    out = console()
    _show(out, f"A: {a}, B: {b}; 95 % intervals of the median time", shown)
    for text in shown.notes:
        out.print(f"note: {text}", style="yellow", highlight=False, markup=False)
    difference.require_no_regression(comparison, None if max_regression is None else max_regression / 100)


@app.command("measure")
@derive(Fields(BenchOptions, skip=("turn_s",)))
def bench(
    values: Values,
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL...",
            help="ONNX or engine files, artefact folders, folders of artefacts, shipped models' names. Default, without "
            f"--table and --peer: {DEFAULT}, which comes with the package.",
        ),
    ] = None,
    table: Annotated[
        bool, typer.Option("--table", help="Also measure the published table's networks and our family (random weights).")
    ] = False,
    peer: Annotated[list[Path] | None, typer.Option(help="Anybody's ONNX file to measure beside; may be repeated.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="With --table: this network instead of all; may be repeated.")
    ] = None,
    imgsz: Annotated[
        str, typer.Option(help="Input size HxW of the table's networks; of peers that leave it free.")
    ] = "352x480",
    cache: Annotated[Path | None, typer.Option(help="Where exported networks are kept. Default: ~/.cache/seg-edge.")] = None,
    min_fps: Annotated[float | None, typer.Option(help="Fail (exit 3) if a row's end-to-end FPS is below this.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.", callback=writable)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables here.", callback=writable)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every value of every row here.", callback=writable)] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one page with tables and images inside here.", callback=writable)
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Write pareto.png and breakdown.png into this folder.")] = None,
) -> None:
    """Measure latency and frames per second: the engine alone, and frame in memory to overlay in memory.

    Two reports are compared with: seg-edge bench compare A.json B.json
    """
    options = values.of(BenchOptions)
    size_hw = _size(imgsz)
    if not (models or table or peer):
        models = [Path(DEFAULT)]
    if table:
        options = _for_the_table(options)
    from ..measure.benchmark.finding import find_models

    given = find_models(models, options.engines) if models else []
    if network and not table:
        raise InputError("bench: `network` goes with `table=True`")
    for model in models or ():
        _name_shipped(model, options)
    from ..measure.benchmark import runs
    from ..measure.benchmark.outcome import require_fps, require_measured
    from ..runtime.modelfile.modelfile import read_spec

    with Bars(start="opening", refresh_per_second=2) as bars:
        added = _added(given, table, network, peer, size_hw, cache, bars)
        if table and options.relative_to is None and added:
            options = options.with_(relative_to=read_spec(added[0]).name)
        report = runs.bench([*added, *given], options, progress=bars)
    # Write the report before checking limits, because users need the report of a broken limit most.
    reasons = _write(report, json, markdown, csv, html, plots)
    require_measured(report)
    _print(report)
    for reason in reasons:
        console().print(translated(reason), style="yellow", highlight=False, markup=False)
    if min_fps is not None:
        require_fps(report, min_fps)


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except InputError as error:
        raise InputError(f"`imgsz`: {error}") from error


def _for_the_table(options: BenchOptions) -> BenchOptions:
    """Limits engines and duration: ten networks on every engine would take too long, so only the fastest is used."""
    options = options.with_(engines=options.engines or ("auto",))
    if options.duration_s is not None or options.runs is not None:
        return options
    return options.with_(
        duration_s=TABLE_DURATION_S,
        settle=TABLE_SETTLE if options.settle is None else options.settle,
        limit_s=TABLE_LIMIT_S if options.limit_s is None else options.limit_s,
        reopen=TABLE_REOPEN if options.reopen is None else options.reopen,
        turn_s=TABLE_TURN_S,
    )


def _name_shipped(model: Path, options: BenchOptions) -> None:
    """Prints the file that a shipped model's name refers to."""
    from ..core.shipped import shipped
    from ..measure.benchmark.finding import find_models
    from ..runtime.modelfile.modelfile import read_spec

    if shipped(model) != model:
        file = find_models([model], options.engines)[0]
        print(about_file(model, file, read_spec(file)))


def _added(
    given: list[Path], table: bool, networks: list[str] | None, peers: list[Path] | None, size_hw: tuple[int, int],
    cache: Path | None, progress: Progress,
) -> list[Path]:  # fmt: skip
    """The networks of the table, then the peers; exported into the cache if they are missing there."""
    added: list[Path] = []
    if table:
        try:
            from ..export.networks.reference import table_models
        except ImportError as error:
            remedy = "pip install 'seg-edge[train,export,zoo]'"
            raise InputError(f"bench `table=True`: needs torch and onnx ({error}); {remedy}") from error
        added += table_models(given, size_hw, networks, cache, progress)
    for path in peers or ():
        try:
            from ..export.networks.peer import wrap_peer
        except ImportError as error:
            raise InputError(f"bench `peer`: needs the package onnx ({error}); pip install 'seg-edge[export]'") from error
        added.append(wrap_peer(path, size_hw, cache))
    return added


def _write(
    report: BenchReport, json: Path | None, markdown: Path | None, csv: Path | None, html: Path | None, plots: Path | None
) -> list[str]:
    """Writes the requested files; returns the reasons for missing images."""
    from ..core.artefact import write_text
    from ..measure.report import tables

    if json:
        report.write(json)
    if markdown:
        write_text(markdown, tables.markdown(report))
    if csv:
        write_text(csv, tables.csv_text(report))
    return _write_images(report, html, plots) if html or plots else []


def _write_images(report: BenchReport, html: Path | None, folder: Path | None) -> list[str]:
    from ..core.artefact import atomic_path, write_text
    from ..measure.benchmark.outcome import load_warning
    from ..measure.report.html import page
    from ..measure.report.plots import images

    made, reasons = images(report)
    if folder:
        for name, data in made.items():
            with atomic_path(folder / f"{name}.png") as temporary:
                temporary.write_bytes(data)
    if html:
        write_text(html, page(report, made, reasons, load_warning(report)))
    return reasons


def _print(report: BenchReport) -> None:
    from ..measure.benchmark.outcome import load_warning
    from ..measure.report import tables
    from ..measure.report.terminal import LEGEND, speed

    out = console()
    shown = speed(report)
    _show(out, tables.title(report), shown)
    for number, text in enumerate(shown.notes, 1):
        out.print(f"[{number}] {text}", highlight=False, markup=False)
    for text in shown.shared:
        out.print(f"all rows: {text}", highlight=False, markup=False)
    for text in (*tables.legend(report), LEGEND):
        out.print(text, highlight=False, markup=False)
    out.print()
    for heading, more in tables.others(report):
        _show(out, heading, more)
        out.print()
    if tables.has_reference(report):
        _show(
            out, tables.reference_title(report), tables.Table(list(tables.REFERENCE_COLUMNS), tables.reference_rows(report))
        )
    if warning := load_warning(report):
        out.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)


def _show(out: Console, heading: str, table: Table) -> None:
    from rich.markup import escape
    from rich.table import Table as Shown

    from ..measure.report.tables import TEXT_COLUMNS
    from ..measure.report.terminal import fit, remarks

    fitted = fit(table, out.width)
    shown = Shown()
    for column, width in zip(fitted.table.columns, fitted.widths, strict=True):
        # Wide cells are folded, because truncated names and numbers are useless.
        shown.add_column(column, justify="left" if column in TEXT_COLUMNS else "right", width=width, overflow="fold")
    for cells in fitted.table.rows:
        shown.add_row(*map(escape, cells))
    out.print(heading, style="bold", highlight=False, markup=False)
    out.print(shown)
    for text in remarks(fitted, out.width):
        out.print(text, highlight=False, markup=False)
