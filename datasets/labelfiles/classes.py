"""``classes.json``: the classes of a dataset, and where they differ from the label files' values, what those mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import DataError
from ...core.labels import PRESETS, Labels, preset

#: Optional file in a dataset's root: names, palette and ignore_index as :meth:`Labels.from_dict` reads them, and values.
CLASSES_FILE = "classes.json"
_KEYS = ("names", "palette", "ignore_index", "values")
#: What ``values`` calls pixels that count nowhere.
VOID = "void"


@dataclass(frozen=True)
class ClassList:
    """The content of a file.

    Attributes:
        labels: The classes.
        values: Value in a label file → class number or ``labels.ignore_index``; None: the values are the class numbers.
        coloured: Whether the file gives a palette.
        says_void: Whether the file gives ignore_index.
    """

    labels: Labels
    values: Mapping[int, int] | None = None
    coloured: bool = False
    says_void: bool = False


def read_class_list(file: Path) -> ClassList:
    """Reads ``{"names": […], "palette": [[r, g, b], …], "ignore_index": n, "values": {"20": "road", "0": "void"}}``.

    ``names`` may also be a dictionary: number → name (gaps are allowed: the classes follow the numbers' order), or
    name → number. ``values`` says which class a value of the label files stands for. Without it the values are the numbers.

    Raises:
        DataError: not readable, or no class list.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # not JSON, not even text
        raise DataError(f"{file}: not readable as JSON ({error}); expected names, palette, ignore_index") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a JSON object with names, palette, ignore_index, got {type(data).__name__}")
    try:
        return _class_list(dict(data))
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def read_classes(file: Path) -> Labels:
    """The classes of :func:`read_class_list` alone.

    Raises:
        DataError: not readable, or no class list.
    """
    return read_class_list(file).labels


def named_classes(name: str | Path) -> Labels:
    """The classes of a known dataset, of a ``classes.json``, or of a text file with a name a line.

    Raises:
        UnknownNameError: neither a file nor a known dataset.
        DataError: not readable, or no class list.
    """
    path = Path(name)
    if str(name) in PRESETS or not path.is_file():
        return preset(str(name))
    if path.suffix == ".json":
        return read_classes(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return Labels.from_dict({"names": [line.strip() for line in lines if line.strip()]})
    except ValueError as error:  # DataError is one, and what isn't text
        raise DataError(f"`classes` {path}: {error}") from error


def _class_list(data: dict[str, Any]) -> ClassList:
    if data and "names" not in data and _is_table(data):
        data = {"names": data}
    if odd := [key for key in data if key not in _KEYS]:
        raise DataError(
            f'classes: unknown key {odd[0]!r}; valid keys: {", ".join(_KEYS)}; expected {{"names": ["road", …]}}'
        )
    values, numbers = data.pop("values", None), None
    if isinstance(data.get("names"), dict):
        numbers, data["names"] = _numbered_names(data["names"])
    labels = Labels.from_dict(data)
    coloured, says_void = bool(data.get("palette")), "ignore_index" in data
    if values is not None:
        return ClassList(labels, _values(values, labels), coloured, says_void)
    gaps = numbers is not None and numbers != list(range(len(numbers)))
    if numbers is None or not gaps:
        return ClassList(labels, None, coloured, says_void)
    if labels.ignore_index in numbers:
        raise DataError(f"classes: {labels.ignore_index} is both a class and ignore_index; choose another ignore_index")
    by_number = {number: index for index, number in enumerate(numbers)} | {labels.ignore_index: labels.ignore_index}
    return ClassList(labels, by_number, coloured, says_void)


def _is_table(data: dict[str, Any]) -> bool:
    """Whether it is number → name, or name → number, without the key "names" around it."""
    numbered = all(key.isdecimal() for key in data) and all(isinstance(value, str) for value in data.values())
    return numbered or all(isinstance(value, int) and not isinstance(value, bool) for value in data.values())


def _numbered_names(names: dict[str, Any]) -> tuple[list[int], list[str]]:
    """Numbers and names in the order of the numbers, from number → name or name → number."""
    turned = bool(names) and all(isinstance(value, int) and not isinstance(value, bool) for value in names.values())
    rows = [(value, key) if turned else (key, value) for key, value in names.items()]
    try:
        ordered = sorted((int(number), name) for number, name in rows)
    except (TypeError, ValueError) as error:
        raise DataError(f'classes: names must be a list, or a dictionary such as {{"0": "road"}}, got {names!r}') from error
    numbers = [number for number, _ in ordered]
    if len(set(numbers)) != len(numbers) or not all(0 <= n <= 255 and isinstance(name, str) for n, name in ordered):
        raise DataError(f"classes: names need numbers from 0 to 255, each once, got {names!r}")
    return numbers, [name for _, name in ordered]


def _values(values: object, labels: Labels) -> dict[int, int]:
    known = {name: number for number, name in enumerate(labels.names)}
    known.setdefault(VOID, labels.ignore_index)
    if not isinstance(values, dict) or not values:
        raise DataError(f'classes: values must be a dictionary such as {{"20": "road", "0": "void"}}, got {values!r}')
    table: dict[int, int] = {}
    for value, name in values.items():
        if not value.isdecimal() or int(value) > 255:
            raise DataError(f"classes: values: expected numbers from 0 to 255, got {value!r}")
        if name not in known:
            raise DataError(f"classes: values: {value} is {name!r}, which is none of the names and not {VOID!r}")
        table[int(value)] = known[name]
    table.setdefault(labels.ignore_index, labels.ignore_index)
    return table
