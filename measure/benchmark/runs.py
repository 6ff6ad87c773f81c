"""What a model costs on this machine: the engine alone, and from a frame in memory to its overlay in memory.

Configurations take turns of about half a second, so that a machine that gets hot, throttles or is shared slows all of them
alike; each turn measures the engine alone and the whole way one after the other. Memory must hold all models at once.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from ...core.artefact import onnx_name
from ...core.cpu import resolve_threads
from ...core.errors import EngineError, GateError, InputError, ModelFileError, UnknownNameError
from ...core.shipped import shipped
from ...core.spec import PRECISIONS
from ...datasets.opening import open_dataset
from ...runtime.engines import AUTO, engine_class, engines
from ...runtime.frame import kernels
from ...runtime.machine.system import machine, packages
from ...runtime.modelfile.modelfile import read_spec
from ...runtime.modelfile.plan import FLAVOURS
from ...runtime.modelfile.planfile import find_plan, is_plan, read_plan
from ...runtime.pipeline.stats import half_width
from ..instruments.sensors import QUIET_CORES, Neighbour, Neighbours, OtherLoad
from .camera import try_watch
from .configuration import Lane
from .frames import dataset_frames, generated_frames
from .ratio import add_ratios
from .reference_table import REFERENCE
from .turns import DURATION_S, TURN_S, Progress, schedule, take_turns

FRAME_HW = (720, 1280)
SPLIT = "val"
_MAX_SIDE = 16384
_MAX_BATCH = 256
#: Processes that took more than this many cores are named.
_NAMED_CORES = 0.05
_NAMED_COUNT = 3
#: How the figures were made, for the report.
METHOD = {
    "interval": "order statistics of the median over the turns, confidence at least 0.95; null below 6 turns",
    "ratio": "turn by turn, the other row's rate interpolated between its turns before and after; the median",
    "fps": "runs / elapsed seconds over all turns, stalls included",
    "cold": "from the first frame after opening until the latency is steady, at most 5 s",
    "startup": "opening the model until the first overlay; the first model of an engine also loads the engine's libraries",
}


def bench(
    models: Sequence[str | Path],
    *,
    engine_names: Sequence[str] | None = None,
    threads: Sequence[int] | None = None,
    batches: Sequence[int] | None = None,
    frame_hw: tuple[int, int] = FRAME_HW,
    duration_s: float | None = None,
    runs: int | None = None,
    data: str | Path | None = None,
    split: str = SPLIT,
    settle: float | None = None,
    limit_s: float | None = None,
    reopen: int | None = None,
    turn_s: float = TURN_S,
    wait_s: float = 0.0,
    source: str | None = None,
    sink: str = "none",
    relative_to: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measures every model × engine × number of threads × batch.

    Args:
        models: What :func:`find_models` takes.
        engine_names: Engines; None is every one available, ``"auto"`` the fastest. One that is missing becomes a row with
            a note. An engine file runs on the one that built it.
        threads: Numbers of CPU threads; None is one number: every core.
        batches: Frames per inference; None is what each file fixes, and 1 where it leaves that free. A file that fixes one
            of several batches gets a row for that one; one that fixes none of them becomes a row with a note.
        frame_hw: Height and width of the frames that are fed in, pixels.
        duration_s: Seconds of measurement per configuration, half of it for the engine alone. Default 5.
        runs: Instead of ``duration_s``: how many runs of each kind per configuration.
        data: Dataset that frames are taken from and mIoU is measured on; None feeds generated street scenes.
        split: Split of ``data``.
        settle: Stop before the duration is over once every configuration's interval of the end-to-end time (with
            ``relative_to``: of both ratios) is within plus or minus this fraction of its middle; None measures all of it.
        limit_s: Begin no turn after this many seconds of measuring, once there are six; None is no limit.
        reopen: Open every model anew after this many turns, since the speed of some depends on where their memory lies; None
            keeps them open.
        turn_s: Seconds of one turn of a configuration, both blocks together. A speed that changes within seconds is better
            known from many short turns than from few long ones.
        wait_s: Seconds to wait, at most, until other processes leave the machine alone; then it is measured all the same.
        source, sink: Also run the pipeline from this source (``camera:30`` is a simulated camera of 30 frames per second) to
            this sink, for as long as ``duration_s``, each configuration once; None doesn't. Both are opened once before
            anything is measured.
        relative_to: Name of the model whose rows the others are divided by; None divides nothing.
        progress: Called with (turns done, turns in all, what runs now).

    Returns:
        What ``bench --json`` writes: machine, load, method, rows, reference. A configuration that failed is a row of nulls
        with a note.

    Raises:
        ModelFileError: a path that holds no model.
        UnknownNameError: no such engine, or no row of the model ``relative_to``.
        EngineError: no engine was named and none is available.
        InputError: an option out of range.
        DataError: ``data`` is no dataset, or an image can't be read.
        SourceError, SinkError: ``source`` or ``sink`` can't be opened, or both are one file.
    """
    blocks = schedule(duration_s, runs, turn_s)
    if settle is not None and not 0 < settle < 1:
        raise InputError(f"bench: settle must be a fraction between 0 and 1, got {settle:g}")
    if limit_s is not None and not 0 < limit_s < float("inf"):
        raise InputError(f"bench: --limit must be above 0 seconds, got {limit_s:g}")
    if reopen is not None and reopen < 1:
        raise InputError(f"bench: --reopen must be at least 1 turn, got {reopen}")
    if not 0 <= wait_s < float("inf"):
        raise InputError(f"bench: --wait must be 0 seconds or more, got {wait_s:g}")
    if len(frame_hw) != 2 or not all(1 <= side <= _MAX_SIDE for side in frame_hw):
        raise InputError(f"bench: frame height and width must be 1 to {_MAX_SIDE} pixels, got {frame_hw}")
    files = find_models(models, engine_names)
    names = _engines_of(files, engine_names)
    if relative_to is not None and relative_to not in (found := set(_model_names(files))):
        raise UnknownNameError("model to divide by", relative_to, found)  # now, not after minutes of measuring
    asked: Sequence[int | None] = threads or [None]
    counts = list(dict.fromkeys(map(resolve_threads, asked)))
    sizes: list[int | None] = [*dict.fromkeys(batches or ())] or [None]
    if any(size is not None and not 1 <= size <= _MAX_BATCH for size in sizes):
        raise InputError(f"bench: --batch must be 1 to {_MAX_BATCH} frames, got {', '.join(map(str, sizes))}")
    if source is not None:
        try_watch(source, sink)
    size = f"{frame_hw[1]}x{frame_hw[0]}"
    if data is None:
        frames = generated_frames(frame_hw)
        fed = f"fed {len(frames)} generated street scenes of {size} (post-processing depends on content: see --data)"
    else:
        frames = dataset_frames(open_dataset(data, split), frame_hw)
        fed = f"fed {len(frames)} frames of {Path(data).name} ({split}), stretched to {size}"

    lanes = [
        Lane(path, name, count, batch=batch) for path in files for name in names[path] for count in counts for batch in sizes
    ]
    neighbours = Neighbours()
    try:
        for lane in lanes:
            lane.notes.append(fed)
            if lane.threads > (cores := resolve_threads(None)):
                lane.notes.append(f"{lane.threads} threads on {cores} cores")
            _tell(progress, 0, 1, lane, "opening")
            lane.open(frames)
        lanes = _without_other_batches(lanes, sizes)
        waited_s = _wait_for_quiet(wait_s, progress)
        neighbours.start()
        usable = [lane for lane in lanes if lane.failed is None]
        stopped = take_turns(
            usable, blocks, lambda: _spread(usable, frame_hw, relative_to), settle, limit_s, progress, reopen
        )  # fmt: skip
        busy = neighbours.busiest(_NAMED_CORES, _NAMED_COUNT)
        if source is not None:
            for lane in usable:
                _tell(progress, 1, 1, lane, "camera to sink of")
                lane.watch(source, sink, DURATION_S if duration_s is None else duration_s)
        if data is not None:
            _evaluate(lanes, Path(data), split, progress)
    finally:
        for lane in lanes:
            lane.close()
    rows = [lane.row(frame_hw) for lane in lanes]
    if relative_to is not None:
        add_ratios(rows, relative_to)
    _tell_models_apart(rows)
    about = machine() | {"python": platform.python_version(), "isa": kernels.isa(), "packages": packages()}
    return {
        "machine": about,
        "load": _load(rows, busy, waited_s),
        "method": METHOD | {"stopped": stopped, "reopened": reopen},
        "rows": rows,
        "reference": REFERENCE,
    }


def find_models(paths: Iterable[str | Path], engine_names: Sequence[str] | None = None) -> list[Path]:
    """The model files that paths stand for, in order, each once.

    A file stands for itself, an artefact folder for all its ``model.PRECISION.onnx`` and the engine file in it that this
    machine can run, any other folder for the artefact folders in it.

    Args:
        paths: Files and folders.
        engine_names: Engines that were asked for, as :func:`bench` takes them: without its own no engine file is taken.

    Raises:
        ModelFileError: nothing there, or a folder without models.
        InputError: no path at all.
    """
    found: dict[Path, None] = {}
    for path in map(shipped, paths):
        if not path.exists():
            raise ModelFileError(
                f"{path}: no such file or folder; expected an ONNX file or an artefact folder of: seg-edge export"
            )
        if path.is_file():
            here = [path]
        else:
            here = _models_in(path, engine_names) or [
                file
                for folder in sorted(path.iterdir())
                if folder.is_dir() and folder.name[:1] != "."
                for file in _models_in(folder, engine_names)
            ]
        if not here:
            expected = ", ".join(map(onnx_name, PRECISIONS))
            raise ModelFileError(
                f"{path}: neither this folder nor one in it holds a model ({expected}); write one with: seg-edge export"
            )
        found.update(dict.fromkeys(here))
    if not found:
        raise InputError("bench: no model given; pass an ONNX file, an artefact folder, or a folder of artefacts")
    return list(found)


def check(report: dict[str, Any], min_fps: float | None = None) -> None:
    """Judges a finished report.

    Args:
        report: What :func:`bench` returned.
        min_fps: The end-to-end frames per second that every row must reach; None is no limit.

    Raises:
        EngineError: no configuration could be measured.
        GateError: a row is below ``min_fps``, or could not be measured while a limit was set.
    """
    rows = report["rows"]
    if all(row["fps_e2e"] is None for row in rows):
        raise EngineError(f"bench: no configuration could be measured: {_what(rows[0])}: {rows[0]['note']}")
    if min_fps is None:
        return
    slow = [row for row in rows if row["fps_e2e"] is None or not row["fps_e2e"] >= min_fps]
    if slow:
        worst = min(slow, key=lambda row: row["fps_e2e"] or 0.0)
        got = "was not measured" if worst["fps_e2e"] is None else f"reached {worst['fps_e2e']:.1f} FPS end to end"
        raise GateError(f"bench: {len(slow)} of {len(rows)} rows miss --min-fps {min_fps:g}: {_what(worst)} {got}")


def load_warning(report: dict[str, Any]) -> str | None:
    """What to say about a machine that others used meanwhile, or None."""
    disturbed = [row for row in report["rows"] if (row["other_cores"] or 0) > QUIET_CORES]
    if not disturbed:
        return None
    busy = ", ".join(f"{one['name']} (pid {one['pid']}, {one['cores']:.1f} cores)" for one in report["load"]["processes"])
    return (
        f"{len(disturbed)} of {len(report['rows'])} rows were measured while other processes used more than {QUIET_CORES:g} "
        f"cores{f': {busy}' if busy else ''}: the times are too long; stop those processes and measure again"
    )


def _load(rows: list[dict[str, Any]], busy: list[Neighbour], waited_s: float) -> dict[str, Any]:
    known = [row["other_cores"] for row in rows if row["other_cores"] is not None]
    return {
        "other_cores": sum(known) / len(known) if known else None,
        "waited_s": waited_s,
        "processes": [asdict(one) for one in busy],
    }


def _without_other_batches(lanes: list[Lane], sizes: Sequence[int | None]) -> list[Lane]:
    """Of several batches a file that fixes one of them is measured with that one, and its rows say so."""
    kept = [lane for lane in lanes if lane.fixed_batch in (None, lane.batch) or lane.fixed_batch not in sizes]
    for lane in kept:
        others = [str(size) for size in sizes if size not in (None, lane.batch)]
        if lane.fixed_batch in sizes and others:
            only = f"the file takes batches of {lane.batch}, seg-edge export --batch makes others"
            lane.notes.append(f"batch {' and '.join(others)} not measured: {only}")
    return kept


def _model_names(files: Iterable[Path]) -> Iterator[str]:
    """Names under which files will have rows; a file that can't be read has its own, as its row will."""
    for path in files:
        try:
            yield read_spec(path).name
        except ModelFileError:
            yield path.stem


def _wait_for_quiet(limit_s: float, progress: Progress | None) -> float:
    """Waits until others have used almost nothing for a second, or the time is up; returns the seconds waited."""
    began = perf_counter()
    while (waited := perf_counter() - began) < limit_s:
        load = OtherLoad()
        load.start()
        sleep(min(1.0, limit_s))
        load.stop()
        if load.cores is None or load.cores <= QUIET_CORES:
            break
        if progress is not None:
            progress(int(waited), max(int(limit_s), 1), f"waiting: other processes use {load.cores:.1f} cores")
    return perf_counter() - began


def _tell_models_apart(rows: list[dict[str, Any]]) -> None:
    """Rows that agree in all but their file can't be matched with another report's: the file's name joins the model's."""
    keys = Counter(_key(row) for row in rows)
    for row in rows:
        if keys[_key(row)] > 1:
            path = Path(row["file"])
            row["model"] = f"{row['model']} ({path.parent.name or '.'}/{path.name})"


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(row[key]) for key in ("model", "precision", "engine", "threads", "imgsz", "batch"))


def _spread(lanes: Sequence[Lane], frame_hw: tuple[int, int], relative_to: str | None) -> float | None:
    """The widest interval of what the report is read for, ratios where there are some, else times; see ``settle``."""
    if relative_to is None:
        spreads = [lane.spread() for lane in lanes if lane.failed is None]
    else:
        rows = [lane.row(frame_hw) for lane in lanes]
        add_ratios(rows, relative_to)
        found = [row["ratio"] for row in rows if row["ratio"]]
        spreads = [half_width(ratio[f"{kind}_interval"]) for ratio in found for kind in ("e2e", "engine")]
    known = [spread for spread in spreads if spread is not None]
    return max(known) if known and len(known) == len(spreads) else None


def _evaluate(lanes: list[Lane], data: Path, split: str, progress: Progress | None) -> None:
    # Masks don't depend on the number of threads: one evaluation serves all rows of a file and engine.
    # Nor on the batch, but for a file that fixes it, which opens as one lane only.
    first: dict[tuple[Path, str], Lane] = {}
    for lane in lanes:
        if lane.failed is not None:
            continue
        done = first.setdefault((lane.path, lane.engine), lane)
        if done is lane:
            _tell(progress, 1, 1, lane, "mIoU of")
            lane.evaluate(data, split)
        else:
            lane.miou = done.miou
            lane.notes += [note for note in done.notes if note.startswith("mIoU")]


def _engines_of(files: Sequence[Path], names: Sequence[str] | None) -> dict[Path, list[str]]:
    """The engines that each file is measured on. An engine file runs on the one that built it, which nobody has to name.

    Of the engines that were named, a file gets those that open its kind; where that is none, all: the rows say why not.
    """
    for name in names or ():
        if name != AUTO:
            engine_class(name)  # an unknown name is an error now
    usable: list[str] = []
    if any(not is_plan(path) for path in files) and (not names or AUTO in names):
        known = engines(".onnx")
        usable = [row.name for row in known if row.available]
        if not usable:
            raise EngineError("no engine is available: " + "; ".join(f"{row.name}: {row.reason}" for row in known))
    found = {}
    for path in files:
        mine: list[str] = []
        for asked in names or (None,):
            if asked is None or asked == AUTO:
                mine += [_flavour(path)] if is_plan(path) else usable[: 1 if asked else None]
            elif is_plan(path) == (asked in FLAVOURS):
                mine.append(asked)
        found[path] = [*dict.fromkeys(mine or [name for name in names or () if name != AUTO])]
    return found


def _flavour(path: Path) -> str:
    """The engine that built an engine file; one without a readable record stays ``auto``, and its row says what is wrong."""
    try:
        return read_plan(path)[1].flavour
    except ModelFileError:
        return AUTO


def _models_in(folder: Path, engine_names: Sequence[str] | None) -> list[Path]:
    graphs = [folder / name for name in map(onnx_name, PRECISIONS) if (folder / name).is_file()]
    return graphs + [plan for plan in _plans_in(folder, engine_names) if graphs]


def _plans_in(folder: Path, engine_names: Sequence[str] | None) -> Iterator[Path]:
    """The engine file of each kind that runs here. Elsewhere it would only be a row without figures."""
    for name in FLAVOURS:
        kind = engine_class(name)
        if (not engine_names or {AUTO, name} & {*engine_names}) and kind.available().ok:
            plan = find_plan(folder, getattr(kind, "host")())  # noqa: B009  # only these have one
            if plan is not None:
                yield plan


def _what(row: dict[str, Any]) -> str:
    threads = f"{row['threads']} thread{'s' if row['threads'] != 1 else ''}"
    batch = f", batch {row['batch']}" if row["batch"] != 1 else ""
    return f"{row['model']} {row['precision'] or ''}".strip() + f" on {row['engine']}, {threads}{batch}"


def _tell(progress: Progress | None, done: int, total: int, lane: Lane, what: str) -> None:
    if progress is not None:
        progress(done, total, f"{what} {lane.title}")
