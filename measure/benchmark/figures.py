"""The measurements of one configuration: samples of all runs, and one value per turn for the intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...runtime.pipeline.stats import Samples, half_width, median_interval
from .blocks import Block

STAGES = ("pre", "engine", "post")
#: The engine alone, and from frame to overlay.
KINDS = ("engine", "e2e")
#: Quantities with one value per turn; intervals are over the turns.
TURN_KEYS = ("engine_ms", "e2e_ms", "fps_engine", "fps_e2e")


@dataclass
class Energy:
    """Energy, duration and frames of the blocks with a reading of the instrument; other blocks don't count."""

    joules: float | None = None
    seconds: float = 0.0
    blocks: int = 0
    frames: int = 0

    def add(self, joules: float | None, seconds: float, frames: int) -> None:
        """Adds one block; ``joules`` is None if the instrument could not be read."""
        if joules is not None:
            self.joules = (self.joules or 0.0) + joules
            self.seconds += seconds
            self.blocks += 1
            self.frames += frames

    @property
    def watts(self) -> float | None:
        return self.joules / self.seconds if self.joules is not None and self.seconds > 0 else None

    @property
    def joules_per_frame(self) -> float | None:
        return self.joules / self.frames if self.joules is not None and self.frames else None


class Figures:
    """Accumulates blocks.

    Args:
        batch: Frames of one run.

    Attributes:
        samples: Milliseconds of all runs, by kind; ``stages`` those of the stages from frame to overlay.
        turns: One value per turn for each of :data:`TURN_KEYS`; ``turns_at_s`` is the middle of each turn,
            ``time.perf_counter``.
        startup_ms, cold, model_bytes: Time to open the model, rate of the first frames, and memory of the model.
    """

    def __init__(self, batch: int = 1) -> None:
        self._batch = batch
        self.samples = {kind: Samples() for kind in KINDS}
        self.stages = {stage: Samples() for stage in STAGES}
        self._elapsed_s = dict.fromkeys(KINDS, 0.0)
        self.energy = Energy()
        self.turns: dict[str, list[float]] = {key: [] for key in TURN_KEYS}
        self.turns_at_s: list[float] = []
        self.startup_ms: float | None = None
        self.cold: dict[str, float | int] | None = None
        self.model_bytes: int | None = None

    def add(self, kind: str, block: Block) -> None:
        """Adds one block of ``kind``."""
        for value in block.times_ms:
            self.samples[kind].add(value)
        self._elapsed_s[kind] += block.elapsed_s
        self.turns[f"{kind}_ms"].append(block.median_ms)
        self.turns[f"fps_{kind}"].append(self._batch * block.rate)

    def add_stages(self, runs: Iterable[Mapping[str, float]]) -> None:
        """Adds the milliseconds of the stages, run by run."""
        for stages_ms in runs:
            for stage in STAGES:
                self.stages[stage].add(stages_ms[stage])

    def fps(self, kind: str) -> float | None:
        """Frames per second over all turns, stalls included."""
        elapsed_s = self._elapsed_s[kind]
        return self._batch * self.samples[kind].count / elapsed_s if elapsed_s > 0 else None

    def spread(self) -> float | None:
        """Half the width of the interval of the end-to-end time, divided by its middle; None with too few turns."""
        return half_width(median_interval(self.turns["e2e_ms"]))

    def uneven(self) -> bool:
        """Whether the mean rate is below the interval of the turns, because of stalls."""
        interval, fps = median_interval(self.turns["fps_e2e"]), self.fps("e2e")
        return interval is not None and fps is not None and fps < interval[0]
