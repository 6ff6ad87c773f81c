"""Events: something covers more, or less, than so much of a zone, for so long; and where they are told."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .monitor import EventMonitor
    from .options import EventOptions
    from .rule import Rule
    from .spool import Spool
    from .watching import Event, Watch

__all__ = ["Event", "EventMonitor", "EventOptions", "Rule", "Spool", "Watch"]

# Loaded on first use.
_HOMES = {
    "Event": ".watching",
    "EventMonitor": ".monitor",
    "EventOptions": ".options",
    "Rule": ".rule",
    "Spool": ".spool",
    "Watch": ".watching",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
