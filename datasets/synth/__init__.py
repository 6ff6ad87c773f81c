"""Generated street scenes with ground truth: a ride through CamVid's eleven classes, by seed, in several domains."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .domains import DOMAINS
    from .scene import StreetScene
    from .writer import synthesize, write_video

__all__ = ["DOMAINS", "StreetScene", "synthesize", "write_video"]

# Loaded on first use: the names of the domains need no OpenCV.
_HOMES = {"DOMAINS": ".domains", "StreetScene": ".scene", "synthesize": ".writer", "write_video": ".writer"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
