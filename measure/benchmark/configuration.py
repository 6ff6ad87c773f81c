"""One configuration under measurement: a model on an engine with a number of threads and a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from ...core.errors import SegEdgeError
from ...core.labels import Labels
from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ...datasets.opening import for_model, open_dataset
from ...runtime.machine.system import ROOT
from ...runtime.modelfile.modelfile import read_spec
from ...runtime.segmenter import Segmenter
from ...runtime.sources import names_files
from ..evaluation import evaluate_split
from ..instruments.power import Meter, NoMeter, open_meter
from ..instruments.sensors import OtherLoad
from ..instruments.vitals import Vitals, memory
from ..workload.batch import BatchSegmenter, resolve_batch
from ..workload.camera import watch
from ..workload.cycle import Frame, Workload
from ..workload.untrained import RANDOM, UntrainedSegmenter
from .blocks import run_block
from .figures import Figures
from .turns import REFILL, SETTLE_S, Share
from .warmup import warm_up

# A row measures one frame after the other on all threads; other modes are not part of a row.
_FILE_NOTE = (
    "camera to sink of a file: the network computes one frame at a time on all of the row's threads "
    "(seg-edge run: several side by side, where the engine can)"
)


class Configuration:
    """Opens a model, measures it turn by turn, and keeps the results.

    An error that the user can fix becomes a note instead of an exception.

    Args:
        path: An exported model file.
        engine: A name of the engines' table.
        threads: CPU threads.
        root: Folder with ``proc`` and ``sys``.
        batch: Frames per inference; None is the fixed batch of the file, else 1. Resolved by :meth:`open`.

    Attributes:
        failed: Why the configuration can't be measured, or None.
        figures: The results of the turns.
        fixed_batch: The fixed batch of the file; None if the batch is free or not known yet.
        notes: Remarks for the row.
        spec: The spec of the model, after it was read.
        miou, camera: The results of :meth:`evaluate` and :meth:`watch`, else None.
        load, meter, vitals: The instruments: other processes, energy, heat and clocks.
    """

    def __init__(self, path: Path, engine: str, threads: int, root: Path = ROOT, batch: int | None = None) -> None:
        self.path, self.engine, self.threads, self.root = path, engine, threads, root
        self._asked_batch = batch
        self.batch = batch or 1
        self.fixed_batch: int | None = None
        self.failed: str | None = None
        self.notes: list[str] = []
        self.spec: ModelSpec | None = None
        self.figures = Figures()
        self.miou: float | None = None
        self.camera: dict[str, Any] | None = None
        self.load = OtherLoad(root)
        self.meter: Meter = NoMeter("the model was never opened")
        self.vitals: Vitals | None = None
        self._segmenter: Segmenter | None = None
        self._workload: Workload | None = None

    @property
    def title(self) -> str:
        """Title for progress bars."""
        return f"{self.path.name} on {self.engine}, {self.threads} threads, batch {self.batch}"

    def open(self, frames: list[Frame]) -> None:
        """Loads the model and warms it up until its latency is steady.

        Args:
            frames: uint8 (H, W, 3) each, of one size; turns cycle through them.
        """
        with self._guard():
            self.spec = spec = read_spec(self.path)
            if note := spec.provenance.get("note"):
                self.notes.append(one_remark(note))
            before = memory(self.root)["rss_bytes"]
            began = perf_counter()
            segmenter = self._new_segmenter(spec)
            opened_s = perf_counter() - began
            self.fixed_batch = segmenter.engine.batch
            self.batch = resolve_batch(segmenter, self._asked_batch)
            self.figures = Figures(self.batch)
            self._workload = Workload(segmenter, frames, self.batch)
            self._start(self._workload, opened_s)
            after = memory(self.root)["rss_bytes"]
            if before is not None and after is not None:
                self.figures.model_bytes = max(after - before - self._workload.nbytes, 0)
            self.meter = open_meter(segmenter.engine.device_kind, self.root)
            self.vitals = Vitals(self.root, "CPU" not in segmenter.engine.device_kind.upper())

    def reopen(self) -> None:
        """Loads the model again, which places its memory at other addresses.

        The speed of some networks depends on the addresses through the caches, by 10 % and more, until the model is
        closed. Start-up time and cold rate remain those of :meth:`open`.
        """
        if self.failed is not None or self.spec is None or self._segmenter is None or self._workload is None:
            return
        with self._guard():
            self._segmenter.close()
            self._workload.use(self._new_segmenter(self.spec))
            for _ in range(max(1, self._refill)):
                self._workload.process()

    def turn(self, share: Share, engine_first: bool) -> None:
        """One turn of this configuration: a block of engine-only runs and a block of end-to-end runs.

        Args:
            share: The length of each block.
            engine_first: Which block comes first. Alternate the order, so that neither block always has the warmer
                machine.
        """
        workload = self._workload
        if self.failed is not None or workload is None:
            return
        sleep(SETTLE_S)
        self.load.start()
        began = perf_counter()
        with self._guard():
            blocks: list[Callable[[Workload, Share], None]] = [self._engine_block, self._e2e_block]
            for block in blocks if engine_first else blocks[::-1]:
                block(workload, share)
        self.load.stop()
        self.figures.turns_at_s.append((began + perf_counter()) / 2)
        if self.vitals is not None:
            self.vitals.take()

    def spread(self) -> float | None:
        """See :meth:`seg_edge.measure.benchmark.figures.Figures.spread`."""
        return self.figures.spread()

    def watch(self, source: str, sink: str, seconds: float) -> None:
        """Runs the whole pipeline from a camera to a sink; see :func:`seg_edge.measure.workload.camera.watch`."""
        segmenter, workload = self._segmenter, self._workload
        if self.failed is not None or segmenter is None or workload is None:
            return
        if self.batch != 1:
            self.notes.append(f"camera to sink not measured: one source never fills a batch of {self.batch}")
            return
        sleep(SETTLE_S)
        try:
            self.camera = watch(segmenter, list(workload.frames), source, sink, seconds)
            if names_files(source):
                self.notes.append(_FILE_NOTE)
        except SegEdgeError as error:
            self.notes.append(f"camera to sink not measured: {one_remark(error)}")

    def evaluate(self, data: Path, split: str) -> None:
        """Measures mIoU on a dataset. A dataset with other classes than the model adds a note instead."""
        segmenter = self._segmenter
        if self.failed is not None or segmenter is None:
            return
        if segmenter.spec.provenance.get("weights") == RANDOM:
            return  # the mIoU of random weights, which the row's note mentions, is meaningless
        try:
            self.miou = evaluate_split(segmenter, _dataset_for(segmenter, data, split))["miou"]
        except SegEdgeError as error:
            self.notes.append(f"mIoU not measured: {one_remark(error)}")

    def close(self) -> None:
        """Frees the model and the instruments. May be called twice."""
        self.meter.close()
        if self._segmenter is not None:
            self._segmenter.close()
            self._segmenter = self._workload = None

    def _new_segmenter(self, spec: ModelSpec) -> Segmenter:
        kind = UntrainedSegmenter if spec.provenance.get("weights") == RANDOM else BatchSegmenter
        self._segmenter = kind(self.path, engine=self.engine, threads=self.threads)
        return self._segmenter

    def _start(self, workload: Workload, opened_s: float) -> None:
        """The first overlay, and the warm-up after it."""
        first_s = perf_counter()
        workload.process()
        self.figures.startup_ms = 1e3 * (opened_s + perf_counter() - first_s)
        self.figures.cold, note = warm_up(workload.process, self.batch, first_s)
        if note:
            self.notes.append(note)

    def _engine_block(self, workload: Workload, share: Share) -> None:
        for _ in range(self._refill):
            workload.infer()
        self.figures.add("engine", run_block(workload.infer, share))

    def _e2e_block(self, workload: Workload, share: Share) -> None:
        for _ in range(self._refill):
            workload.process()
        stages: list[dict[str, float]] = []
        self.meter.start()
        block = run_block(lambda: stages.append(workload.process()), share)
        joules = self.meter.stop()
        self.figures.add("e2e", block)
        self.figures.add_stages(stages)
        self.figures.energy.add(joules, block.elapsed_s, self.batch * len(block.times_ms))

    @property
    def _refill(self) -> int:
        # Long runs gain little from warm caches, so the time is better spent on measured runs.
        runs_per_second = self.figures.cold["fps"] / self.batch if self.figures.cold else 0.0
        return REFILL if runs_per_second > 20 else int(runs_per_second > 1)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except SegEdgeError as error:
            self.failed = one_remark(error)
            self.close()


def one_remark(error: object) -> str:
    """An error or a text as one remark of a note. Commas replace semicolons, which separate remarks."""
    return " ".join(str(error).split()).replace("; ", ", ")


def _dataset_for(segmenter: Segmenter, data: Path, split: str) -> SegDataset:
    dataset = open_dataset(data, split)
    numbered = Labels.numbered(len(segmenter.labels))
    if len(dataset.labels) == len(numbered) and segmenter.labels.names == numbered.names:
        # A model without class names (a peer), but with as many classes: assume the order of the dataset.
        return replace(dataset, labels=replace(dataset.labels, names=numbered.names))
    if segmenter.spec.output == "labels" and segmenter.labels == Labels.numbered(255) and dataset.labels.ignore_index == 255:
        # A peer that gives class numbers and doesn't say how many there are.
        return replace(dataset, labels=replace(numbered, ignore_index=dataset.labels.ignore_index))
    return for_model(dataset, segmenter.spec)
