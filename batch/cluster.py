"""The same run on a cluster, through Ray Data: one open model for each CPU core, rows with errors instead of a dead job."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..core.errors import EngineError, InputError
from ..core.progress import Progress
from .inputs import Item
from .options import PredictOptions
from .remote import Remote
from .report import SHOWN, PredictReport
from .results import Results
from .store import Store

if TYPE_CHECKING:
    from .segment import Worker

#: Images that travel to an actor at once: paths only, so that few are lost with it.
_BATCH = 8
#: Seconds to wait for a cluster's answer; Ray itself would try for minutes.
_KNOCK_S = 5.0


def run_on_ray(
    tasks: Iterator[tuple[int, Item, Any]],
    count: int | None,
    out: str,
    options: PredictOptions,
    results: Results,
    model: str,
    engine: str,
    progress: Progress,
) -> PredictReport:
    """Does all tasks on a Ray cluster. Files are written by the actors, the manifest by this process.

    Every machine must see the sources, the model file and ``out`` under the same path or address.

    Args:
        tasks: What is to be done: images only, since the frames of a video have one reader.
        count: Number of images, those that are done included.
        out: The output folder or address.
        options: Of the run; ``ray`` is the cluster's address, or ``"local"``.
        results: Open; not closed.
        model: Path of the model.
        engine: Name of an engine, or ``"auto"``.
        progress: Receives the progress.

    Raises:
        InputError: Ray is missing, no cluster answers, or a video is among the sources.
        EngineError: an actor could not open the model.
    """
    ray = _connected(options)
    begun = perf_counter()
    rows = [_row(number, item) for number, item, _frame in islice(tasks, options.max_frames)]
    images = failed = 0
    errors: list[tuple[str, str]] = []
    show = progress.count("predict")
    for row, entries in _done(ray, rows, out, options, model, engine):
        results.add(row, (), entries)
        if "error" in row:
            failed += 1
            if len(errors) < SHOWN:
                errors.append((row["input"], row["error"]))
            if options.max_errors is not None and failed > options.max_errors:
                raise InputError(
                    f"predict: {failed} images can't be read, more than `max_errors` {options.max_errors}; the last: "
                    f"{row['error']}"
                )
        else:
            images += 1
        show(images + failed + len(results.done), count)
    return PredictReport(
        out=out,
        model=str(model),
        engine=f"{engine} on Ray, {int(ray.cluster_resources().get('CPU', 1))} CPU cores",
        images=images,
        skipped=len(results.done),
        failed=failed,
        seconds=perf_counter() - begun,
        errors=errors,
        manifest=results.manifest,
    )


def _connected(options: PredictOptions) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its makers
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError("`ray`: Ray Data is not installed; pip install 'seg-edge[ray]'") from error
    if not ray.is_initialized():
        words: dict[str, Any] = {} if options.ray == "local" else {"address": options.ray}
        try:
            host, _colon, port = str(options.ray).rpartition(":")
            if host and port.isdigit():
                socket.create_connection((host, int(port)), _KNOCK_S).close()
            ray.init(
                logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False if not words else None, **words
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"`ray`: no cluster at {options.ray!r} ({reason}); expected local, auto or HOST:PORT of a running one"
            ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    return ray


def _done(
    ray: Any, rows: Sequence[dict[str, Any]], out: str, options: PredictOptions, model: str, engine: str
) -> Iterator[tuple[dict[str, Any], dict[str, dict[str, Any]]]]:
    """Lines for the manifest, and entries of the journals, as they are done."""
    if not rows:
        return
    cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    # Small blocks: they are what is done again after an actor is lost, and what keeps all of them busy to the end.
    dataset = ray.data.from_items([{"row": json.dumps(row)} for row in rows], override_num_blocks=-(-len(rows) // _BATCH))
    actors = min(options.workers or cores, len(rows))
    dataset = dataset.map_batches(
        _Actor,
        fn_constructor_args=(out, _settings(options), str(model), engine),
        compute=ray.data.ActorPoolStrategy(size=actors),
        batch_size=_BATCH,
        num_cpus=1,
    )
    try:
        for line in dataset.iter_rows():
            yield json.loads(line["row"]), json.loads(line["entries"])
    except ray.exceptions.RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise EngineError(
            f"predict: an actor of the cluster failed: {last}; see its log, and go on with `resume`"
        ) from error


def _settings(options: PredictOptions) -> dict[str, Any]:
    return {name: value for name, value in asdict(options).items() if name not in ("resume", "shard", "ray")}


def _row(number: int, item: Item) -> dict[str, Any]:
    if item.is_video:
        raise InputError(f"{item.path}: a video has one reader; run videos without `ray`")
    address = item.remote.address if item.remote is not None else None
    return {"input": item.path, "name": item.name, "file": item.file, "number": number, "remote": address}


class _Actor:
    """Opens the model once, and does batches of images."""

    def __init__(self, out: str, settings: Mapping[str, Any], model: str, engine: str) -> None:
        from ..runtime.segmenter import Segmenter
        from .segment import Worker

        options = PredictOptions(**settings)
        self._store = Store(out)
        self._remotes: dict[str, Remote] = {}
        self._segmenter = Segmenter(model, engine, threads=1, **options.segmenting)
        self._worker: Worker = Worker(self._segmenter, options, self._store)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[str]]:
        done = [self._one(json.loads(row)) for row in batch["row"]]
        return {"row": [json.dumps(row) for row, _ in done], "entries": [json.dumps(entries) for _, entries in done]}

    def _one(self, row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        begun = perf_counter()
        address = row.pop("remote")
        if address is not None and address not in self._remotes:
            self._remotes[address] = Remote(address)
        item = Item(row["input"], row["name"], row["file"], self._remotes.get(address) if address else None)
        found = self._worker.row_of(row, item.read, local=item.remote is None)
        if found is None:
            return row, {}
        for _form, file, data in found.files:
            self._store.write(file, data)
        row["milliseconds"] = round(1e3 * (perf_counter() - begun), 2)
        return row, dict(found.entries)


def local_path(model: str | Path) -> str:
    """The path of a model as every machine of the cluster must see it."""
    from ..core.shipped import shipped

    path = shipped(model)
    return str(Path(path).resolve()) if Path(path).exists() else str(model)
