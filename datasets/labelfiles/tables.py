"""Tables of classes that tools put beside label images: Roboflow's ``_classes.csv``, ``class_dict.csv``, and the
``label_colors.txt`` of CamVid, CVAT and Datumaro; and lists of names.
"""

from __future__ import annotations

import csv
from pathlib import Path

from ...core.errors import DataError
from ...core.labels import RGB, Labels, default_palette
from .coding import Coding
from .labelmap import VOID_NAMES, LabelMap

ROBOFLOW, COLOURS, NUMBERED = "_classes.csv", "class_dict.csv", "label_colors.txt"
#: A name a line, in the order of the numbers.
LISTS = ("classes.txt", "labels.txt", "class_names.txt", "names.txt")
_IGNORED = "__ignore__"


def find_table(root: Path) -> Path | None:
    """The table of a dataset, in its folder or (Roboflow's) in those of its splits; None where there is none."""
    if not root.is_dir():
        return None
    inner = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    places = [root / COLOURS, root / NUMBERED, root / ROBOFLOW, *(folder / ROBOFLOW for folder in inner)]
    return next((path for path in places if path.is_file()), None)


def read_table(file: Path) -> LabelMap:
    """Its classes, and what values or colours of label files mean.

    Raises:
        DataError: another format, or a value, colour or name that is listed twice.
    """
    if file.name == NUMBERED:
        return _numbered(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = [[cell.strip() for cell in row] for row in csv.reader(text) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not readable as a table ({error})") from error
    if len(rows) < 2:
        raise DataError(f"{file}: expected a heading and a row for each class, got {len(rows)} rows")
    return _colours(file, rows[1:]) if file.name == COLOURS else _values(file, rows[1:])


def read_names(root: Path) -> tuple[Path, list[str]] | None:
    """The list of names beside the label files; None where there is none, or several."""
    files = [root / name for name in LISTS if (root / name).is_file()]
    if len(files) != 1:
        return None
    try:
        lines = [line.strip() for line in files[0].read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{files[0]}: not readable as text ({error}); save it as UTF-8") from error
    return files[0], [line for line in lines if line and line != _IGNORED]


def _numbered(file: Path) -> LabelMap:
    """Lines ``red green blue name``: files hold these colours, or the numbers of the lines."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as text ({error}); save it as UTF-8") from error
    rows = [[*line.split(None, 3)] for line in lines if line.strip() and not line.startswith("#")]
    for number, row in enumerate(rows, 1):
        if len(row) < 4:
            raise DataError(
                f"{file}: expected a colour and a name, as in '128 64 128 road', got {' '.join(row)!r} (row {number})"
            )
    content = _colours(file, [[row[3].strip(), *row[:3]] for row in rows])
    known = {name: number for number, name in enumerate(content.labels.names)}
    ignored = content.labels.ignore_index
    values = {number: known.get(row[3].strip(), ignored) for number, row in enumerate(rows)}
    return LabelMap(content.labels, Coding({ignored: ignored} | values, content.coding.colours))


def _values(file: Path, rows: list[list[str]]) -> LabelMap:
    """Rows ``value, name``."""
    table: dict[int, str] = {}
    for number, row in enumerate(rows, 2):
        if len(row) < 2 or not row[0].isdecimal() or int(row[0]) > 255:
            raise DataError(f"{file}:{number}: expected a value from 0 to 255 and a name, got {', '.join(row)!r}")
        if table.setdefault(int(row[0]), row[1]) != row[1]:
            raise DataError(f"{file}:{number}: value {row[0]} is {table[int(row[0])]} and {row[1]}")
    names = tuple(dict.fromkeys(name for _, name in sorted(table.items()) if name.lower() not in VOID_NAMES))
    labels = Labels(names, default_palette(len(names)))
    values = {value: names.index(name) if name in names else labels.ignore_index for value, name in table.items()}
    values.setdefault(labels.ignore_index, labels.ignore_index)
    return LabelMap(labels, Coding(values))


def _colours(file: Path, rows: list[list[str]]) -> LabelMap:
    """Rows ``name, red, green, blue``."""
    colours: dict[RGB, str] = {}
    for number, row in enumerate(rows, 2):
        if len(row) < 4 or not all(cell.isdecimal() and int(cell) <= 255 for cell in row[1:4]):
            raise DataError(f"{file}:{number}: expected a name and its colour, red, green, blue, got {', '.join(row)!r}")
        colour = (int(row[1]), int(row[2]), int(row[3]))
        if colours.setdefault(colour, row[0]) != row[0]:
            raise DataError(f"{file}:{number}: {row[0]} has the colour of {colours[colour]}, {colour}; give each its own")
    names = tuple(dict.fromkeys(name for name in colours.values() if name.lower() not in VOID_NAMES))
    first = {name: colour for colour, name in reversed(list(colours.items()))}
    labels = Labels(names, tuple(first[name] for name in names))
    codes = {colour: names.index(name) if name in names else labels.ignore_index for colour, name in colours.items()}
    return LabelMap(labels, Coding(colours=codes))
