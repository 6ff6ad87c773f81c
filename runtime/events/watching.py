"""Decides when an event starts and ends."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..areas.areas import Areas
from .rule import Rule

#: Relative distance from the limit that a share must have on the other side for an event to end.
HYSTERESIS = 0.2


@dataclass
class Event:
    """An event's start or end.

    Attributes:
        event: Identity of the event, the same in its start and its end.
        kind: ``"start"`` or ``"end"``.
        rule: The rule's name.
        when: The rule's text.
        source: Number of the source.
        frame: Number of the frame at which it was decided.
        time_s: When the condition began to hold (start), or to fail (end), seconds from the start of the source.
        shares: Shares at this frame, fractions by ``"class in zone"``.
        peak: Highest shares during the event (lowest, for comparisons with < and <=).
        duration_s: From start to end; None for a start.
        reason: Why it ended: ``"condition"``, ``"run ended"`` or ``"interrupted"`` (the program was killed).
        time: Wall clock, ISO 8601 in UTC.
        snapshot, clip: Files, if there are any.
    """

    event: str
    kind: str
    rule: str
    when: str
    source: int
    frame: int
    time_s: float
    shares: dict[str, float]
    peak: dict[str, float]
    duration_s: float | None = None
    reason: str | None = None
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="milliseconds"))
    snapshot: str | None = None
    clip: str | None = None

    @property
    def id(self) -> str:
        """Identity of this message."""
        return f"{self.event}-{self.kind}"

    def to_dict(self) -> dict[str, Any]:
        """What is written and sent."""
        return {"id": self.id, **self.__dict__}


@dataclass
class _State:
    since_s: float | None = None  # the condition holds, or while active fails, since then
    active: Event | None = None
    peak: dict[str, float] = field(default_factory=dict)


class Watch:
    """Follows rules over the frames of a run.

    Args:
        rules: The rules, of different names.
        classes, zones: Names that they may use.
        hysteresis: An event ends when its condition fails with limits that are this much lower (for < and <=: higher),
            relative to the limit; 0 to 1.

    Raises:
        UnknownNameError: a rule names a class or zone that doesn't exist.
    """

    def __init__(
        self, rules: Sequence[Rule], classes: Sequence[str], zones: Sequence[str], hysteresis: float = HYSTERESIS
    ) -> None:
        for rule in rules:
            rule.check(classes, zones)
        self.rules, self._hysteresis = tuple(rules), hysteresis
        self._states: dict[tuple[str, int], _State] = {}
        self._last: dict[int, tuple[Areas, int, float]] = {}

    def add(self, areas: Areas, time_s: float, frame: int = 0, source: int = 0) -> list[Event]:
        """The starts and ends that a frame decides.

        Args:
            areas: The frame's.
            time_s: Its time; never falls for one source.
            frame, source: Their numbers.
        """
        self._last[source] = areas, frame, time_s
        found = []
        for rule in self.rules:
            event = self._follow(rule, self._states.setdefault((rule.name, source), _State()), areas, time_s, frame, source)
            if event is not None:
                found.append(event)
        return found

    def _follow(self, rule: Rule, state: _State, areas: Areas, time_s: float, frame: int, source: int) -> Event | None:
        shares = {entry.text: areas.share(entry.name, entry.zone) for entry in rule.comparisons}
        if state.active is None:
            if not rule.holds(areas.share):
                state.since_s = None
                return None
            _raise_peak(rule, state, shares, fresh=state.since_s is None)
            state.since_s = time_s if state.since_s is None else state.since_s
            if time_s - state.since_s < rule.for_s:
                return None
            state.active = Event(
                uuid.uuid4().hex[:16], "start", rule.name, rule.text, source, frame, state.since_s, shares, dict(state.peak)
            )
            state.since_s = None
            return state.active
        _raise_peak(rule, state, shares)
        if rule.holds(areas.share, self._hysteresis):
            state.since_s = None
            return None
        state.since_s = time_s if state.since_s is None else state.since_s
        if time_s - state.since_s < rule.for_s:
            return None
        return self._end(rule, state, shares, frame, state.since_s, "condition")

    def close(self) -> list[Event]:
        """Ends the events that are still going on."""
        found = []
        for (name, source), state in self._states.items():
            if state.active is not None:
                areas, frame, time_s = self._last[source]
                rule = next(rule for rule in self.rules if rule.name == name)
                shares = {entry.text: areas.share(entry.name, entry.zone) for entry in rule.comparisons}
                found.append(self._end(rule, state, shares, frame, time_s, "run ended"))
        return found

    def _end(self, rule: Rule, state: _State, shares: dict[str, float], frame: int, time_s: float, reason: str) -> Event:
        began = state.active
        assert began is not None
        state.active = state.since_s = None
        return Event(
            began.event, "end", rule.name, rule.text, began.source, frame, time_s, shares, dict(state.peak),
            duration_s=time_s - began.time_s, reason=reason, snapshot=began.snapshot, clip=began.clip,
        )  # fmt: skip


def _raise_peak(rule: Rule, state: _State, shares: dict[str, float], fresh: bool = False) -> None:
    if fresh:
        state.peak = dict(shares)
    for entry in rule.comparisons:
        better = max if entry.sign[0] == ">" else min
        state.peak[entry.text] = better(state.peak[entry.text], shares[entry.text])
