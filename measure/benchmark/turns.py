"""The order of measurements: configurations take turns until their figures are precise enough or the time is up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from ..options import TURN_S

DURATION_S = 5.0
#: The smallest number of turns with a 95 % interval.
LEAST_TURNS = 6
#: Pause before a turn. Threads of ONNX Runtime spin for about 40 ms after a run (measured) and would slow the next
#: turn.
SETTLE_S = 0.06
#: Unmeasured runs at the start of each block, because the block before has filled the caches with other data.
REFILL = 2

#: Called with (done, in all, title of the running configuration).
Tell = Callable[[int, int, str], None]
#: Half the width of the widest interval, divided by its middle; None before there is an interval.
Spread = Callable[[], "float | None"]


@dataclass(frozen=True)
class Share:
    """How long one block of a turn lasts: a number of runs, or seconds (then at least one run)."""

    runs: int | None = None
    seconds: float = 0.0

    def over(self, done: int, began_s: float) -> bool:
        return done >= self.runs if self.runs is not None else done > 0 and perf_counter() - began_s >= self.seconds


class TakesTurns(Protocol):
    """Something that is measured turn by turn."""

    @property
    def title(self) -> str:
        """Title for progress bars."""

    def turn(self, share: Share, engine_first: bool) -> None:
        """Measures one turn, whose blocks have the length ``share`` each."""

    def reopen(self) -> None:
        """Loads the model again."""


def schedule(duration_s: float | None, runs: int | None, turn_s: float = TURN_S) -> list[Share]:
    """The length of both blocks, turn by turn.

    Args:
        duration_s: Seconds of both blocks in all turns together.
        runs: Instead: runs of each kind in all turns together.
        turn_s: Length of one turn, in seconds.
    """
    if runs is not None:
        turns = max(min(runs, LEAST_TURNS), runs // 20)
        return [Share(runs=runs // turns + (i < runs % turns)) for i in range(turns)]
    duration_s = DURATION_S if duration_s is None else duration_s
    turns = max(LEAST_TURNS, round(duration_s / turn_s))
    return [Share(seconds=duration_s / turns / 2)] * turns


def take_turns(
    configurations: Sequence[TakesTurns],
    blocks: Sequence[Share],
    spread: Spread,
    settle: float | None = None,
    limit_s: float | None = None,
    tell: Tell | None = None,
    reopen: int | None = None,
) -> str:
    """Measures all configurations, turn by turn.

    Args:
        configurations: Open configurations.
        blocks: The length of both blocks, for each turn.
        spread: Returns the uncertainty of the figures.
        settle: Stop once ``spread`` is at most this.
        limit_s: Begin no turn after this many seconds, except for the first six turns.
        tell: Called with (done, in all, title of the running configuration).
        reopen: Open each configuration again after this many turns; None never does. See :meth:`TakesTurns.reopen`.

    Returns:
        The reason of the end, for the report.
    """
    began, total = perf_counter(), len(blocks) * len(configurations)
    # A fixed seed gives the same sequence of orders in all benchmarks, so that two benchmarks are comparable.
    shuffled = random.Random(0)
    for turn, share in enumerate(blocks):
        if limit_s is not None and turn >= LEAST_TURNS and perf_counter() - began > limit_s:
            return f"the limit of {limit_s:g} s, after {turn} turns"
        # Shuffled, so that no configuration always follows the same one, or is always far from another.
        for at, configuration in enumerate(shuffled.sample(configurations, len(configurations))):
            if tell is not None:
                tell(turn * len(configurations) + at, total, f"measuring {configuration.title}")
            if reopen is not None and turn and turn % reopen == 0:
                configuration.reopen()
            configuration.turn(share, engine_first=turn % 2 == 0)
        if settle is not None and (now := spread()) is not None and now <= settle:
            return f"settled within {100 * now:.1f} %, after {turn + 1} turns"
    return f"all {len(blocks)} turns"
