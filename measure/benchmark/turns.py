"""Which configuration is measured when: they take turns until their figures are certain enough or the time is up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from ..options import TURN_S

DURATION_S = 5.0
#: The fewest turns that give an interval of 95 %.
LEAST_TURNS = 6
#: Pause before a turn. ONNX Runtime's threads go on spinning for about 40 ms after a run (measured), in the next one's time.
SETTLE_S = 0.06
#: Unmeasured runs at the start of each block: the one before has filled the caches with other data.
REFILL = 2

#: Called with (done, in all, what runs now).
Tell = Callable[[int, int, str], None]
#: Half the width of the widest interval by its middle; None before there is one.
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
        """For people, while it runs."""

    def turn(self, share: Share, engine_first: bool) -> None:
        """Measures for one turn, whose blocks last ``share`` each."""

    def reopen(self) -> None:
        """Loads the model anew."""


def schedule(duration_s: float | None, runs: int | None, turn_s: float = TURN_S) -> list[Share]:
    """The length of both blocks, turn by turn.

    Args:
        duration_s: Seconds of both blocks in all turns together.
        runs: Instead: runs of each kind in all turns together.
        turn_s: Seconds of one turn.
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
        configurations: Open ones.
        blocks: The length of both blocks, for each turn.
        spread: How uncertain the wanted figures are.
        settle: Stop once ``spread`` is at most this.
        limit_s: Begin no turn after this many seconds, once there are six.
        tell: Called with (done, in all, what runs now).
        reopen: Open each configuration anew after this many turns; None never does. See :meth:`TakesTurns.reopen`.

    Returns:
        Why it stopped, for the report.
    """
    began, total = perf_counter(), len(blocks) * len(configurations)
    # Always the same sequence of orders: two benchmarks compare like with like.
    shuffled = random.Random(0)
    for turn, share in enumerate(blocks):
        if limit_s is not None and turn >= LEAST_TURNS and perf_counter() - began > limit_s:
            return f"the limit of {limit_s:g} s, after {turn} turns"
        # Shuffled, so that no configuration is always measured right after the same one, or always far from another.
        for at, configuration in enumerate(shuffled.sample(configurations, len(configurations))):
            if tell is not None:
                tell(turn * len(configurations) + at, total, f"measuring {configuration.title}")
            if reopen is not None and turn and turn % reopen == 0:
                configuration.reopen()
            configuration.turn(share, engine_first=turn % 2 == 0)
        if settle is not None and (now := spread()) is not None and now <= settle:
            return f"settled within {100 * now:.1f} %, after {turn + 1} turns"
    return f"all {len(blocks)} turns"
