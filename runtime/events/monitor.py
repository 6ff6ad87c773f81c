"""Follows a run's results, and tells its events: to a file, a broker, a web server, as snapshots and clips."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..areas.clock import Clock
from .log import EventLog
from .options import EventOptions
from .outbox import Outbox, Target
from .pictures import Pictures
from .spool import Spool, default_folder
from .watching import Event, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..frame.result import Result

logger = logging.getLogger(__name__)

#: Seconds that the targets get at the end of a run, before the rest waits for the next one.
_FLUSH_S = 5.0


class EventMonitor:
    """Takes the results of a run, in order.

    >>> options = EventOptions(when="car > 5%")
    >>> with EventMonitor(options, ("road", "car"), ("frame",)) as monitor:
    ...     monitor.started
    0

    Args:
        options: The rules, and where events are told.
        classes, zones: Names that rules may use; ``"frame"`` is among the zones.
        on_event: Called with each event too, in the thread that calls :meth:`add`.
        patient: Clips get every frame, and :meth:`add` waits for them; else they lack frames when the machine is busy.

    Attributes:
        started, ended: Number of events so far.

    Raises:
        UnknownNameError: a rule names a class or zone that doesn't exist.
        InputError: a file or folder can't be written, or a package is missing.
    """

    def __init__(
        self,
        options: EventOptions,
        classes: Sequence[str],
        zones: Sequence[str],
        on_event: Callable[[Event], None] | None = None,
        patient: bool = False,
    ) -> None:
        self._watch = Watch(options.rules, classes, zones, options.hysteresis)
        self._clock, self._on_event = Clock(), on_event
        self.started = self.ended = 0
        self._log: EventLog | None = None
        self._spool: Spool | None = None
        self._outbox: Outbox | None = None
        with ExitStack() as stack:
            delay_s = max((rule.for_s for rule in options.rules), default=0.0)
            self._pictures = Pictures(
                options.snapshots, options.clips, options.clip_before_s, options.clip_after_s, delay_s, patient
            )  # fmt: skip
            stack.callback(self._pictures.close)
            if options.events is not None:
                self._log = EventLog(options.events)
                stack.callback(self._log.close)
            if options.mqtt is not None or options.webhook is not None:
                self._open_targets(options, stack)
            self._stack = stack.pop_all()
        if self._spool is not None:
            for message in self._spool.left_open():
                self._interrupted(message)

    def _open_targets(self, options: EventOptions, stack: ExitStack) -> None:
        # Runs with other targets or rules have spools of their own.
        key = "\n".join([options.mqtt or "", options.webhook or "", *options.when])
        name = hashlib.sha256(key.encode()).hexdigest()[:12]
        self._spool = spool = Spool((options.spool or default_folder()) / f"events-{name}.sqlite")
        stack.callback(spool.close)
        targets: list[Target] = []
        if options.mqtt is not None:
            from .mqtt import Mqtt

            targets.append(Mqtt(spool, options.mqtt))
        if options.webhook is not None:
            from .webhook import Webhook

            targets.append(Webhook(spool, options.webhook))
        self._outbox = Outbox(spool, targets)
        stack.callback(self._outbox.close)

    def add(self, result: Result) -> None:
        """Follows a result with areas."""
        assert result.areas is not None
        time_s = self._clock.time_s(result)
        self._pictures.frame(result, time_s)
        for event in self._watch.add(result.areas, time_s, result.index, result.origin):
            if event.kind == "start":
                self._pictures.start(event, result)
            self._tell(event)

    def _tell(self, event: Event) -> None:
        if event.kind == "start":
            self.started += 1
        else:
            self.ended += 1
            self._pictures.end(event)
        self._send(event.to_dict(), event)
        if self._on_event is not None:
            self._on_event(event)

    def _send(self, message: dict[str, Any], event: Event) -> None:
        if self._spool is not None and self._outbox is not None:
            opened, ended = (event.event, None) if event.kind == "start" else (None, event.event)
            self._spool.put(message, self._outbox.names, opened, ended)
        if self._log is not None:
            self._log.add(message)

    def _interrupted(self, message: dict[str, Any]) -> None:
        """Ends an event of an earlier run that was killed."""
        started = Event(**{key: value for key, value in message.items() if key != "id"})
        fresh = Event(**{**started.__dict__, "kind": "end", "reason": "interrupted", "duration_s": None})
        event = replace(fresh, time=Event("", "", "", "", 0, 0, 0.0, {}, {}).time)
        self.ended += 1
        self._send(event.to_dict(), event)

    def waiting(self) -> int:
        """Number of messages that are not delivered yet."""
        return 0 if self._spool is None else self._spool.waiting()

    def close(self, flush_s: float = _FLUSH_S) -> None:
        """Ends open events, and gives the targets some seconds. May be called twice."""
        for event in self._watch.close():
            self._tell(event)
        if self._outbox is not None and self._spool is not None:
            spool, outbox = self._spool, self._outbox
            if not outbox.flush(flush_s):
                logger.warning("%d events wait in %s; the next run sends them", spool.waiting(), spool.path)
            self._spool = self._outbox = None
        self._stack.close()

    def __enter__(self) -> EventMonitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A run must end within two seconds of Ctrl-C.
        self.close(_FLUSH_S if kind is None else 1.0)
