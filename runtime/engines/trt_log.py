"""What TensorRT says. It keeps a process's first logger for all that follows, so there is one for all."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Log:
    """What TensorRT said while one of these was kept.

    Attributes:
        errors, warnings: In order, each as one line.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


#: By the module's id: the module (kept, so that the id stays its own), its logger, and who listens.
_LOGGERS: dict[int, tuple[Any, Any, weakref.WeakSet[Log]]] = {}


def listen(trt: Any, log: Log) -> Any:
    """The process's logger for a TensorRT module; it prints nothing, and fills ``log`` for as long as that is kept.

    With several listeners each hears everything: TensorRT doesn't say whose message it is.
    """
    if id(trt) not in _LOGGERS:
        listeners: weakref.WeakSet[Log] = weakref.WeakSet()
        _LOGGERS[id(trt)] = trt, _make(trt, listeners), listeners
    _, logger, listeners = _LOGGERS[id(trt)]
    listeners.add(log)
    return logger


def _make(trt: Any, listeners: weakref.WeakSet[Log]) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]  # a class of a module that is loaded at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            line = " ".join(str(message).split())
            for log in list(listeners):
                if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                    log.errors.append(line)
                elif severity == trt.ILogger.Severity.WARNING:
                    log.warnings.append(line)

    return Logger()
