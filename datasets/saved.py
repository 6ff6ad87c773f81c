"""``reading.json``: how a dataset's files are read, kept beside them so that every verb reads them the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.errors import DataError, InputError, UnknownNameError
from ..core.options import declared, default_of
from .options import ReadOptions

FILE = "reading.json"
#: Field → key in the file.
_KEYS = {"layout": "layout", "value_range": "range", "void": "void", "snap": "snap", "exif": "exif"}


def effective(root: Path, given: ReadOptions | None = None) -> ReadOptions:
    """The options of a dataset: those given, and for what is left out those of its file.

    Raises:
        DataError: the file can't be read.
        UnknownNameError: it has a key that does not exist.
    """
    chosen = _chosen(given) if given is not None else {}
    return ReadOptions(**{**_saved(root), **chosen})


def save(root: Path, options: ReadOptions) -> Path:
    """Writes what differs from the defaults, and returns the file.

    Raises:
        InputError: the folder can't be written.
    """
    from ..core.artefact import write_json

    content = {_KEYS[name]: list(v) if isinstance(v, tuple) else v for name, v in _chosen(options).items()}
    if not root.is_dir():
        raise InputError(f"`save`: {root} is no folder, so there is nowhere to keep {FILE}")
    write_json(root / FILE, content)
    return root / FILE


def _chosen(options: ReadOptions) -> dict[str, Any]:
    """Fields that differ from their defaults."""
    values = {name: getattr(options, name) for name, _info, _hint in declared(ReadOptions)}
    return {name: value for name, value in values.items() if value != default_of(ReadOptions, name)}


def _saved(root: Path) -> dict[str, Any]:
    file = root / FILE
    if not file.is_file():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a JSON object with {', '.join(_KEYS.values())}, got {type(data).__name__}")
    fields = {key: name for name, key in _KEYS.items()}
    for key in data:
        if key not in fields:
            raise UnknownNameError(f"key of {file}", str(key), list(fields))
    given: dict[str, Any] = {fields[key]: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    value_range = given.get("value_range")
    if value_range is not None and not _is_range(value_range):
        raise DataError(f"{file}: range: expected two rising numbers such as [7000, 8000], got {data['range']!r}")
    try:
        ReadOptions(**given)
    except InputError as error:
        raise DataError(f"{file}: {error}") from error
    return given


def _is_range(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(type(end) in (int, float) for end in value):
        return False
    return bool(value[0] < value[1])
