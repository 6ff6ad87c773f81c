"""What a request asks for: the form of the answer, and how the overlay looks. From the address, the config and Accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core.errors import InputError
from ...core.labels import Labels
from ...runtime.frame.style import Style
from ..work.errors import ApiError

#: Form of an answer → its media type.
FORMATS = {"png": "image/png", "palette": "image/png", "overlay": "image/jpeg", "json": "application/json"}
#: How a mask may stand in a JSON answer.
MASKS = ("png", "palette", "rle", "polygons", "none")
#: Media type that a client accepts → form; the first that it names wins.
_ACCEPTED = {"image/png": "png", "image/jpeg": "overlay", "application/json": "json", "image/*": "png", "*/*": "png"}
_KEYS = ("format", "mask", "palette", "classes", "alpha", "contours", "quality")


@dataclass(frozen=True)
class Wants:
    """A request's options, checked.

    Attributes:
        format: A key of :data:`FORMATS`.
        mask: One of :data:`MASKS`: how the mask stands in JSON.
        style: The overlay's look; None where no overlay is wanted.
        quality: Of the overlay's JPEG, 1 to 100.
        shown: Numbers of the classes that are coloured, and that run lengths and polygons are given of.
    """

    format: str
    mask: str
    style: Style | None
    quality: int
    shown: tuple[int, ...]


def read_wants(query: Mapping[str, str], config: Mapping[str, Any], accept: str, labels: Labels, images: int = 1) -> Wants:
    """Resolves a request's options; the address comes before the config, and both before ``Accept``.

    Raises:
        ApiError: ``bad_option``, ``not_acceptable``.
    """
    given: dict[str, Any] = {**config, **query}
    for key in given:
        if key not in _KEYS:
            raise ApiError("bad_option", f"unknown option {key!r}; valid ones: {', '.join(_KEYS)}")
    form = given.get("format")
    if form is None:
        form = "json" if images > 1 else _accepted(accept)
    _one_of("format", form, FORMATS)
    if form == "png" and _switch("palette", given.get("palette", False)):
        form = "palette"
    if images > 1 and form != "json":
        raise ApiError("bad_option", f"format: several images are answered as json only, got {form!r}")
    mask = given.get("mask", "png")
    _one_of("mask", mask, MASKS)
    classes = _classes(given.get("classes"))
    style = _style(given, classes, labels)  # checked even where it isn't used
    quality = _number("quality", given.get("quality", 90), 1, 100)
    shown = tuple(number for number, name in enumerate(labels.names) if classes is None or name in classes)
    return Wants(form, mask, style if form == "overlay" else None, int(quality), shown)


def _accepted(accept: str) -> str:
    if not accept.strip():
        return "png"
    for part in accept.split(","):
        kind = part.partition(";")[0].strip().lower()
        if kind in _ACCEPTED:
            return _ACCEPTED[kind]
    raise ApiError("not_acceptable", f"Accept {accept[:80]}: expected one of {', '.join(dict.fromkeys(FORMATS.values()))}")


def _classes(classes: Any) -> list[str] | None:
    if isinstance(classes, str):
        classes = [name.strip() for name in classes.split(",") if name.strip()]
    if classes is not None and not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise ApiError("bad_option", f"classes: expected names, separated by commas or as a list, got {classes!r}")
    return classes


def _style(given: Mapping[str, Any], classes: list[str] | None, labels: Labels) -> Style:
    alpha = given.get("alpha", 0.5)
    if isinstance(alpha, dict):
        alpha = {name: _number(f"alpha of {name}", value, 0, 1) for name, value in alpha.items()}
    else:
        alpha = _number("alpha", alpha, 0, 1)
    try:
        return Style.make(labels, alpha, classes, _switch("contours", given.get("contours", False)))
    except InputError as error:
        raise ApiError("bad_option", str(error)) from None


def _number(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not low <= number <= high:
        raise ApiError("bad_option", f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
    return number


def _switch(name: str, value: Any) -> bool:
    switches = {"1": True, "true": True, "0": False, "false": False}
    text = str(value).lower() if isinstance(value, (bool, int, str)) else ""
    if text not in switches:
        raise ApiError("bad_option", f"{name}: expected true or false, got {value!r}")
    return switches[text]


def _one_of(name: str, value: Any, valid: Any) -> None:
    if not isinstance(value, str) or value not in valid:
        raise ApiError("bad_option", f"{name}: expected one of {', '.join(valid)}, got {value!r}")
