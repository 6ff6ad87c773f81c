"""Derives the options of a verb from configuration classes, which define name, type, default and help."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ..core.errors import InputError
from ..core.options import OptionInfo, Options, declared, default_of, described

Configured = TypeVar("Configured", bound=Options)


class Fields:
    """A selection of the fields of a configuration class.

    Args:
        owner: The class.
        skip: Fields that the verb does not offer.
        only: Fields that the verb offers; None is all.
        renamed: Field → option (``"--pull-features"``) for options with another name.
        defaults: Field → default of the verb, where it differs; None shows no default.
    """

    def __init__(
        self,
        owner: type[Options],
        *,
        skip: tuple[str, ...] = (),
        only: tuple[str, ...] | None = None,
        renamed: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.owner = owner
        self._skip, self._only, self._renamed, self._defaults = skip, only, dict(renamed or {}), dict(defaults or {})
        known = {name for name, _info, _hint in declared(owner)}
        unknown = ({*skip, *(only or ()), *self._renamed, *self._defaults}) - known
        if unknown:
            raise TypeError(f"{owner.__name__} has no option {sorted(unknown)[0]!r}")

    def __iter__(self) -> typing.Iterator[tuple[str, str, OptionInfo, Any, Any]]:
        """Yields (field, parameter of the verb, metadata, type, default)."""
        for name, info, hint in declared(self.owner):
            if name in self._skip or (self._only is not None and name not in self._only):
                continue
            if name in self._renamed:
                info = dataclasses.replace(info, flag=self._renamed[name])
            default = self._defaults[name] if name in self._defaults else default_of(self.owner, name)
            yield name, parameter_name(name, info), info, hint, default


class Values:
    """The values from the command line, for making configurations."""

    def __init__(self, groups: list[Fields], arguments: Mapping[str, Any]) -> None:
        self._groups, self._arguments = groups, arguments

    def of(self, owner: type[Configured], **others: Any) -> Configured:
        """Makes a configuration.

        Args:
            owner: A class from which options of the verb are derived.
            others: Fields without an option, or fields that the verb computes.

        Raises:
            InputError: a value is invalid.
        """
        return owner(**{**self.given(owner), **others})

    def given(self, owner: type[Options]) -> dict[str, Any]:
        """The converted values of a class's fields, without those that keep the default of the class."""
        group = next(group for group in self._groups if group.owner is owner)
        return {
            name: _converted(name, info, self._arguments[parameter])
            for name, parameter, info, _hint, default in group
            if self._arguments[parameter] is not None or default is None
        }


#: Field → option of the running verb, for errors; see :func:`use_flags` and :func:`seg_edge.cli.translate.translated`.
FLAGS: dict[str, str] = {}


def derive(*groups: type[Options] | Fields) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replaces the parameter ``values`` of a verb with the options of configuration classes.

    >>> from seg_edge.core.options import configuration, option
    >>> @configuration
    ... class Blur(Options):
    ...     radius: int = option(3, help="Radius, pixels.")
    >>> @derive(Blur)
    ... def blur(image: Annotated[str, typer.Argument()], values: Values) -> Blur:
    ...     return values.of(Blur)
    >>> list(inspect.signature(blur).parameters)
    ['image', 'radius']
    >>> blur(image="a.png", radius=5)
    Blur(radius=5)
    """
    parts = [group if isinstance(group, Fields) else Fields(group) for group in groups]

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(verb).parameters.values():
            if parameter.name == "values":
                parameters += _derived(parts)
            else:
                annotation = _evaluated(parameter.annotation, verb)
                parameters.append(parameter.replace(annotation=annotation, kind=inspect.Parameter.KEYWORD_ONLY))
        own = {parameter.name for parameter in inspect.signature(verb).parameters.values()}

        def run(**arguments: Any) -> Any:
            mine = {name: value for name, value in arguments.items() if name in own}
            return verb(**mine, values=Values(parts, arguments))

        run.option_flags = {  # type: ignore[attr-defined]
            field: flag_of(field, info) for part in parts for field, _parameter, info, _hint, _default in part
        }
        run.__name__, run.__doc__, run.__module__ = verb.__name__, verb.__doc__, verb.__module__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def use_flags(module: object) -> None:
    """Makes errors name the options of the verbs in a module."""
    FLAGS.clear()
    for verb in vars(module).values():
        FLAGS.update(getattr(verb, "option_flags", {}))


def parameter_name(field: str, info: OptionInfo) -> str:
    """The verb's parameter for a field: the option's name, so that YAML recipes can use it (``imgsz``)."""
    return field if info.flag is None else info.flag.partition("/")[0].lstrip("-").replace("-", "_")


def flag_of(field: str, info: OptionInfo) -> str:
    """The command-line option of a field."""
    return (info.flag or "--" + field.replace("_", "-")).partition("/")[0]


def _derived(parts: list[Fields]) -> list[inspect.Parameter]:
    made: dict[str, inspect.Parameter] = {}
    for group in parts:
        for name, parameter, info, hint, default in group:
            if parameter in made:
                raise TypeError(f"{group.owner.__name__}.{name}: the verb has an option {parameter} already")
            made[parameter] = inspect.Parameter(
                parameter,
                inspect.Parameter.KEYWORD_ONLY,
                default=_shown(info, default),
                annotation=Annotated[_typer_type(info, hint), _typer_option(name, info, hint, default)],
            )
    return list(made.values())


def _typer_option(name: str, info: OptionInfo, hint: Any, default: Any) -> Any:
    flag = flag_of(name, info)
    if info.flag is not None and "/" in info.flag:
        flag = info.flag
    elif hint is bool and default is True:
        flag = f"{flag}/--no-{flag[2:]}"
    help_text = info.help if info.choices is None else described(info)
    return typer.Option(flag, *info.aliases, help=help_text.replace("`", ""), metavar=info.metavar)


def _typer_type(info: OptionInfo, hint: Any) -> Any:
    """The type for typer: text if the field has its own parser, otherwise the field's type."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    optional = type(None) in options
    (kind, *others) = [part for part in options if part is not type(None)]
    if Path in (kind, *others):
        kind = Path
    elif others and info.parse is None:
        raise TypeError(f"an option of type {hint} needs a parser")
    if info.parse is not None:
        kind = list[str] if _takes_several(kind) else str
    elif typing.get_origin(kind) is tuple:
        kind = list[typing.get_args(kind)[0]]  # type: ignore[misc]
        return kind | None
    elif info.percent:
        kind = float
    return kind | None if optional else kind


def _shown(info: OptionInfo, default: Any) -> Any:
    """The default in command-line form."""
    if default is dataclasses.MISSING:
        return inspect.Parameter.empty
    if default is None:
        return None
    if info.parse is not None:
        return info.show(default)
    if isinstance(default, tuple):
        return list(default) or None
    return 100 * default if info.percent else default


def _converted(name: str, info: OptionInfo, value: Any) -> Any:
    if isinstance(value, list) and info.parse is None:
        return tuple(value)
    if value is None:
        return None
    if isinstance(value, list):  # a repeated option: "--threads 1,2 --threads 4"
        value = ",".join(value)
    if info.parse is not None:
        try:
            return info.parse(value)
        except InputError as error:
            raise InputError(f"`{name}`: {error}") from error
    return value / 100 if info.percent else value


def _takes_several(kind: Any) -> bool:
    """Whether a type is a tuple of any length."""
    return typing.get_origin(kind) is tuple and typing.get_args(kind)[-1] is Ellipsis


def _evaluated(annotation: Any, verb: Callable[..., Any]) -> Any:
    return eval(annotation, verb.__globals__) if isinstance(annotation, str) else annotation
