"""How much of a frame, and of zones in it, each class covers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .areas import FRAME, AreaCounter, Areas
    from .options import AreaOptions
    from .recording import AreaRecorder
    from .tally import AreaTally
    from .writing import AreaWriter
    from .zonefile import read_zones
    from .zones import Zone, Zones

__all__ = [
    "AreaCounter",
    "AreaOptions",
    "AreaRecorder",
    "AreaTally",
    "AreaWriter",
    "Areas",
    "FRAME",
    "Zone",
    "Zones",
    "read_zones",
]

# Loaded on first use.
_HOMES = {
    "AreaCounter": ".areas",
    "AreaOptions": ".options",
    "AreaRecorder": ".recording",
    "AreaTally": ".tally",
    "AreaWriter": ".writing",
    "Areas": ".areas",
    "FRAME": ".areas",
    "Zone": ".zones",
    "Zones": ".zones",
    "read_zones": ".zonefile",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
