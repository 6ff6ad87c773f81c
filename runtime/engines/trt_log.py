"""TensorRT's log messages. TensorRT keeps the first logger of a process for all later calls, so there is only one."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Log:
    """TensorRT's messages during the lifetime of this object.

    Attributes:
        errors, warnings: The messages in order, one line each.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


#: Id of a module → the module (kept, so that the id is not reused), its logger, and the listening logs.
_LOGGERS: dict[int, tuple[Any, Any, weakref.WeakSet[Log]]] = {}


def listen(trt: Any, log: Log) -> Any:
    """The process's logger for a TensorRT module. It prints nothing, and fills ``log`` during the lifetime of ``log``.

    All logs receive all messages, because TensorRT does not state the origin of a message.
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
