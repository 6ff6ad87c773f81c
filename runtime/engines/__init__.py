"""Inference engines: one base class, one table of names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Availability, Engine
    from .opening import EngineInfo, engine_class, engines, open_engine
    from .table import AUTO, TABLE

__all__ = [
    "AUTO",
    "Availability",
    "Engine",
    "EngineInfo",
    "TABLE",
    "engine_class",
    "engines",
    "open_engine",
]

# Loaded on first use, because the table of names needs no NumPy.
_HOMES = {
    "AUTO": ".table",
    "Availability": ".base",
    "Engine": ".base",
    "EngineInfo": ".opening",
    "TABLE": ".table",
    "engine_class": ".opening",
    "engines": ".opening",
    "open_engine": ".opening",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
