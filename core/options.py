"""Configuration classes: an option is declared once and serves Python, the command line and the documentation.

>>> @configuration
... class Blur(Options):
...     '''How frames are blurred.'''
...
...     radius: int = option(3, help="Radius, pixels.", low=1)
...     kind: str = option("box", help="Kernel", choices=lambda: ("box", "gauss"))
>>> Blur(kind="gauss")
Blur(radius=3, kind='gauss')
>>> Blur(radius=0)
Traceback (most recent call last):
    ...
seg_edge.core.errors.InputError: `radius`: expected at least 1, got 0

Modules with configuration classes import the standard library and ``core`` only, because ``--help`` loads them.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import operator
import os
import re
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_options: object) -> Callable[[Any], Any]:
        return lambda decorated: decorated


C = TypeVar("C", bound="type[Any]")
T = TypeVar("T")
_KEY = "option"
#: Numeric types of fields.
_NUMBERS = (int, float)
#: Type → its name in errors.
_CALLED = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Path: "a path"}
# Cache, because resolving type hints is slow and every new object needs them.
_declared: dict[type[Any], tuple[tuple[str, OptionInfo, Any], ...]] = {}


@dataclass(frozen=True)
class OptionInfo:
    """Metadata of a field of a configuration class, in addition to its type and default.

    Attributes:
        help: The help text, with the unit. The names of ``choices`` are appended.
        flag: The command-line option; default: from the field's name, ``max_drop`` → ``--max-drop``.
        aliases: Further names of the option.
        metavar: Placeholder of the value in the command's help.
        choices: Returns the valid names; an error about an unknown name suggests the nearest one.
        kind: Kind of the names in ``choices``, for errors; default: the field's name.
        parse: Converts command-line text to a value, for types without a standard text form.
        show: Converts a default value to command-line text, for fields with ``parse``.
        percent: The field is a fraction; the command line takes percent or percentage points.
        low, high: Inclusive bounds of a number.
        above: Exclusive lower bound of a number.
        infinite: Positive infinity is valid.
    """

    help: str
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    metavar: str | None = None
    choices: Callable[[], Iterable[str]] | None = None
    kind: str | None = None
    parse: Callable[[str], Any] | None = None
    show: Callable[[Any], str] = str
    percent: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    infinite: bool = False


def option(default: Any = dataclasses.MISSING, *, help: str, **about: Any) -> Any:
    """Declares an option: a field of a configuration class.

    Args:
        default: The default; without one, the option is required.
        help, about: See :class:`OptionInfo`.
    """
    return field(default=default, metadata={_KEY: OptionInfo(help, **about)})


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of configuration classes: converts values, checks names and bounds, then calls :meth:`check`.

    Texts are converted to the field's type, such as a path or a size. For a tuple field, a single value becomes a
    tuple.
    """

    def __post_init__(self) -> None:
        for name, info, hint in declared(type(self)):
            value = _fitted(name, getattr(self, name), info, hint)
            object.__setattr__(self, name, value)
            for entry in value if isinstance(value, tuple) else (value,):
                if info.choices is not None and isinstance(entry, str):
                    check_name(info.kind or name.replace("_", " "), entry, info.choices())
                elif isinstance(entry, _NUMBERS) and not isinstance(entry, bool):
                    _check_number(name, entry, info)
        self.check()

    def check(self) -> None:
        """Checks rules between fields; subclasses override it.

        Raises:
            InputError: an invalid combination; the text names the fields in backticks.
        """

    def with_(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


# No field_specifiers: type checkers then expect the default as a keyword, but `option(240, …)` passes it first.
@dataclass_transform(kw_only_default=True, frozen_default=True)
def configuration(decorated: C) -> C:
    """Makes a class a frozen, keyword-only dataclass and appends the fields with their help to its docstring."""
    made = dataclass(frozen=True, kw_only=True)(decorated)
    lines = [f"    {name}: {described(info, default)}" for name, info, default in _with_defaults(made)]
    if lines:
        made.__doc__ = f"{(made.__doc__ or '').rstrip()}\n\n    Args:\n" + "\n".join(f"    {line}" for line in lines) + "\n"
    return made  # type: ignore[return-value]


def declared(owner: type[Any]) -> tuple[tuple[str, OptionInfo, Any], ...]:
    """The options of a configuration class: (name, metadata, type)."""
    if owner not in _declared:
        hints = typing.get_type_hints(owner)
        _declared[owner] = tuple((f.name, f.metadata[_KEY], hints[f.name]) for f in fields(owner) if _KEY in f.metadata)
    return _declared[owner]


def described(info: OptionInfo, default: Any = dataclasses.MISSING) -> str:
    """The help of an option with its valid names, and with its default unless that is None or False."""
    text = info.help
    if info.choices is not None:
        text = f"{text.rstrip('.:')}: {', '.join(info.choices())}."
    if default is dataclasses.MISSING or default is None or default is False or "Default:" in text:
        return text
    return f"{text} Default: {default!r}."


def default_of(owner: type[Any], name: str) -> Any:
    """The default of a field; ``dataclasses.MISSING`` if the field is required."""
    entry = next(f for f in fields(owner) if f.name == name)
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()


def check_name(kind: str, name: str, valid: Iterable[str]) -> None:
    """Raises UnknownNameError, with the nearest valid name, unless ``name`` is one of ``valid``."""
    names = tuple(valid)
    if name not in names:
        raise UnknownNameError(kind, name, names)


def parse_size(text: str) -> tuple[int, int]:
    """``"352x480"`` (height x width) or ``"480"`` (square) → (height, width), pixels.

    >>> parse_size("352x480"), parse_size("480")
    ((352, 480), (480, 480))

    Raises:
        InputError: the text has another form.
    """
    match = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", text.strip())
    if not match or int(match[1]) < 1 or int(match[2] or 1) < 1:
        raise InputError(f"expected HEIGHTxWIDTH in pixels such as 352x480, got {text!r}")
    return int(match[1]), int(match[2] or match[1])


def show_size(size_hw: tuple[int, int]) -> str:
    """(352, 480) → ``"352x480"``."""
    return f"{size_hw[0]}x{size_hw[1]}"


def parse_names(text: str) -> tuple[str, ...]:
    """``"mask,coco"`` → ``("mask", "coco")``; a name that comes twice is one."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def parse_range(text: str) -> tuple[float, float]:
    """``"0.75,2"`` → (0.75, 2.0); a single number is used for both ends.

    Raises:
        InputError: the text has another form, or the ends are in falling order.
    """
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2) or not ends[0] <= ends[-1]:
        raise InputError(f"expected LOW,HIGH such as 0.75,2, got {text!r}")
    return ends[0], ends[-1]


def show_range(ends: tuple[float, float]) -> str:
    """(0.75, 2.0) → ``"0.75,2"``."""
    return ",".join(f"{end:g}" for end in ends)


def _with_defaults(owner: type[Any]) -> Iterable[tuple[str, OptionInfo, Any]]:
    # `declared` can't be used here, because type hints can't be resolved while the module is still being imported.
    return ((f.name, f.metadata[_KEY], f.default) for f in fields(owner) if _KEY in f.metadata)


def _check_number(name: str, value: float, info: OptionInfo) -> None:
    if isinstance(value, float) and not math.isfinite(value) and not (info.infinite and value > 0):
        raise InputError(f"`{name}`: expected a finite number, got {value}")
    if info.above is not None and not value > info.above:
        raise InputError(f"`{name}`: expected a number above {_digits(info.above)}, got {_digits(value)}")
    low, high = info.low, info.high
    if (low is not None and value < low) or (high is not None and value > high):
        if low is None or high is None:
            expected = f"at least {_digits(low)}" if low is not None else f"at most {_digits(high)}"
        else:
            expected = f"{_digits(low)} to {_digits(high)}"
        raise InputError(f"`{name}`: expected {expected}, got {_digits(value)}")


def _digits(number: float | None) -> str:
    """A number without ".0"; integers keep all digits, which ``:g`` would round to six."""
    return f"{number:g}" if isinstance(number, float) else str(number)


def several(values: T | Iterable[T]) -> list[T]:
    """Converts a single path or name, or an iterable of them, to a list.

    >>> several("model.onnx"), several(("a.onnx", "b.onnx"))
    (['model.onnx'], ['a.onnx', 'b.onnx'])
    """
    if isinstance(values, (str, os.PathLike)) or not isinstance(values, Iterable):
        return [values]  # a text is iterable too
    return list(values)


def _fitted(name: str, value: Any, info: OptionInfo, hint: Any) -> Any:
    """Converts a value to the type of its field.

    Raises:
        InputError: the value has another type.
    """
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if isinstance(value, str) and info.parse is not None and str not in kinds:
        try:
            return info.parse(value)
        except InputError as error:
            raise InputError(f"`{name}`: {error}") from error
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            inner = typing.get_args(kind)
            if inner[-1] is Ellipsis:
                return tuple(_fitted(name, entry, info, inner[0]) for entry in several(value))
            return value if isinstance(value, tuple) else tuple(value) if isinstance(value, list) else value
    return _plain_value(name, value, kinds)


def _plain_value(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    if not {*kinds} <= {bool, int, float, str, Path}:
        return value  # the type of the field checks its own values
    if isinstance(value, bool) or bool in kinds:
        if bool in kinds and isinstance(value, bool):
            return value
    elif str in kinds and isinstance(value, str):
        return value
    elif Path in kinds and isinstance(value, (str, os.PathLike)):
        return Path(value)
    elif int in kinds and hasattr(value, "__index__"):
        return operator.index(value)
    elif float in kinds and isinstance(value, numbers.Real):
        return value if isinstance(value, _NUMBERS) else float(value)
    expected = " or ".join(_CALLED[kind] for kind in kinds)
    raise InputError(f"`{name}`: expected {expected}, got {value!r}")
