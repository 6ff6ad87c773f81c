"""``seg-edge bench``"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .common import console, parse_size, progress_bar, writable

if TYPE_CHECKING:
    from rich.console import Console

    from ..measure.report.tables import Table


#: Measurement per configuration of the table, at most, in seconds; the uncertainty of the ratios, in %, at which it may stop
#: earlier; and the seconds after which it begins no more turns: ten networks then take less than nine minutes on two cores.
TABLE_DURATION_S, TABLE_SETTLE, TABLE_LIMIT_S = 8.0, 3.0, 430.0
#: Turns of the table after which every network is opened anew, and the seconds of one: where a network's rate changes by a
#: tenth from one turn to the next whatever their length (measured), forty short turns tell more than twenty long ones.
TABLE_REOPEN, TABLE_TURN_S = 4, 0.2


class _Group(TyperGroup):
    """``bench MODEL…`` measures; only ``bench compare`` is another command (a folder of that name is ``./compare``)."""

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
    from ..measure.report import difference as bench_compare

    found = bench_compare.compare(bench_compare.read_report(a), bench_compare.read_report(b))
    if json:
        write_json(json, {"a": str(a), "b": str(b), **found})
    if markdown:
        write_text(markdown, bench_compare.markdown(found, str(a), str(b)))
    shown = bench_compare.table(found)
    out = console()
    _show(out, f"A: {a}, B: {b}; 95 % intervals of the median time", shown)
    for text in shown.notes:
        out.print(f"note: {text}", style="yellow", highlight=False, markup=False)
    bench_compare.check(found, None if max_regression is None else max_regression / 100)


@app.command("measure")
def bench(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL...", help="ONNX or engine files, artefact folders, folders of artefacts, shipped models' names."
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine; may be repeated. Default: every one available; of an engine file, its own. auto: the fastest."
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
    relative_to: Annotated[
        str | None, typer.Option(help="Model that the others are divided by. Default with --table: its first network.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Where exported networks are kept. Default: ~/.cache/seg-edge.")] = None,
    frame: Annotated[str, typer.Option(help="Size HxW of the frames fed in.")] = "720x1280",
    threads: Annotated[
        list[str] | None, typer.Option(help="CPU threads: a number or several (1,2); may be repeated. Default: every core.")
    ] = None,
    batch: Annotated[
        list[str] | None,
        typer.Option(help="Frames per inference: a number or several (1,4). Default: what the file fixes, else 1."),
    ] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds of measurement per configuration. Default: 5.")] = None,
    runs: Annotated[int | None, typer.Option(help="Instead: this many runs of each kind per configuration.")] = None,
    data: Annotated[Path | None, typer.Option(help="Dataset to take frames from and to measure mIoU on.")] = None,
    split: Annotated[str, typer.Option(help="Split of the dataset.")] = "val",
    settle: Annotated[
        float | None, typer.Option(help="Stop earlier, once every row's interval is within plus or minus this many %.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option(help="Begin no more turns after this many seconds of measuring, once there are six.")
    ] = None,
    reopen: Annotated[
        int | None,
        typer.Option(help="Open every model anew after this many turns: where memory lies changes the speed of some."),
    ] = None,
    wait: Annotated[float, typer.Option(help="Wait up to this many seconds until other processes are quiet.")] = 0,
    source: Annotated[
        str | None, typer.Option(help="Also measure camera to sink: camera:30 (simulated), 0, a video or a folder.")
    ] = None,
    sink: Annotated[str, typer.Option(help="Where --source goes: none, window, or a video file.")] = "none",
    min_fps: Annotated[float | None, typer.Option(help="Fail (exit 3) if a row's end-to-end FPS is below this.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.", callback=writable)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables here.", callback=writable)] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every value of every row here.", callback=writable)] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one page with tables and pictures inside here.", callback=writable)
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Write pareto.png and breakdown.png into this folder.")] = None,
) -> None:
    """Measure latency and frames per second: the engine alone, and frame in memory to overlay in memory.

    Two reports are compared with: seg-edge bench compare A.json B.json
    """
    from ..core.artefact import write_json, write_text
    from ..core.errors import InputError
    from ..measure.benchmark import runs as measure
    from ..measure.benchmark.turns import TURN_S
    from ..measure.report import tables as bench_report
    from ..runtime.modelfile.modelfile import read_spec

    size_hw = parse_size(frame, "--frame")
    assert size_hw is not None
    turn_s = TURN_S
    counts, batches = _numbers(threads, "--threads"), _numbers(batch, "--batch")
    given: list[Path] = measure.find_models(models or (), engine) if models or not (table or peer) else []
    if network and not table:
        raise InputError("bench: --network goes with --table")
    if table:
        # Ten networks on every engine would take too long, so it is the fastest one; the largest take a second a run.
        engine = engine or ["auto"]
        if duration is None and runs is None:
            duration = TABLE_DURATION_S
            settle, limit = settle if settle is not None else TABLE_SETTLE, limit if limit is not None else TABLE_LIMIT_S
            reopen, turn_s = reopen if reopen is not None else TABLE_REOPEN, TABLE_TURN_S
    with progress_bar(refresh_per_second=2) as bar:
        task = bar.add_task("opening", total=None)
        added = _added(given, table, network, peer, imgsz, cache, lambda what: bar.update(task, description=what))
        if table and relative_to is None and added:
            relative_to = read_spec(added[0]).name
        report = measure.bench(
            [*added, *given], engine_names=engine, threads=counts, batches=batches, frame_hw=size_hw, duration_s=duration,
            runs=runs, data=data, split=split, settle=None if settle is None else settle / 100, limit_s=limit, reopen=reopen,
            turn_s=turn_s, wait_s=wait, source=source, sink=sink, relative_to=relative_to,
            progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
        )  # fmt: skip
    # Written before anything is judged: a report that broke a limit is the one that is read.
    if json:
        write_json(json, report)
    if markdown:
        write_text(markdown, bench_report.markdown(report))
    if csv:
        write_text(csv, bench_report.csv_text(report))
    reasons = _pictures(report, html, plots) if html or plots else []
    _print(report)
    for reason in reasons:
        console().print(reason, style="yellow", highlight=False, markup=False)
    measure.check(report, min_fps)


def _added(
    given: list[Path], table: bool, networks: list[str] | None, peers: list[Path] | None, imgsz: str, cache: Path | None,
    say: Callable[[str], None],
) -> list[Path]:  # fmt: skip
    """The table's networks, then peers; exported into the cache where they are not there yet."""
    from ..core.errors import InputError

    size_hw = parse_size(imgsz)
    assert size_hw is not None
    found: list[Path] = []
    if table:
        try:
            from ..export.networks.reference import table_models
        except ImportError as error:
            remedy = "pip install 'seg-edge[train,export,zoo]'"
            raise InputError(f"bench --table: needs torch and onnx ({error}); {remedy}") from error
        found += table_models(given, size_hw, networks, cache, say)
    for path in peers or ():
        try:
            from ..export.networks.peer import wrap_peer
        except ImportError as error:
            raise InputError(f"bench --peer: needs the package onnx ({error}); pip install 'seg-edge[export]'") from error
        found.append(wrap_peer(path, size_hw, cache))
    return found


def _pictures(report: dict[str, Any], html: Path | None, folder: Path | None) -> list[str]:
    """Writes the page and the pictures; returns why pictures are missing."""
    from ..core.artefact import atomic_path, write_text
    from ..measure.benchmark.runs import load_warning
    from ..measure.report.html import page
    from ..measure.report.plots import pictures

    made, reasons = pictures(report)
    if folder:
        for name, data in made.items():
            with atomic_path(folder / f"{name}.png") as temporary:
                temporary.write_bytes(data)
    if html:
        write_text(html, page(report, made, reasons, load_warning(report)))
    return reasons


def _numbers(texts: Sequence[str] | None, option: str) -> list[int] | None:
    from ..core.errors import InputError

    if not texts:
        return None
    words = [word.strip() for text in texts for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InputError(f"{option}: expected whole numbers such as 2 or 1,2, got {','.join(texts)!r}")
    return [int(word) for word in words]


def _print(report: dict[str, Any]) -> None:
    from ..measure.benchmark.runs import load_warning
    from ..measure.report.tables import REFERENCE_COLUMNS, Table, legend, others, reference_rows, reference_title, title
    from ..measure.report.terminal import LEGEND, speed

    out = console()
    shown = speed(report)
    _show(out, title(report), shown)
    for number, text in enumerate(shown.notes, 1):
        out.print(f"[{number}] {text}", highlight=False, markup=False)
    for text in shown.shared:
        out.print(f"all rows: {text}", highlight=False, markup=False)
    for text in (*legend(report), LEGEND):
        out.print(text, highlight=False, markup=False)
    out.print()
    for heading, more in others(report):
        _show(out, heading, more)
        out.print()
    _show(out, reference_title(report), Table(list(REFERENCE_COLUMNS), reference_rows(report)))
    if warning := load_warning(report):
        out.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)


def _show(out: Console, heading: str, table: Table) -> None:
    from rich.markup import escape
    from rich.table import Table as Shown

    from ..measure.report.tables import TEXT_COLUMNS
    from ..measure.report.terminal import fit, remarks

    found = fit(table, out.width)
    shown = Shown()
    for column, width in zip(found.table.columns, found.widths, strict=True):
        # What is wider than its column goes on below: a name that is cut short names nothing, a number neither.
        shown.add_column(column, justify="left" if column in TEXT_COLUMNS else "right", width=width, overflow="fold")
    for cells in found.table.rows:
        shown.add_row(*map(escape, cells))
    out.print(heading, style="bold", highlight=False, markup=False)
    out.print(shown)
    for text in remarks(found, out.width):
        out.print(text, highlight=False, markup=False)
