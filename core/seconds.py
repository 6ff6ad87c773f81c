"""Durations as text."""

from __future__ import annotations

import re

from .errors import InputError

#: Unit → seconds.
UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """``"1s"``, ``"500ms"``, ``"2min"``, ``"1h"`` or a number of seconds → seconds.

    >>> parse_duration("500ms"), parse_duration("5")
    (0.5, 5.0)

    Raises:
        InputError: the text has another form.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)?", text.strip())
    if match is None:
        raise InputError(f"expected a duration such as 5s, 500ms or 2min, got {text!r}")
    return float(match[1]) * UNITS[match[2] or "s"]


def show_duration(seconds: float) -> str:
    """5.0 → ``"5s"``."""
    return f"{seconds:g}s"
