"""Recipes: options of a training in a YAML file, under the names that ``seg-edge train`` gives them."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.errors import InputError, UnknownNameError
from ..core.options import OptionInfo, Options, declared
from .config import HALF, TrainConfig
from .data.options import AugmentOptions
from .losses.options import DistillOptions, SiameseOptions

#: Keys of a recipe that belong to the call, not to the configuration.
CALL_KEYS = ("data", "out", "resume", "json")
#: Switches of the command that stand for fields of another form.
SWITCHES = ("siamese", "half")
#: Options whose paths may begin with "~"; relative ones are relative to the working directory, as on the command line.
PATHS = ("data", "out", "init", "teacher")
_OWNERS: tuple[type[Options], ...] = (TrainConfig, AugmentOptions, DistillOptions, SiameseOptions)


def load_recipe(name: str | Path, **changes: Any) -> TrainConfig:
    """The configuration that a recipe describes.

    >>> config = load_recipe("camvid", epochs=20)
    >>> config.model, config.epochs, config.loss, config.augment.classmix
    ('unet-s', 20, 'ce+lovasz', 0.25)

    Args:
        name: A YAML file, or the name of a recipe that comes with seg-edge. The keys are the options of ``seg-edge train``
            (``imgsz: 352x480``); those of the call (``data``, ``out``, ``resume``, ``json``) are ignored.
        changes: Fields of :class:`TrainConfig` that win over the recipe.

    Raises:
        UnknownNameError: no such recipe, or a key that is no option; with the nearest valid one.
        InputError: a file that can't be read, or a wrong value.
    """
    file, values = read_recipe(name)
    fields = _fields()
    groups: dict[type[Options], dict[str, Any]] = {owner: {} for owner in _OWNERS}
    for key, value in values.items():
        if key in CALL_KEYS or key in SWITCHES:
            continue
        if key not in fields:
            raise UnknownNameError(f"key in {file}", key, {*fields, *CALL_KEYS, *SWITCHES})
        if value is not None:
            owner, field, info, hint = fields[key]
            groups[owner][field] = _converted(value, info, hint, f"recipe {file}: {key}")
    if values.get("half"):
        groups[TrainConfig]["precision"] = HALF
    made: dict[str, Any] = groups[TrainConfig] | {"augment": AugmentOptions(**groups[AugmentOptions])}
    if "teacher" in groups[DistillOptions]:
        made["distill"] = DistillOptions(**groups[DistillOptions])
    if values.get("siamese"):
        made["siamese"] = SiameseOptions(**groups[SiameseOptions])
    return TrainConfig(**(made | changes))


def recipes() -> dict[str, Path]:
    """The recipes that come with seg-edge: name → file."""
    folder = Path(__file__).parent / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}


def read_recipe(name: str | Path) -> tuple[Path, dict[str, Any]]:
    """The file of a recipe, and its values: options in Python's spelling (``weight_decay``) → plain values.

    Raises:
        UnknownNameError: no such recipe.
        InputError: a file that can't be read, or that holds something other than options and values.
    """
    file = _find(name)
    values = {str(key).replace("-", "_"): _plain(value, key, file) for key, value in _read(file).items()}
    for key in PATHS:
        if isinstance(values.get(key), str):
            values[key] = str(Path(values[key]).expanduser())
    return file, values


def _find(name: str | Path) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        if not Path(name).is_file():
            raise InputError(f"recipe {name}: no such file; expected a YAML file, or one of {', '.join(recipes())}")
        return Path(name)
    if str(name) not in recipes():
        raise UnknownNameError("recipe", str(name), recipes())
    return recipes()[str(name)]


def _read(path: Path) -> Mapping[Any, Any]:
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"recipe {path}: YAML files need a package ({error}); pip install 'seg-edge[train]'") from error
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"recipe {path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"recipe {path}: expected lines such as 'epochs: 100', got {type(values).__name__}")
    return values


def _plain(value: Any, key: object, path: Path) -> Any:
    """A value, or a list as the command line would give it: ``scale: [0.75, 2]`` → ``"0.75,2"``."""
    if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        return ",".join(str(v) for v in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"recipe {path}: {key}: expected a number, a text or a list of numbers, got {type(value).__name__}")


def _fields() -> dict[str, tuple[type[Options], str, OptionInfo, Any]]:
    """Option of the command → the field that it sets."""
    table = {}
    for owner in _OWNERS:
        for field, info, hint in declared(owner):
            if not _is_group(hint):
                option = info.flag.lstrip("-").replace("-", "_") if info.flag else field
                table[option] = (owner, field, info, hint)
    return table


def _is_group(hint: Any) -> bool:
    return any(isinstance(part, type) and issubclass(part, Options) for part in (hint, *typing.get_args(hint)))


def _converted(value: Any, info: OptionInfo, hint: Any, where: str) -> Any:
    """A plain value as the field's type: YAML takes ``1e-3`` for a text, and ``352`` for a number."""
    if info.parse is not None:
        try:
            return info.parse(str(value))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    kind = next(part for part in (*typing.get_args(hint), hint) if part is not type(None))
    try:
        if kind is int and not isinstance(value, bool) and float(value) == int(value):
            return int(value)
        if kind is not int and isinstance(value, bool) == (kind is bool):
            return kind(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(f"{where}: expected {kind.__name__}, got {value!r}")
