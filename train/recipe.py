"""``--config``: options of a verb from a YAML file; what stands on the command line wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer


def load_recipe(context: typer.Context, name: str | None) -> str | None:
    """The callback of ``--config``: makes a file's values the defaults of the verb's other options.

    Args:
        name: A YAML file, or the name of a recipe that comes with seg-edge.

    Raises:
        UnknownNameError: no such recipe, or a key that is no option of the verb; with the nearest valid one.
        InputError: a file that can't be read, or holds something else than options and values.
    """
    if name is None or context.resilient_parsing:
        return name
    from ..core.errors import InputError, UnknownNameError

    path = _find(name)
    values = _read(path)
    options = {
        parameter.name.replace("_", "-"): parameter
        for parameter in context.command.params
        if parameter.name not in (None, "config", "help")
    }
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        option = str(key).replace("_", "-")
        if option not in options:
            raise UnknownNameError(f"key in {path}", str(key), options)
        defaults[str(options[option].name)] = _plain(value, key, path)
    for key in ("data", "out", "init", "teacher"):
        # Paths in a file are relative to the working directory, as on the command line; "~" is the shell's there.
        if isinstance(defaults.get(key), str):
            defaults[key] = str(Path(defaults[key]).expanduser())
    if context.default_map:
        raise InputError("--config: given twice; pass one file")
    context.default_map = defaults
    return name


def recipes() -> dict[str, Path]:
    """The recipes that come with seg-edge: name → file."""
    folder = Path(__file__).parents[1] / "train" / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"), key=lambda path: path.stem)}


def _find(name: str) -> Path:
    from ..core.errors import InputError, UnknownNameError

    if Path(name).suffix in (".yaml", ".yml"):
        if not Path(name).is_file():
            raise InputError(f"--config {name}: no such file; expected a YAML file, or one of {', '.join(recipes())}")
        return Path(name)
    if name not in recipes():
        raise UnknownNameError("recipe", name, recipes())
    return recipes()[name]


def _read(path: Path) -> dict[Any, Any]:
    from ..core.errors import InputError

    try:
        import yaml
    except ImportError as error:
        raise InputError(f"--config: YAML files need a package ({error}); pip install 'seg-edge[train]'") from error
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(f"--config {path}: expected lines such as 'epochs: 100', got {type(values).__name__}")
    return values


def _plain(value: Any, key: object, path: Path) -> Any:
    """A value as the command line would give it."""
    from ..core.errors import InputError

    if isinstance(value, list) and value and all(isinstance(v, int | float) for v in value):
        return ",".join(str(v) for v in value)  # scale: [0.75, 2]
    if value is None or isinstance(value, bool | int | float | str):
        return value if isinstance(value, bool) or value is None else str(value)
    raise InputError(f"--config {path}: {key}: expected a number, a text or a list of numbers, got {type(value).__name__}")
