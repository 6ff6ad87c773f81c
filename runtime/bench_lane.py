"""One configuration under measurement: a model on an engine with a number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.dataset import SegDataset, open_dataset
from ..core.errors import SegEdgeError
from ..core.spec import ModelSpec
from . import kernels
from .evaluate import evaluate
from .machine import ROOT
from .modelfile import read_spec
from .segmenter import Segmenter
from .sensors import EnergyMeter, OtherLoad, temperature_c
from .stats import Samples

Frame = npt.NDArray[np.uint8]

#: Pause before a turn. ONNX Runtime's threads go on spinning for about 40 ms after a run (measured), in the next one's time.
SETTLE_S = 0.06
#: Unmeasured runs at the start of each block: the one before has filled the caches with other data.
REFILL = 2
# Warm-up: windows of this many frames, until one's median is this close to the one's before, or the time is up.
_WINDOW, _STABLE, _WARMUP_LIMIT_S = 5, 0.05, 3.0
#: Cores that other processes may use before a measurement gets a warning.
QUIET_CORES = 0.1
STAGES = ("pre", "engine", "post")


@dataclass(frozen=True)
class Share:
    """How long one block of a turn lasts: a number of runs, or seconds (then at least one run)."""

    runs: int | None = None
    seconds: float = 0.0

    def over(self, done: int, began_s: float) -> bool:
        return done >= self.runs if self.runs is not None else done > 0 and perf_counter() - began_s >= self.seconds


class Lane:
    """Opens, measures and reports one configuration. Whatever is the user's to mend ends in a note, not in an exception.

    Args:
        path: An exported model file.
        engine: A name of the engines' table.
        threads: CPU threads.
        root: Where ``proc`` and ``sys`` are looked for.

    Attributes:
        failed: Why it can't be measured, or None.
        notes: Remarks for its row.
    """

    def __init__(self, path: Path, engine: str, threads: int, root: Path = ROOT) -> None:
        self.path, self.engine, self.threads = path, engine, threads
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
        self._meter = EnergyMeter(root)
        self._joules: float | None = None
        self._hottest_c: float | None = None

    def open(self, frames: list[Frame]) -> None:
        """Loads the model and warms it up until its latency is steady.

        Args:
            frames: uint8 (H, W, 3) each, of one size; turns cycle through them.
        """
        with self._guard():
            self._spec = spec = read_spec(self.path)
            self._segmenter = Segmenter(self.path, engine=self.engine, threads=self.threads)
            self._frames = frames
            # The engine alone gets inputs that are ready, made by the same resize that the segmenter does.
            self._inputs = [
                (frame if frame.shape[:2] == spec.input_hw else kernels.resize(frame, spec.input_hw, spec.resize))[None]
                for frame in frames
            ]
            self._overlay = np.empty_like(frames[0])
            self._warm_up(self._segmenter)

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
        with self._guard():
            blocks: list[Callable[[Segmenter, Share], None]] = [self._engine_block, self._e2e_block]
            for block in blocks if engine_first else blocks[::-1]:
                block(segmenter, share)
        self._load.stop()
        degrees = temperature_c(self._root)
        if degrees is not None:
            self._hottest_c = max(degrees, self._hottest_c or degrees)

    def evaluate(self, data: Path, split: str) -> None:
        """Measures mIoU on a dataset; a dataset that doesn't fit the model becomes a note."""
        segmenter = self._segmenter
        if self.failed is not None or segmenter is None:
            return
        try:
            self.miou = evaluate(segmenter, _dataset_for(segmenter, data, split))["miou"]
        except SegEdgeError as error:
            self.notes.append(f"mIoU not measured: {one_remark(error)}")

    def close(self) -> None:
        if self._segmenter is not None:
            self._segmenter.close()
            self._segmenter = None

    @property
    def fps_e2e(self) -> float | None:
        return self._e2e.count / self._e2e_s if self._e2e_s > 0 else None

    @property
    def other_cores(self) -> float | None:
        """Cores that other processes used during the turns."""
        return self._load.cores

    def row(self, frame_hw: tuple[int, int]) -> dict[str, Any]:
        """This configuration's row of ``bench --json``."""
        spec = self._spec
        about = dict(spec.provenance) if spec else {}
        params, macs = (about.get(key) if isinstance(about.get(key), int) else None for key in ("params", "macs"))
        measured = self.failed is None
        joules = self._joules if measured else None
        return {
            "model": spec.name if spec else self.path.stem,
            "file": str(self.path),
            "precision": spec.precision if spec else None,
            "engine": self.engine,
            "threads": self.threads,
            "imgsz": list(spec.input_hw) if spec else None,
            "frame": list(frame_hw),
            "batch": 1,
            "params": params,
            "macs": macs,
            "bytes": self.path.stat().st_size if self.path.is_file() else None,
            "engine_ms": (self._engine if measured else Samples()).percentiles(),
            "e2e_ms": (self._e2e if measured else Samples()).percentiles(),
            "stages_ms": {
                stage: samples.percentiles()["p50"] if measured else None for stage, samples in self._stages.items()
            },
            "fps_engine": self._engine.count / self._engine_s if measured and self._engine_s > 0 else None,
            "fps_e2e": self.fps_e2e if measured else None,
            "miou": self.miou,
            "watts": joules / self._e2e_s if joules is not None and self._e2e_s > 0 else None,
            "joules_per_frame": joules / self._e2e.count if joules is not None and self._e2e.count else None,
            "temperature_c": self._hottest_c if measured else None,
            "note": "; ".join(self._remarks(params is None or macs is None)),
        }

    def _remarks(self, sizes_unknown: bool) -> list[str]:
        if self.failed is not None:
            return [f"not measured: {self.failed}"]
        remarks = list(self.notes)
        others = self._load.cores
        if others is None:
            remarks.append("the load by other processes is not visible here")
        elif others > QUIET_CORES:
            remarks.append(f"other processes kept {others:.1f} cores busy meanwhile")
        if sizes_unknown:
            remarks.append("params and MACs: the model file doesn't say")
        if self._joules is None:
            remarks.append(f"power not measurable here ({self._meter.reason or 'the counter failed'})")
        else:
            remarks.append("power is that of the whole CPU package (RAPL) during end-to-end runs")
        if self._hottest_c is None:
            remarks.append("temperature not measurable here (no sensor)")
        return remarks

    def _warm_up(self, segmenter: Segmenter) -> None:
        began, previous = perf_counter(), None
        while True:
            times = [
                segmenter.process(self._next(self._frames), mask=False, out=self._overlay).latency_ms for _ in range(_WINDOW)
            ]
            median = float(np.median(times))
            change = abs(median - previous) / previous if previous else 1.0
            if change <= _STABLE:
                return
            if previous and perf_counter() - began > _WARMUP_LIMIT_S:
                self.notes.append(f"latency still changed by {100 * change:.0f} % after {_WARMUP_LIMIT_S:g} s of warm-up")
                return
            previous = median

    def _engine_block(self, segmenter: Segmenter, share: Share) -> None:
        infer = segmenter.engine.infer
        for _ in range(REFILL):
            infer(self._next(self._inputs))
        began, done = perf_counter(), 0
        while not share.over(done, began):
            frames = self._next(self._inputs)
            started = perf_counter()
            infer(frames)
            self._engine.add(1e3 * (perf_counter() - started))
            done += 1
        self._engine_s += perf_counter() - began

    def _e2e_block(self, segmenter: Segmenter, share: Share) -> None:
        for _ in range(REFILL):
            segmenter.process(self._next(self._frames), mask=False, out=self._overlay)
        energy = self._meter.read_uj()
        began, done = perf_counter(), 0
        while not share.over(done, began):
            frame_bgr = self._next(self._frames)
            started = perf_counter()
            # The overlay's buffer is reused, as the pipeline does.
            result = segmenter.process(frame_bgr, mask=False, out=self._overlay)
            self._e2e.add(1e3 * (perf_counter() - started))
            for stage in STAGES:
                self._stages[stage].add(result.stages_ms[stage])
            done += 1
        self._e2e_s += perf_counter() - began
        joules = self._meter.joules(energy, self._meter.read_uj())
        if joules is not None:
            self._joules = (self._joules or 0.0) + joules

    def _next(self, items: list[Frame]) -> Frame:
        self._at += 1
        return items[self._at % len(items)]

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except SegEdgeError as error:
            self.failed = one_remark(error)
            self.close()


def one_remark(error: BaseException) -> str:
    """An error as one remark of a note, whose remarks are separated by semicolons."""
    return " ".join(str(error).split()).replace("; ", ", ")


def _dataset_for(segmenter: Segmenter, data: Path, split: str) -> SegDataset:
    found = open_dataset(data, split)
    if found.labels.names != segmenter.labels.names and not (data / "classes.json").is_file():
        # Numbers alone name no classes: take the model's; reading checks that the values fit.
        found = open_dataset(data, split, segmenter.labels)
    return found
