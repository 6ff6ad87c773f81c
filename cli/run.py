"""``seg-edge run``"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.shipped import DEFAULT
from ..runtime.areas.options import AreaOptions
from ..runtime.events.options import EventOptions
from ..runtime.gating.options import GateOptions
from ..runtime.sinks.table import FORMS as SINKS
from ..runtime.sources.options import CameraOptions, LiveOptions, PlaybackOptions, VideoOptions
from ..runtime.sources.table import FORMS as SOURCES
from .common import MODEL_HELP, about, second_signal_ends, writable
from .derive import Fields, Values, derive
from .runtime_options import ALPHA, ENGINE, THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import ExitStack

    from ..runtime import Pipeline, Result, Segmenter, Source
    from ..runtime.areas import AreaRecorder, Zones


@derive(
    CameraOptions,
    Fields(LiveOptions, only=("start_s",)),
    VideoOptions,
    PlaybackOptions,
    GateOptions,
    AreaOptions,
    EventOptions,
)
def run(
    values: Values,
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)] = Path(DEFAULT),
    source: Annotated[
        list[str] | None,
        typer.Option(help=f"{SOURCES}. May be given several times: all live, or all files. Default: 0."),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{SINKS}. May be given several times; {{source}} in a name opens one for each source. Default: window."
        ),
    ] = None,
    engine: Annotated[str, ENGINE] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(
            help="Frames on their way through the network at once: one is prepared while another is computed and a third "
            "painted; 1 takes one after the other. Default: of files as many as keep the cores busy, 2 for live sources."
        ),
    ] = None,
    max_frames: Annotated[int | None, typer.Option(help="Stop after this many frames.")] = None,
    duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    hud: Annotated[
        bool, typer.Option("--hud", help="Draw rate, latency, drops, engine and device into the overlay.")
    ] = False,
    alpha: Annotated[float, ALPHA] = 0.5,
    classes: Annotated[
        list[str] | None,
        typer.Option(help="Colour this class only; may be given several times. Default: all but background."),
    ] = None,
    contours: Annotated[bool, typer.Option(help="Draw the borders between classes.")] = False,
    background: Annotated[
        str,
        typer.Option(
            metavar="blur|FILE|none",
            help="Paint another background instead of colours: the frame's own, blurred, or an image file. What stays are "
            "--classes; default: all but the first. none leaves it.",
        ),
    ] = "none",
    smooth: Annotated[
        str | None,
        typer.Option(
            help="Smooth over time: adaptive (changes are followed at once), or the new frame's share, above 0 to 1. "
            "Default: every frame alone."
        ),
    ] = None,
    copy_audio: Annotated[
        bool, typer.Option("--copy-audio", help="Recordings get the sound of their video file, as it is.")
    ] = False,
    min_fps: Annotated[float | None, typer.Option(help="Fail (exit status 3) below this many frames per second.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the statistics here.", callback=writable)] = None,
) -> None:
    """Segment a camera, a video or images live, and report frames per second and latency."""
    from contextlib import ExitStack, nullcontext, redirect_stdout

    from ..core.errors import InputError
    from ..runtime.engines.ahead import opened_ahead
    from ..runtime.sources.table import names_camera, names_files, redact

    camera, live, video = values.of(CameraOptions), values.of(LiveOptions), values.of(VideoOptions)
    area_options, event_options = values.of(AreaOptions), values.of(EventOptions)
    zones, recorder = _areas(area_options)
    texts, targets = source or ["0"], sink or ["window"]
    if camera != CameraOptions() and not any(map(names_camera, texts)):
        raise InputError(
            "--camera-size, --camera-fps and --camera-format are for cameras, and "
            f"{' and '.join(map(redact, texts))} is none; leave them out (a gst:// pipeline and a server state their own)"
        )
    # Files are optimized for throughput, live sources for latency.
    files, playback = all(map(names_files, texts)), values.of(PlaybackOptions)
    if playback != PlaybackOptions() and not files:
        raise InputError(
            "--loop and --source-fps are for files; "
            f"{' and '.join(redact(text) for text in texts if not names_files(text))} has a rate of its own; leave them out"
        )
    # If the masks go to standard output, print texts on standard error.
    with second_signal_ends() as check, redirect_stdout(sys.stderr) if "pipe:" in targets else nullcontext():
        with (
            opened_ahead(model, engine, threads, throughput=in_flight is None and files) as opened_engine,
            ExitStack() as stack,
        ):
            # Import everything else, and open files, while the engine compiles the network.
            from ..runtime import Pipeline, Segmenter, open_source
            from ..runtime.sinks import open_sinks

            sources = (
                [stack.enter_context(open_source(text, video=video, playback=playback)) for text in texts] if files else []
            )
            look: dict[str, Any] = {"classes": classes, "contours": contours, "background": background}
            look["smooth"] = _smooth(smooth)
            look |= {"areas": True, "zones": zones, "gate": values.of(GateOptions).seconds}
            segmenter = stack.enter_context(Segmenter(opened_engine(), threads=threads, alpha=alpha, **look))
            chosen = segmenter.engine
            print(about(model, segmenter))
            print(f"engine {chosen.name} {chosen.version} on {chosen.device} ({chosen.why})")
            if not files:  # the first frames of live sources would be late; files wait
                segmenter.warmup()
            check()
            if not files:
                sources = [stack.enter_context(open_source(text, camera, live, video)) for text in texts]
            sinks, opened_sinks = open_sinks(targets, sources, stack, copy_audio)
            for each in opened_sinks:
                if each.about:
                    print(f"sink {each.text}: {each.about}", flush=True)
            check()
            shown = any(each.overlay for each in sinks)
            for wanted, option in ((hud, "--hud"), (background != "none", "--background")):
                if wanted and not shown:
                    raise InputError(
                        f"{option}: no sink shows overlays; add one, such as window or FILE.mp4, or leave {option} out"
                    )
            limits: dict[str, Any] = {"max_frames": max_frames, "duration_s": duration, "in_flight": in_flight}
            pipeline = Pipeline(sources, segmenter, sinks, overlay=shown, hud=hud and shown, **limits)
            stack.enter_context(recorder)
            takers = [recorder.add, *_events(event_options, segmenter, stack, files)]
            stats = _run(pipeline, _total(sources, max_frames), check, json, takers)
        _report(stats, json)
    _draw(recorder, area_options)
    _check_fps(stats, min_fps)


def _smooth(text: str | None) -> float | str | None:
    """A share as a number; other texts as they are."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _areas(options: AreaOptions) -> tuple[Zones | None, AreaRecorder]:
    """The zones, and what keeps the areas. Errors come before the engine is opened."""
    from ..runtime.areas import AreaRecorder, read_zones

    zones = None if options.zones is None else read_zones(options.zones)
    if options.plot is not None:
        from ..core.artefact import check_writable
        from ..measure.report.areas import check_plots

        check_plots("plot")
        check_writable(options.plot)
    return zones, AreaRecorder(options)


def _events(options: EventOptions, segmenter: Segmenter, stack: ExitStack, files: bool) -> list[Callable[[Result], None]]:
    """What follows the results for events, if there are rules; events are printed too."""
    if not options.when:
        return []
    from ..runtime.events import Event, EventMonitor

    def tell(event: Event) -> None:
        took = "" if event.duration_s is None else f" after {event.duration_s:.1f} s"
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in event.shares.items())
        print(f"{event.time_s:.1f} s: {event.kind} of {event.rule}{took} ({shares})", flush=True)

    assert segmenter.counter is not None
    monitor = EventMonitor(options, segmenter.labels.names, segmenter.counter.zones, tell, patient=files)
    return [stack.enter_context(monitor).add]


def _draw(recorder: AreaRecorder, options: AreaOptions) -> None:
    if options.plot is not None:
        from ..measure.report.areas import plot_areas

        plot_areas(recorder.curves, options.plot)


def _run(
    pipeline: Pipeline,
    total: int | None,
    check: Callable[[], None],
    json: Path | None,
    takers: Sequence[Callable[[Result], None]] = (),
) -> dict[str, Any]:
    """Runs the pipeline. After an error the statistics are written; after Ctrl-C they are also printed."""
    from ..core.artefact import write_json

    try:
        with _ticker(pipeline, total, check) as tick:

            def take(result: Result) -> None:
                for taker in takers:
                    taker(result)
                tick(result)

            return pipeline.run(take)
    except KeyboardInterrupt:
        _report(pipeline.stats(), json)
        raise  # closing the sinks finishes the files; the command exits with 130
    except Exception:
        if json is not None:
            write_json(json, pipeline.stats())
        raise


def _total(sources: list[Source], max_frames: int | None) -> int | None:
    counts = [source.count for source in sources]
    known = [sum(count for count in counts if count)] if None not in counts else []
    return min([*known, *filter(None, [max_frames])], default=None)


@contextmanager
def _ticker(pipeline: Pipeline, total: int | None, check: Callable[[], None]) -> Iterator[Callable[[Result], None]]:
    """Yields the callback for every frame. On a terminal it redraws the progress line four times a second."""
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _result: check()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from .progress import progress_bar

    # No auto_refresh: it uses a thread that wakes ten times a second, on devices with few cores.
    columns = (BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with progress_bar(*columns, auto_refresh=False) as bar:
        task = bar.add_task("run", total=total, note="")
        due = 0.0
        done = 0

        def tick(result: Result) -> None:
            nonlocal due, done
            check()
            done += 1
            now = perf_counter()
            if now < due:
                return
            due = now + 0.25
            fps = pipeline.fps
            note = f"{fps:.1f} FPS, latency {result.latency_ms:.1f} ms" if fps else ""
            bar.update(task, completed=done, note=note, refresh=True)

        yield tick


def _report(stats: dict[str, Any], json: Path | None) -> None:
    from ..core.artefact import write_json

    if json is not None:
        write_json(json, stats)
    rows = {"latency, frame to overlay": stats["latency_ms"], "frame age at the sink": stats["frame_age_ms"]}
    rows |= {f"  {stage}": values for stage, values in stats["stages_ms"].items()}
    columns = ("p50", "p95", "p99")
    _print_grid(
        ["milliseconds", *columns],
        [[name, *("-" if values[p] is None else f"{values[p]:.2f}" for p in columns)] for name, values in rows.items()],
    )
    drops = ", ".join(f"{count} {kind}" for kind, count in stats["dropped"].items() if count) or "none"
    fps = "-" if stats["fps"] is None else f"{stats['fps']:.1f}"
    print(
        f"{fps} FPS end to end: {stats['frames_out']} of {stats['frames_in']} frames in {stats['seconds']:.1f} s "
        f"({stats['state']}); dropped: {drops}"
    )
    if stats["computed"] < stats["frames_out"]:
        print(f"{stats['computed']} frames were computed; the others changed too little")
    for row in stats["sources"]:
        if row["reconnects"] or row["stalls"]:
            lost = f"{row['stalls']} stalls, {row['lost_s']:.1f} s without frames"
            print(f"{row['source']}: {row['reconnects']} reconnects, {lost}")


def _print_grid(heading: list[str], rows: list[list[str]]) -> None:
    """Prints a table in the style of rich. Importing rich would take a tenth of the time of a short run."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]

    def line(cells: list[str], bar: str) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"{bar} " + f" {bar} ".join([first[0].ljust(first[1]), *(cell.rjust(w) for cell, w in others)]) + f" {bar}"

    def rule(left: str, stroke: str, between: str, right: str) -> str:
        return left + between.join(stroke * (width + 2) for width in widths) + right

    body = [line(row, "│") for row in rows]
    print(rule("┏", "━", "┳", "┓"), line(heading, "┃"), rule("┡", "━", "╇", "┩"), *body, rule("└", "─", "┴", "┘"), sep="\n")


def _check_fps(stats: dict[str, Any], limit: float | None) -> None:
    from ..core.errors import GateError

    if limit is None:
        return
    if stats["fps"] is None:
        raise GateError(f"--min-fps {limit:g}: not measured: {stats['note']}")
    if stats["fps"] < limit:
        raise GateError(
            f"--min-fps {limit:g}: measured {stats['fps']:.1f} FPS end to end on {stats['engine']}, {stats['device']}"
        )
