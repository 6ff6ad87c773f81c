"""Inference times of engines, measured as in the benchmark, for exports and pruning.

The report of an export, its limit of the speedup and pruning to a latency all use this module. Engines are timed in
alternating turns, so that a slower machine affects all of them. The load of other processes is recorded, because it
makes times too long.

>>> from seg_edge.core.shipped import DEFAULT, shipped
>>> (timing,) = time_engines([Candidate(shipped(DEFAULT, "model.int8.onnx"), "onnxruntime")], turns=QUICK)
>>> timing.median_ms > 0
True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import numpy.typing as npt

from ...runtime.engines import Engine, open_engine
from ...runtime.pipeline.stats import median_interval, percentiles
from ..instruments.sensors import QUIET_CORES, Neighbour, Neighbours, OtherLoad, processes_text
from .blocks import run_block
from .turns import REFILL, SETTLE_S, Share, take_turns

Frames = npt.NDArray[np.uint8]
#: Called with (turns done, turns in all).
Count = Callable[[int, int], None]

#: For figures that are reported or compared with a limit; an interval needs six turns.
THOROUGH: tuple[Share, ...] = (Share(seconds=0.1),) * 8
#: For a search among many candidates: half a second each, no interval.
QUICK: tuple[Share, ...] = (Share(runs=4),) * 4
# Unmeasured runs after opening: engines allocate memory and choose kernels in the first runs.
_WARMUP_RUNS, _WARMUP_LIMIT_S = 5, 0.5
# Processes that used more than this many cores are named, the busiest first, up to this number.
_NAMED_CORES, _NAMED_COUNT = 0.05, 3


@dataclass(frozen=True)
class Candidate:
    """A model file on an engine, to be timed.

    Attributes:
        path: ONNX file or engine file.
        engine: A name of the engines' table.
        threads: CPU threads; None is every core.
        frames: Input of the network, uint8 (N, H, W, 3); None makes random frames of the right size. The time of an
            engine doesn't depend on the content of frames.
    """

    path: Path
    engine: str
    threads: int | None = None
    frames: Frames | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Timing:
    """The time of one inference, engine only.

    Attributes:
        median_ms: Median over all runs.
        interval_ms: Interval of the median over the turns, confidence at least 0.95; None below six turns.
        runs: Number of measured runs.
        other_cores: Cores that other processes used during this candidate's turns; None if this is not visible.
        warning: A warning if other processes disturbed the measurement, else None.
    """

    median_ms: float
    interval_ms: tuple[float, float] | None
    runs: int
    other_cores: float | None
    warning: str | None


def time_engines(
    candidates: Sequence[Candidate], *, turns: Sequence[Share] = THOROUGH, count: Count | None = None
) -> list[Timing]:
    """Times engines in alternating turns. All models are open at once.

    Args:
        candidates: Files and engines to time. A file may occur with several engines and numbers of threads.
        turns: The length of each turn: :data:`THOROUGH`, :data:`QUICK`, or others.
        count: Called with (turns done, turns in all).

    Returns:
        One timing for each candidate, in order.

    Raises:
        EngineError: an engine is not available, can't open the file, or fails during a run.
        ModelFileError: a file is not a model.
        InputError: ``threads`` out of range.
    """
    with ExitStack() as stack:
        timed = [_TimedEngine(candidate) for candidate in candidates]
        for engine in timed:
            stack.callback(engine.close)
            engine.open()
        neighbours = Neighbours()
        neighbours.start()
        tell = None if count is None else (lambda done, total, _title: count(done, total))
        take_turns(timed, turns, spread=lambda: None, tell=tell)
        busy = neighbours.busiest(_NAMED_CORES, _NAMED_COUNT)
        if count is not None:
            count(len(turns) * len(timed), len(turns) * len(timed))
    return [engine.timing(busy) for engine in timed]


class _TimedEngine:
    """A candidate that takes turns with other candidates."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._engine: Engine | None = None
        self._frames = np.empty((0, 0, 0, 3), np.uint8)
        self._load = OtherLoad()
        self._refill = REFILL
        self._times_ms: list[float] = []
        self._medians_ms: list[float] = []

    @property
    def title(self) -> str:
        """Title for progress bars."""
        return f"{self._candidate.path.name} on {self._candidate.engine}"

    def open(self) -> None:
        """Loads the model and warms it up."""
        candidate = self._candidate
        engine = self._engine = open_engine(candidate.path, candidate.engine, candidate.threads)
        self._frames = _random_frames(engine) if candidate.frames is None else candidate.frames
        began, runs = perf_counter(), 0
        while runs < _WARMUP_RUNS and (not runs or perf_counter() - began < _WARMUP_LIMIT_S):
            started = perf_counter()
            engine.infer(self._frames)
            runs += 1
        # Long runs gain little from warm caches, so the time is better spent on measured runs.
        self._refill = REFILL if perf_counter() - started < 0.05 else 1

    def turn(self, share: Share, engine_first: bool = True) -> None:
        """One block of runs, after a pause."""
        engine = self._engine
        if engine is None:
            return
        sleep(SETTLE_S)
        self._load.start()
        for _ in range(self._refill):
            engine.infer(self._frames)
        block = run_block(lambda: engine.infer(self._frames), share)
        self._load.stop()
        self._times_ms += block.times_ms
        self._medians_ms.append(block.median_ms)

    def reopen(self) -> None:
        """Loads the model again; see :meth:`seg_edge.measure.benchmark.turns.TakesTurns.reopen`."""
        self.close()
        self.open()

    def timing(self, busy: Sequence[Neighbour]) -> Timing:
        """The result of the turns, with a warning about ``busy``, the other processes at that time."""
        cores, interval = self._load.cores, median_interval(self._medians_ms)
        warning = None
        if cores is not None and cores > QUIET_CORES:
            named = f" ({processes_text(busy)})" if busy else ""
            warning = (
                f"{self.title} was timed while other processes kept {cores:.1f} cores busy{named}: "
                "the time is too long; stop them and measure again"
            )
        return Timing(
            median_ms=percentiles(self._times_ms)["p50"] or 0.0,
            interval_ms=None if interval is None else (interval[0], interval[1]),
            runs=len(self._times_ms),
            other_cores=cores,
            warning=warning,
        )

    def close(self) -> None:
        """Frees the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def _random_frames(engine: Engine) -> Frames:
    shape = (engine.batch or 1, *engine.spec.input_hw, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
