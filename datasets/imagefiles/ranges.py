"""The range of values of images deeper than 8 bits, as text. Needs neither NumPy nor OpenCV."""

from __future__ import annotations

from ...core.errors import InputError


def parse_value_range(text: str) -> tuple[float, float]:
    """``"7000:8000"`` → (7000.0, 8000.0).

    >>> parse_value_range("7000:8000")
    (7000.0, 8000.0)

    Raises:
        InputError: the text has another form, or the ends are not in rising order.
    """
    try:
        low, high = (float(part) for part in text.split(":"))
        if low < high < float("inf") and low > -float("inf"):
            return low, high
    except ValueError:
        pass
    raise InputError(f"expected LOW:HIGH such as 7000:8000, got {text!r}")


def show_value_range(value_range: tuple[float, float]) -> str:
    """(7000, 8000) → ``"7000:8000"``."""
    return ":".join(f"{end:.9g}" for end in value_range)
