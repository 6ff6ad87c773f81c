"""Threads that share a list of tasks, an engine and the results."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..core.cpu import resolve_threads
from ..core.errors import InputError
from ..core.progress import Progress
from .inputs import Item
from .options import PredictOptions
from .report import SHOWN, PredictReport
from .results import Results
from .segment import Worker

if TYPE_CHECKING:
    from ..runtime.frame.result import Frame
    from ..runtime.segmenter import Segmenter


#: A piece of work: number among all, item, and for a frame of a video its number and pixels.
Task = tuple[int, Item, "tuple[int, Frame] | None"]


class Run:
    """One run.

    Args:
        tasks: What is to be done, without what is done.
        count: Number of images, those that are done included; None if it is unknown.
        out: The output folder, for the report.
        options: Of the run.
        segmenter: Open; not closed.
        results: Open; not closed.
        progress: Receives the progress.
    """

    def __init__(
        self,
        tasks: Iterator[Task],
        count: int | None,
        out: str,
        options: PredictOptions,
        segmenter: Segmenter,
        results: Results,
        progress: Progress,
    ) -> None:
        self._count, self._out, self._options, self._results = count, out, options, results
        self._segmenter = segmenter
        self._worker = Worker(segmenter, options, results.store)
        self._tasks = islice(tasks, options.max_frames)
        self._taking, self._counting = threading.Lock(), threading.Lock()
        self._stop, self._ended = threading.Event(), threading.Event()
        self._broken: BaseException | None = None
        self._images = self._failed = 0
        self._errors: list[tuple[str, str]] = []
        self._show = progress.count("predict")

    def run(self) -> PredictReport:
        """Does all tasks. Raises as :meth:`.Plan.run`."""
        begun = perf_counter()
        count = self._options.workers or resolve_threads(None) + 1
        # Ctrl-C may interrupt a start whose thread already runs. So a thread that never raises starts and joins them.
        leader = threading.Thread(target=self._lead, args=(count,), name="predict", daemon=True)
        try:
            leader.start()
            while not self._ended.wait(0.2):
                pass
        except BaseException:
            # Images in work are finished: the engine must not be closed, nor the process ended, beside a request.
            self._stop.set()
            self._ended.wait()
            raise
        if self._broken is not None:
            raise self._broken
        if self._images or self._results.done:
            self._results.finish(self._worker.formats)
        engine = self._segmenter.engine
        return PredictReport(
            out=self._out,
            model=self._segmenter.spec.name,
            engine=f"{engine.name} {engine.version} on {engine.device}",
            images=self._images,
            skipped=len(self._results.done),
            failed=self._failed,
            seconds=perf_counter() - begun,
            errors=self._errors,
            manifest=self._results.manifest,
        )

    def _lead(self, count: int) -> None:
        threads = [threading.Thread(target=self._work, name=f"predict-{n}", daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._ended.set()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with self._taking:
                    task = next(self._tasks, None)
                if task is None:
                    return
                self._one(*task)
            except BaseException as error:  # raised again by the caller's thread
                self._broken = self._broken or error
                self._stop.set()

    def _one(self, number: int, item: Item, frame: tuple[int, Frame] | None) -> None:
        begun = perf_counter()
        name, path, file = item.name, item.path, item.file
        if frame is not None:
            name, path = f"{name}_{frame[0]:06d}", f"{path}#{frame[0]}"
            file = f"{name}.jpg"
        row: dict[str, Any] = {"input": path, "name": name, "file": file, "number": number}
        done = self._worker.row_of(row, item.read, None if frame is None else frame[1], item.remote is None)
        if done is None:
            self._results.add(row, (), {})
            self._count_error(path, row["error"])
            return
        self._results.add(row, done.files, done.entries, begun)
        with self._counting:
            self._images += 1
            self._show(self._images + self._failed + len(self._results.done), self._count)

    def _count_error(self, path: str, reason: str) -> None:
        with self._counting:
            self._failed += 1
            if len(self._errors) < SHOWN:
                self._errors.append((path, reason))
            limit = self._options.max_errors
            if limit is not None and self._failed > limit:
                raise InputError(
                    f"predict: {self._failed} images can't be read, more than `max_errors` {limit}; the last: {reason}"
                )
