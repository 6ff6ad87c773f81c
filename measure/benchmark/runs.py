"""The benchmark of models on this machine: the engine alone, and from a frame in memory to its overlay in memory.

Configurations take turns of about half a second, so that heat, throttling and other load affect all of them equally.
Each turn measures the engine alone and the whole path, one after the other. All models are in memory at once.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...core.cpu import resolve_threads
from ...core.errors import UnknownNameError
from ...core.options import several
from ...core.progress import Progress
from ...datasets.dataset import SegDataset
from ...datasets.opening import open_dataset
from ...runtime.frame import kernels
from ...runtime.machine.system import machine, packages
from ...runtime.pipeline.stats import half_width
from ..instruments.quiet import wait_for_quiet
from ..instruments.sensors import Neighbour, Neighbours
from ..options import BenchOptions
from ..telling import TitledCount
from ..workload.camera import try_watch
from ..workload.frames import Frame, dataset_frames, generated_frames
from .configuration import Configuration
from .finding import engines_of, find_models, model_names
from .outcome import BenchReport
from .ratio import add_ratios
from .reference_table import REFERENCE
from .row import row_of
from .turns import DURATION_S, schedule, take_turns

#: Processes that used more than this many cores are named.
_NAMED_CORES = 0.05
_NAMED_COUNT = 3
_DEFAULTS = BenchOptions()
#: Description of the method, for the report.
METHOD = {
    "interval": "order statistics of the median over the turns, confidence at least 0.95; null below 6 turns",
    "ratio": "turn by turn, the other row's rate interpolated between its turns before and after; the median",
    "fps": "runs / elapsed seconds over all turns, stalls included",
    "cold": "from the first frame after opening until the latency is steady, at most 5 s",
    "startup": "opening the model until the first overlay; the first model of an engine also loads the engine's libraries",
}


def bench(
    models: str | Path | Sequence[str | Path], options: BenchOptions = _DEFAULTS, *, progress: Progress | None = None
) -> BenchReport:
    """Measures every model × engine × number of threads × batch.

    A missing engine becomes a row with a note. An engine file runs on the engine that built it. With several batches, a
    file with a fixed batch gets one row for its batch, or a row with a note if its batch is not among them.

    >>> report = bench(["unet-s-camvid"], BenchOptions(engines=["onnxruntime"], threads=[1], runs=6))
    >>> [row["engine"] for row in report["rows"]]
    ['onnxruntime']

    Args:
        models: One or several: ONNX or engine files, artefact folders, folders of artefacts, and shipped models' names.
        options: Engines, threads, batches, and duration of the measurement.
        progress: Receives the turns and the running configuration; None is silent.

    Returns:
        Machine, load, method, rows and reference; :meth:`BenchReport.to_dict` is the content of ``bench --json``.

    Raises:
        ModelFileError: a path without a model.
        UnknownNameError: no row of the model ``relative_to``.
        EngineError: no engine was named, and none is available.
        DataError: ``data`` is not a dataset, or an image can't be read.
        SourceError, SinkError: ``source`` or ``sink`` can't be opened, or both are the same file.
    """
    files = find_models(several(models), options.engines)
    dataset = None if options.data is None else open_dataset(options.data, options.split)
    engine_names = engines_of(files, options.engines)
    if options.relative_to is not None and options.relative_to not in (names := set(model_names(files))):
        raise UnknownNameError("model to divide by", options.relative_to, names)  # before minutes of measuring
    counts = list(dict.fromkeys(map(resolve_threads, options.threads or [None])))
    batches: list[int | None] = [*dict.fromkeys(options.batches or ())] or [None]
    if options.source is not None:
        try_watch(options.source, options.sink)
    frames, fed = _frames(dataset, options)
    configurations = [
        Configuration(path, name, count, batch=batch)
        for path in files
        for name in engine_names[path]
        for count in counts
        for batch in batches
    ]
    for configuration in configurations:
        configuration.notes.append(fed)
    rows, load, stopped = _measured(configurations, batches, frames, options, TitledCount(progress))
    if options.relative_to is not None:
        add_ratios(rows, options.relative_to)
    _tell_models_apart(rows)
    about = machine() | {"python": platform.python_version(), "isa": kernels.isa(), "packages": packages()}
    return BenchReport(
        {
            "machine": about,
            "load": load,
            "method": METHOD | {"stopped": stopped, "reopened": options.reopen},
            "rows": rows,
            "reference": REFERENCE,
        }
    )


def _frames(dataset: SegDataset | None, options: BenchOptions) -> tuple[list[Frame], str]:
    """Frames to measure with, and a remark that describes them."""
    height, width = options.frame_hw
    size = f"{width}x{height}"
    if dataset is None:
        frames = generated_frames(options.frame_hw)
        scenes = f"{len(frames)} generated street scenes of {size}"
        return frames, f"fed {scenes} (post-processing depends on content: see --data)"
    frames = dataset_frames(dataset, options.frame_hw)
    return frames, f"fed {len(frames)} frames of {dataset.root.name} ({options.split}), stretched to {size}"


def _measured(
    configurations: list[Configuration],
    batches: Sequence[int | None],
    frames: list[Frame],
    options: BenchOptions,
    tell: TitledCount,
) -> tuple[list[dict[str, Any]], dict[str, Any], str]:
    """Opens, measures and closes all configurations; returns rows, load by others, and the reason of the end."""
    neighbours = Neighbours()
    try:
        _open(configurations, frames, tell)
        kept = _without_other_batches(configurations, batches)
        waited_s = wait_for_quiet(options.wait_s, tell)
        neighbours.start()
        usable = [configuration for configuration in kept if configuration.failed is None]
        stopped = take_turns(
            usable,
            schedule(options.duration_s, options.runs, options.turn_s),
            lambda: _spread(usable, options),
            options.settle,
            options.limit_s,
            tell,
            options.reopen,
        )
        busy = neighbours.busiest(_NAMED_CORES, _NAMED_COUNT)
        if options.source is not None:
            _watch(usable, options.source, options, tell)
        if options.data is not None:
            _evaluate(kept, options.data, options.split, tell)
    finally:
        tell.finish()
        for configuration in configurations:
            configuration.close()
    rows = [row_of(configuration, options.frame_hw) for configuration in kept]
    return rows, _load(rows, busy, waited_s), stopped


def _open(configurations: Sequence[Configuration], frames: list[Frame], tell: TitledCount) -> None:
    cores = resolve_threads(None)
    for configuration in configurations:
        if configuration.threads > cores:
            configuration.notes.append(f"{configuration.threads} threads on {cores} cores")
        tell(0, 1, f"opening {configuration.title}")
        configuration.open(frames)


def _load(rows: list[dict[str, Any]], busy: list[Neighbour], waited_s: float) -> dict[str, Any]:
    known = [row["other_cores"] for row in rows if row["other_cores"] is not None]
    return {
        "other_cores": sum(known) / len(known) if known else None,
        "waited_s": waited_s,
        "processes": [asdict(process) for process in busy],
    }


def _without_other_batches(configurations: list[Configuration], batches: Sequence[int | None]) -> list[Configuration]:
    """With several batches, a file with a fixed batch is measured with that batch only; a note in its rows says so."""
    kept = [
        configuration
        for configuration in configurations
        if configuration.fixed_batch in (None, configuration.batch) or configuration.fixed_batch not in batches
    ]
    for configuration in kept:
        others = [str(size) for size in batches if size not in (None, configuration.batch)]
        if configuration.fixed_batch in batches and others:
            only = f"the file takes batches of {configuration.batch}, seg-edge export --batch makes others"
            configuration.notes.append(f"batch {' and '.join(others)} not measured: {only}")
    return kept


def _tell_models_apart(rows: list[dict[str, Any]]) -> None:
    """Adds the file's name to the model's name in rows that are otherwise equal, so that reports can be matched."""
    keys = Counter(_key(row) for row in rows)
    for row in rows:
        if keys[_key(row)] > 1:
            path = Path(row["file"])
            row["model"] = f"{row['model']} ({path.parent.name or '.'}/{path.name})"


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(str(row[key]) for key in ("model", "precision", "engine", "threads", "imgsz", "batch"))


def _spread(configurations: Sequence[Configuration], options: BenchOptions) -> float | None:
    """The widest interval of the main figures: ratios if there are any, else times; see ``settle``."""
    if options.relative_to is None:
        spreads = [configuration.spread() for configuration in configurations if configuration.failed is None]
    else:
        rows = [row_of(configuration, options.frame_hw) for configuration in configurations]
        add_ratios(rows, options.relative_to)
        ratios = [row["ratio"] for row in rows if row["ratio"]]
        spreads = [half_width(ratio[f"{kind}_interval"]) for ratio in ratios for kind in ("e2e", "engine")]
    known = [spread for spread in spreads if spread is not None]
    return max(known) if known and len(known) == len(spreads) else None


def _watch(configurations: Sequence[Configuration], source: str, options: BenchOptions, tell: TitledCount) -> None:
    seconds = DURATION_S if options.duration_s is None else options.duration_s
    for configuration in configurations:
        tell(0, 1, f"camera to sink of {configuration.title}")
        configuration.watch(source, options.sink, seconds)


def _evaluate(configurations: Sequence[Configuration], data: Path, split: str, tell: TitledCount) -> None:
    # Masks depend neither on the number of threads nor on a free batch, and a file with a fixed batch has one
    # configuration. So one evaluation is enough for all rows of a file and engine.
    first: dict[tuple[Path, str], Configuration] = {}
    for configuration in configurations:
        if configuration.failed is not None:
            continue
        done = first.setdefault((configuration.path, configuration.engine), configuration)
        if done is configuration:
            tell(0, 1, f"mIoU of {configuration.title}")
            configuration.evaluate(data, split)
        else:
            configuration.miou = done.miou
            configuration.notes += [note for note in done.notes if note.startswith("mIoU")]
