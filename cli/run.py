"""``seg-edge run``"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.shipped import DEFAULT
from .common import MODEL_HELP, about, progress_bar, second_signal_ends, writable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from ..runtime import Pipeline, Result, Source


def run(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)] = Path(DEFAULT),
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="Camera (0, /dev/videoN), video, image, folder, rtsp://…, http(s)://…, csi://N (Jetson), gst://PIPELINE. "
            "May be given several times: all live, or all files. Default: 0."
        ),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            help="window, FILE.mp4, FOLDER/, mjpeg://HOST:PORT, rtsp://…, rtmp://…, pipe: (raw masks), none. May be given "
            "several times; {source} in a name opens one for each source. Default: window."
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads of the engine. Default: one for each core.")] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(
            help="Frames on their way through the network at once: one is prepared while another is computed and a third "
            "painted; 1 takes one after the other. Default: of files as many as keep the cores busy, 2 for live sources."
        ),
    ] = None,
    max_frames: Annotated[int | None, typer.Option(help="Stop after this many frames.")] = None,
    duration: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    camera_size: Annotated[str | None, typer.Option(help="Of a camera, WIDTHxHEIGHT, such as 1280x720.")] = None,
    camera_fps: Annotated[float | None, typer.Option(help="Frames per second of a camera.")] = None,
    camera_format: Annotated[str | None, typer.Option(help="Pixel format of a camera: MJPG, YUYV, NV12, …")] = None,
    start_timeout: Annotated[
        float, typer.Option(help="Seconds that a camera or stream gets to answer at the start; inf waits for ever.")
    ] = 10.0,
    hud: Annotated[
        bool, typer.Option("--hud", help="Draw rate, latency, drops, engine and device into the overlay.")
    ] = False,
    alpha: Annotated[float, typer.Option(help="Opacity of the classes' colours, 0 to 1.")] = 0.5,
    classes: Annotated[
        list[str] | None, typer.Option(help="Colour this class only; may be given several times. Default: all.")
    ] = None,
    contours: Annotated[bool, typer.Option(help="Draw the borders between classes.")] = False,
    smooth: Annotated[
        float | None, typer.Option(help="Smooth over time: the new frame's share, above 0 to 1. Default: every frame alone.")
    ] = None,
    min_fps: Annotated[float | None, typer.Option(help="Fail (exit status 3) below this many frames per second.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the statistics here.", callback=writable)] = None,
) -> None:
    """Segment a camera, a video or images live, and report frames per second and latency."""
    import sys
    from contextlib import ExitStack, nullcontext, redirect_stdout

    from ..core.artefact import write_json
    from ..core.errors import InputError
    from ..runtime import CameraOptions, LiveOptions, Pipeline, Segmenter, open_source
    from ..runtime.sinks import open_sinks
    from ..runtime.sources import names_camera, names_files, redact

    camera = CameraOptions.parse(camera_size, camera_fps, camera_format)
    live = LiveOptions(start_s=start_timeout)
    texts, targets = source or ["0"], sink or ["window"]
    if (camera_size or camera_fps or camera_format) and not any(map(names_camera, texts)):
        raise InputError(
            "--camera-size, --camera-fps and --camera-format are for cameras, and "
            f"{' and '.join(map(redact, texts))} is none; leave them out (a gst:// pipeline and a server state their own)"
        )
    # Of a file all that counts is when it is done; a camera's frames must come out young.
    throughput = in_flight is None and all(map(names_files, texts))
    # Where standard output belongs to the masks, people's text goes to the other one.
    with second_signal_ends() as check, redirect_stdout(sys.stderr) if "pipe:" in targets else nullcontext():
        with ExitStack() as stack:
            segmenter = stack.enter_context(
                Segmenter(
                    model, engine, threads, alpha, classes=classes, contours=contours, smooth=smooth, throughput=throughput
                )
            )
            chosen = segmenter.engine
            print(about(model, segmenter))
            print(f"engine {chosen.name} {chosen.version} on {chosen.device} ({chosen.why})")
            segmenter.warmup()
            check()
            sources = [stack.enter_context(open_source(text, camera, live)) for text in texts]
            sinks, named = open_sinks(targets, sources, stack)
            for one in named:
                if one.about:
                    print(f"sink {one.text}: {one.about}", flush=True)
            check()
            shown = any(one.overlay for one in sinks)
            if hud and not shown:
                raise InputError("--hud: no sink shows overlays; add one, such as window or FILE.mp4, or leave --hud out")
            limits: dict[str, Any] = {"max_frames": max_frames, "duration_s": duration, "in_flight": in_flight}
            pipeline = Pipeline(sources, segmenter, sinks, overlay=shown, hud=hud and shown, **limits)
            with _progress() as bar:
                try:
                    stats = pipeline.run(_ticker(bar, pipeline, _total(sources, max_frames), check))
                except KeyboardInterrupt:
                    bar.stop()
                    _report(pipeline.stats(), json)
                    raise  # the files are finished on the way out; the command exits with 130
                except Exception:
                    if json is not None:
                        write_json(json, pipeline.stats())
                    raise
        _report(stats, json)
    _check_fps(stats, min_fps)


def _total(sources: list[Source], max_frames: int | None) -> int | None:
    counts = [source.count for source in sources]
    known = [sum(count for count in counts if count)] if None not in counts else []
    return min([*known, *filter(None, [max_frames])], default=None)


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    # auto_refresh would be one more thread that wakes ten times a second on a device that has few cores.
    return progress_bar(BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[note]}"), auto_refresh=False)


def _ticker(bar: Progress, pipeline: Pipeline, total: int | None, check: Callable[[], None]) -> Callable[[Result], None]:
    """What the pipeline calls for every frame: redraws the progress line four times a second."""
    task = bar.add_task("run", total=total, note="")
    due = 0.0
    done = 0

    def tick(result: Result) -> None:
        nonlocal due, done
        check()
        done += 1
        now = perf_counter()
        if bar.disable or now < due:
            return
        due = now + 0.25
        fps = pipeline.fps
        note = f"{fps:.1f} FPS, latency {result.latency_ms:.1f} ms" if fps else ""
        bar.update(task, completed=done, note=note, refresh=True)

    return tick


def _report(stats: dict[str, Any], json: Path | None) -> None:
    from rich.table import Table

    from ..core.artefact import write_json
    from .common import console

    if json is not None:
        write_json(json, stats)
    table = Table("milliseconds", "p50", "p95", "p99")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = {"latency, frame to overlay": stats["latency_ms"], "frame age at the sink": stats["frame_age_ms"]}
    rows |= {f"  {stage}": values for stage, values in stats["stages_ms"].items()}
    for name, values in rows.items():
        table.add_row(name, *("-" if values[p] is None else f"{values[p]:.2f}" for p in ("p50", "p95", "p99")))
    console().print(table)
    drops = ", ".join(f"{count} {kind}" for kind, count in stats["dropped"].items() if count) or "none"
    fps = "-" if stats["fps"] is None else f"{stats['fps']:.1f}"
    print(
        f"{fps} FPS end to end: {stats['frames_out']} of {stats['frames_in']} frames in {stats['seconds']:.1f} s "
        f"({stats['state']}); dropped: {drops}"
    )
    for row in stats["sources"]:
        if row["reconnects"] or row["stalls"]:
            lost = f"{row['stalls']} stalls, {row['lost_s']:.1f} s without frames"
            print(f"{row['source']}: {row['reconnects']} reconnects, {lost}")


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
