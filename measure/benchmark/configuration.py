"""One configuration under measurement: a model on an engine with a number of threads and a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...core.errors import SegEdgeError
from ...core.labels import Labels
from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ...datasets.opening import named_for, open_dataset
from ...runtime.frame import kernels
from ...runtime.frame.result import Outs
from ...runtime.machine.system import ROOT
from ...runtime.modelfile.modelfile import read_spec
from ...runtime.pipeline.stats import Samples, half_width, median_interval
from ...runtime.segmenter import Segmenter
from ...runtime.sources import SourceFrame, names_files
from ..evaluation import evaluate
from ..instruments.power import Meter, NoMeter, open_meter
from ..instruments.sensors import QUIET_CORES, OtherLoad
from ..instruments.vitals import Vitals, memory
from .batch import BatchSegmenter, resolve_batch
from .camera import simulated, watch
from .turns import REFILL, SETTLE_S, Share
from .untrained import RANDOM, UntrainedSegmenter

Frame = npt.NDArray[np.uint8]
T = TypeVar("T")

# What a row is about is one frame after the other on all of its threads; another mode would be another row.
_FILE_NOTE = (
    "camera to sink of a file: the network computes one frame at a time on all of the row's threads "
    "(seg-edge run: several side by side, where the engine can)"
)
# Warm-up: windows of this many frames, until one's median is this close to the one's before, or the time is up.
_WINDOW, _STABLE, _WARMUP_LIMIT_S = 5, 0.05, 3.0
#: "Cold" is what the first frames after opening give, for at most this long; it ends where the latency is steady.
COLD_S = 5.0
STAGES = ("pre", "engine", "post")
#: What each turn yields one value of; intervals are over the turns.
TURN_KEYS = ("engine_ms", "e2e_ms", "fps_engine", "fps_e2e")


class Lane:
    """Opens, measures and reports one configuration. Whatever is the user's to mend ends in a note, not in an exception.

    Args:
        path: An exported model file.
        engine: A name of the engines' table.
        threads: CPU threads.
        root: Where ``proc`` and ``sys`` are looked for.
        batch: Frames per inference; None is what the file fixes, else 1. Resolved by :meth:`open`.

    Attributes:
        failed: Why it can't be measured, or None.
        turns: What each turn gave, and ``turns_at_s`` when: the middle of the turn, ``time.perf_counter``.
        fixed_batch: The batch that the file fixes; None where it is free or not known yet.
        notes: Remarks for its row.
    """

    def __init__(self, path: Path, engine: str, threads: int, root: Path = ROOT, batch: int | None = None) -> None:
        self.path, self.engine, self.threads, self._asked_batch = path, engine, threads, batch
        self.batch = batch or 1
        self.fixed_batch: int | None = None
        self.failed: str | None = None
        self.notes: list[str] = []
        self.miou: float | None = None
        self._spec: ModelSpec | None = None
        self._segmenter: Segmenter | None = None
        self._engine, self._e2e = Samples(), Samples()
        self._stages = {stage: Samples() for stage in STAGES}
        self._engine_s = self._e2e_s = 0.0
        self._at = 0
        self._root = root
        self._load = OtherLoad(root)
        self._meter: Meter = NoMeter("the model was never opened")
        self._vitals: Vitals | None = None
        # Energy of the blocks in which the instrument could be read, and what those blocks, not all of them, took and did.
        self._joules: float | None = None
        self._metered_s, self._metered_blocks, self._metered_frames = 0.0, 0, 0
        self.turns: dict[str, list[float]] = {key: [] for key in TURN_KEYS}
        self.turns_at_s: list[float] = []
        self._startup_ms: float | None = None
        self._cold: dict[str, float | int] | None = None
        self._model_bytes: int | None = None
        self.camera: dict[str, Any] | None = None

    def open(self, frames: list[Frame]) -> None:
        """Loads the model and warms it up until its latency is steady.

        Args:
            frames: uint8 (H, W, 3) each, of one size; turns cycle through them.
        """
        with self._guard():
            self._spec = spec = read_spec(self.path)
            if note := spec.provenance.get("note"):
                self.notes.append(one_remark(note))
            self._frames = frames
            before, ours = memory(self._root)["rss_bytes"], 0
            began = perf_counter()
            segmenter = self._new_segmenter(spec)
            opened_s = perf_counter() - began
            self.fixed_batch = segmenter.engine.batch
            self.batch = resolve_batch(segmenter, self._asked_batch)
            ours = self._prepare(frames, spec)
            if isinstance(segmenter, UntrainedSegmenter):
                ours += segmenter.feed(frames)
            first = perf_counter()
            self._run(segmenter)
            self._startup_ms = 1e3 * (opened_s + perf_counter() - first)
            self._warm_up(segmenter, first)
            after = memory(self._root)["rss_bytes"]
            if before is not None and after is not None:
                self._model_bytes = max(after - before - ours, 0)
            self._meter = open_meter(segmenter.engine.device_kind, self._root)
            gpu = "CPU" not in segmenter.engine.device_kind.upper()
            self._vitals = Vitals(self._root, gpu)

    def reopen(self) -> None:
        """Loads the model anew, so that its memory lies elsewhere: some networks' speed depends on where (10 % and more, by
        the caches), and stays what it is until they are closed. Start-up and cold rate remain those of :meth:`open`."""
        spec = self._spec
        if self.failed is not None or spec is None or self._segmenter is None:
            return
        with self._guard():
            self._segmenter.close()
            segmenter = self._new_segmenter(spec)
            if isinstance(segmenter, UntrainedSegmenter):
                segmenter.feed(self._frames)
            for _ in range(max(1, self._refill)):
                self._run(segmenter)

    def _new_segmenter(self, spec: ModelSpec) -> Segmenter:
        kind = UntrainedSegmenter if spec.provenance.get("weights") == RANDOM else BatchSegmenter
        self._segmenter = kind(self.path, engine=self.engine, threads=self.threads)
        return self._segmenter

    def _prepare(self, frames: list[Frame], spec: ModelSpec) -> int:
        """Makes the inputs and outputs that all runs use; returns their bytes."""
        # The engine alone gets inputs that are ready, made by the same resize that the segmenter does.
        small = [
            frame if frame.shape[:2] == spec.input_hw else kernels.resize(frame, spec.input_hw, spec.resize)
            for frame in frames
        ]
        count = len(frames)
        self._inputs = [np.stack([small[(i + k) % count] for k in range(self.batch)]) for i in range(count)]
        sources = [SourceFrame(frame, i, "", 0.0) for i, frame in enumerate(frames)]
        self._groups = [[sources[(i + k) % count] for k in range(self.batch)] for i in range(count)]
        # The overlays' buffers are reused, as the pipeline does.
        self._outs: list[Outs] = [(None, np.zeros_like(frames[0])) for _ in range(self.batch)]
        return sum(one.nbytes for one in self._inputs) + self.batch * frames[0].nbytes

    def turn(self, share: Share, engine_first: bool) -> None:
        """One turn of this configuration: a block of engine-only runs and a block of end-to-end runs.

        Args:
            share: The length of each block.
            engine_first: Which block comes first; alternate it, so that neither is always measured on the warmer machine.
        """
        segmenter = self._segmenter
        if self.failed is not None or segmenter is None:
            return
        sleep(SETTLE_S)
        self._load.start()
        began = perf_counter()
        with self._guard():
            blocks: list[Callable[[Segmenter, Share], None]] = [self._engine_block, self._e2e_block]
            for block in blocks if engine_first else blocks[::-1]:
                block(segmenter, share)
        self._load.stop()
        self.turns_at_s.append((began + perf_counter()) / 2)
        if self._vitals is not None:
            self._vitals.take()

    @property
    def title(self) -> str:
        """For people, while it runs."""
        return f"{self.path.name} on {self.engine}, {self.threads} threads, batch {self.batch}"

    def spread(self) -> float | None:
        """Half the interval of the end-to-end time by its middle; None before there are enough turns."""
        return half_width(median_interval(self.turns["e2e_ms"]))

    def watch(self, source: str, sink: str, seconds: float) -> None:
        """Runs the whole pipeline from a camera to a sink; see :func:`seg_edge.measure.benchmark.camera.watch`."""
        segmenter = self._segmenter
        if self.failed is not None or segmenter is None:
            return
        if self.batch != 1:
            self.notes.append(f"camera to sink not measured: one source never fills a batch of {self.batch}")
            return
        sleep(SETTLE_S)
        try:
            self.camera = watch(segmenter, self._frames, source, sink, seconds)
            if not simulated(source) and names_files(source):
                self.notes.append(_FILE_NOTE)
        except SegEdgeError as error:
            self.notes.append(f"camera to sink not measured: {one_remark(error)}")

    def evaluate(self, data: Path, split: str) -> None:
        """Measures mIoU on a dataset; a dataset that doesn't fit the model becomes a note."""
        segmenter = self._segmenter
        if self.failed is not None or segmenter is None:
            return
        if segmenter.spec.provenance.get("weights") == RANDOM:
            return  # a mIoU of chance would look like one that was measured; the row's note says that the weights are random
        try:
            self.miou = evaluate(segmenter, _dataset_for(segmenter, data, split))["miou"]
        except SegEdgeError as error:
            self.notes.append(f"mIoU not measured: {one_remark(error)}")

    def close(self) -> None:
        self._meter.close()
        if self._segmenter is not None:
            self._segmenter.close()
            self._segmenter = None

    @property
    def fps_e2e(self) -> float | None:
        return self.batch * self._e2e.count / self._e2e_s if self._e2e_s > 0 else None

    def row(self, frame_hw: tuple[int, int]) -> dict[str, Any]:
        """This configuration's row of ``bench --json``."""
        spec = self._spec
        about = dict(spec.provenance) if spec else {}
        params, macs = (about.get(key) if isinstance(about.get(key), int) else None for key in ("params", "macs"))
        measured = self.failed is None
        joules = self._joules if measured else None
        vitals = self._vitals if measured else None
        turns = self.turns if measured else {key: [] for key in TURN_KEYS}
        return {
            "model": spec.name if spec else self.path.stem,
            "file": str(self.path),
            "precision": spec.precision if spec else None,
            "engine": self.engine,
            "threads": self.threads,
            "imgsz": list(spec.input_hw) if spec else None,
            "frame": list(frame_hw),
            "batch": self.batch,
            "params": params,
            "macs": macs,
            "bytes": self.path.stat().st_size if self.path.is_file() else None,
            "engine_ms": (self._engine if measured else Samples()).percentiles(),
            "e2e_ms": (self._e2e if measured else Samples()).percentiles(),
            "stages_ms": {
                stage: samples.percentiles()["p50"] if measured else None for stage, samples in self._stages.items()
            },
            "fps_engine": self.batch * self._engine.count / self._engine_s if measured and self._engine_s > 0 else None,
            "fps_e2e": self.fps_e2e if measured else None,
            "fps_cold": self._cold["fps"] if measured and self._cold else None,
            "cold": self._cold if measured else None,
            "interval": {key: median_interval(values) for key, values in turns.items()},
            "turns": {key: list(values) for key, values in turns.items()},
            "turns_at_s": list(self.turns_at_s) if measured else [],
            "runs": {"engine": self._engine.count if measured else 0, "e2e": self._e2e.count if measured else 0},
            "startup_ms": self._startup_ms if measured else None,
            "memory": {"model_bytes": self._model_bytes if measured else None, **_peak(self._root)},
            "miou": self.miou,
            "watts": joules / self._metered_s if joules is not None and self._metered_s > 0 else None,
            "joules_per_frame": joules / self._metered_frames if joules is not None and self._metered_frames else None,
            "power_source": self._meter.source or None,
            "temperature_c": vitals.hottest_c if vitals else None,
            "clocks_mhz": vitals.clocks_mhz if vitals else {"cpu": None, "gpu": None},
            "throttled": vitals.throttled if vitals else None,
            "other_cores": self._load.cores,
            "camera": self.camera if measured else None,
            "ratio": None,
            "note": "; ".join(self._remarks(params is None or macs is None)),
        }

    def _remarks(self, sizes_unknown: bool) -> list[str]:
        if self.failed is not None:
            return [f"not measured: {self.failed}"]
        remarks = list(self.notes)
        turns, others = len(self.turns["e2e_ms"]), self._load.cores
        if others is None:
            remarks.append("the load by other processes is not visible here")
        elif others > QUIET_CORES:
            remarks.append(f"other processes kept {others:.1f} cores busy meanwhile")
        if sizes_unknown:
            remarks.append("params and MACs: the model file doesn't say")
        if self._joules is None:
            remarks.append(f"power not measurable here ({self._meter.reason or 'the instrument failed'})")
        else:
            remarks.append(f"power is that of {self._meter.scope} ({self._meter.source}) during end-to-end runs")
            if self._metered_blocks < turns:
                remarks.append(f"power could be read in {self._metered_blocks} of {turns} turns")
        vitals = self._vitals
        if vitals is None or vitals.hottest_c is None:
            remarks.append("temperature not measurable here (no sensor)")
        if vitals is None or vitals.clocks_mhz == {"cpu": None, "gpu": None}:
            remarks.append("clocks not measurable here")
        throttled = vitals.throttled if vitals else None
        if throttled is None:
            remarks.append("throttling not visible here")
        elif throttled:
            remarks.append(f"throttled meanwhile: {', '.join(throttled)}")
        if median_interval(self.turns["e2e_ms"]) is None:
            remarks.append(f"no interval: {turns} turns, it takes 6")
        elif self._uneven():
            remarks.append("uneven: stalls pull the mean FPS below the interval of the turns")
        if self._e2e.count < 30:
            remarks.append(f"few runs: {self._engine.count} engine alone, {self._e2e.count} end to end, in {turns} turns")
        return remarks

    def _uneven(self) -> bool:
        interval, fps = median_interval(self.turns["fps_e2e"]), self.fps_e2e
        return interval is not None and fps is not None and fps < interval[0]

    def _warm_up(self, segmenter: Segmenter, first_s: float) -> None:
        """Until the latency is steady; what it gives from the very first frame on, at ``first_s``, is the cold rate."""
        began, previous, frames, change = perf_counter(), None, self.batch, 1.0
        while change > _STABLE:
            times: list[float] = []
            while len(times) < _WINDOW and not (len(times) > 1 and perf_counter() - began > _WARMUP_LIMIT_S):
                times.append(sum(self._run(segmenter).values()))
                frames += self.batch
                if self._cold is None or perf_counter() - first_s <= COLD_S:
                    seconds = perf_counter() - first_s
                    self._cold = {"fps": frames / seconds, "seconds": seconds, "frames": frames}
            now = median(times)
            change = abs(now - previous) / previous if previous else 1.0
            if previous and change > _STABLE and perf_counter() - began > _WARMUP_LIMIT_S:
                self.notes.append(f"latency still changed by {100 * change:.0f} % after {_WARMUP_LIMIT_S:g} s of warm-up")
                return
            previous = now

    def _engine_block(self, segmenter: Segmenter, share: Share) -> None:
        infer = segmenter.engine.infer
        for _ in range(self._refill):
            infer(self._next(self._inputs))
        began, done, times = perf_counter(), 0, []
        while not share.over(done, began):
            frames = self._next(self._inputs)
            started = perf_counter()
            infer(frames)
            times.append(1e3 * (perf_counter() - started))
            done += 1
        self._ended("engine", times, perf_counter() - began)

    def _e2e_block(self, segmenter: Segmenter, share: Share) -> None:
        for _ in range(self._refill):
            self._run(segmenter)
        self._meter.start()
        began, done, times = perf_counter(), 0, []
        while not share.over(done, began):
            started = perf_counter()
            stages_ms = self._run(segmenter)
            times.append(1e3 * (perf_counter() - started))
            for stage in STAGES:
                self._stages[stage].add(stages_ms[stage])
            done += 1
        elapsed = perf_counter() - began
        joules = self._meter.stop()
        self._ended("e2e", times, elapsed)
        if joules is not None:
            self._joules = (self._joules or 0.0) + joules
            self._metered_s += elapsed
            self._metered_blocks += 1
            self._metered_frames += self.batch * done

    def _ended(self, kind: str, times: list[float], elapsed_s: float) -> None:
        samples = self._engine if kind == "engine" else self._e2e
        for value in times:
            samples.add(value)
        if kind == "engine":
            self._engine_s += elapsed_s
        else:
            self._e2e_s += elapsed_s
        self.turns[f"{kind}_ms"].append(median(times))
        self.turns[f"fps_{kind}"].append(self.batch * len(times) / elapsed_s)

    def _run(self, segmenter: Segmenter) -> dict[str, float]:
        """One run from frames in memory to overlays in memory; milliseconds of its stages."""
        group = self._next(self._groups)
        if self.batch == 1:
            return segmenter.process(group[0].image_bgr, mask=False, out=self._outs[0][1]).stages_ms
        return segmenter.process_batch(group, self._outs, mask=False)[-1].stages_ms

    @property
    def _refill(self) -> int:
        # A long run has little use of warm caches, and the time is better spent on a measured one.
        per_second = self._cold["fps"] / self.batch if self._cold else 0.0
        return REFILL if per_second > 20 else int(per_second > 1)

    def _next(self, items: list[T]) -> T:
        self._at += 1
        return items[self._at % len(items)]

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except SegEdgeError as error:
            self.failed = one_remark(error)
            self.close()


def one_remark(error: object) -> str:
    """An error or a text as one remark of a note, whose remarks are separated by semicolons."""
    return " ".join(str(error).split()).replace("; ", ", ")


def _peak(root: Path) -> dict[str, int | None]:
    return {"process_peak_bytes": memory(root)["peak_bytes"]}


def _dataset_for(segmenter: Segmenter, data: Path, split: str) -> SegDataset:
    found = open_dataset(data, split)
    numbered = Labels.numbered(len(segmenter.labels))
    if len(found.labels) == len(numbered) and segmenter.labels.names == numbered.names:
        # A model that names no classes (a peer) and has as many: taken to be in the dataset's order.
        return replace(found, labels=replace(found.labels, names=numbered.names))
    return named_for(found, segmenter.labels)
