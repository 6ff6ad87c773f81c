"""Converts command-line texts to numbers and paths without pydantic, which makes the start faster.

Newer releases of typer build a pydantic adapter for each option, which takes most of a verb's start-up time. Options of
plain types don't need the adapter. Other options, and older releases, use typer's own conversion.
"""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import typer

#: Type → its name in errors.
_PLAIN = {bool: "yes or no", int: "a whole number", float: "a number", str: "a text", Path: "a path"}


class PlainValue:
    """Converts the value of an option like typer's runtime parameter.

    Args:
        kind: bool, int, float, str or Path.
        several: The option takes a list.
    """

    def __init__(self, kind: type, several: bool) -> None:
        self._kind, self._several = kind, several

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The converted value; None becomes an empty tuple for lists, and otherwise stays None.

        Raises:
            typer.BadParameter: the text can't be converted.
        """
        if value is None:
            return () if self._several else None
        return [self._one(entry, param, ctx) for entry in value] if self._several else self._one(value, param, ctx)

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        if self._kind is bool and not isinstance(value, bool):
            raise typer.BadParameter(f"is a switch, got {value!r}.", ctx=ctx, param=param)
        try:
            return self._kind(value)
        except ValueError:
            raise typer.BadParameter(f"expected {_PLAIN[self._kind]}, got {value!r}.", ctx=ctx, param=param) from None


def lighten(command: Any) -> Any:
    """Replaces the conversion of plain options in a command and its subcommands; returns the command."""
    for param in command.params:
        _lighten_option(param)
    with_help = command.get_help_option

    def get_help_option(ctx: Any) -> Any:
        return _lighten_option(with_help(ctx))

    command.get_help_option = get_help_option
    for sub in getattr(command, "commands", {}).values():
        lighten(sub)
    return command


def _lighten_option(param: Any) -> Any:
    descriptor = getattr(param, "type_descriptor", None)
    if descriptor is not None and hasattr(param, "_runtime_param"):
        several = typing.get_origin(descriptor.annotation) is list
        kind = typing.get_args(descriptor.annotation)[0] if several else descriptor.annotation
        if kind in _PLAIN and not _special(descriptor.parameter_info):
            param._runtime_param = PlainValue(kind, several)
    return param


def _special(info: Any) -> bool:
    """Whether an option has checks beyond its type: bounds, a parser, a path that must exist."""
    unusual = ("min", "max", "parser", "click_type", "exists", "resolve_path", "path_type", "allow_dash", "formats")
    return any(getattr(info, name, None) for name in unusual) or not (info.file_okay and info.dir_okay)
