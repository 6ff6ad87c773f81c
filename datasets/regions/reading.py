"""What a reader is told, what it reports, and how it reads files."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...core.errors import DataError
from ..layouts import IMAGE_SUFFIXES
from ..layouts import SPLIT_NAMES as SPLIT_NAMES

#: Bytes of a JSON file that is parsed to tell what it is.
READ_WHOLE = 64 << 20


@dataclass
class Reading:
    """Options of a reader, and its account of what it left out or assumed.

    ``skipped`` is kind of shape → file → shapes left out; ``empty`` image → regions that cover no pixel; ``painted`` counts
    those that do.

    Attributes:
        clip: Cut off what leaves its image.
        skip_shapes: Leave out shapes without an area (points, lines, boxes where outlines are expected).
        stored: Annotations are for the pixels as stored, whatever orientation EXIF says.
        notes: What was assumed, one line each.
        unlabelled: Images whose label file is missing.
        rotated: Images that EXIF rotates or mirrors.
    """

    clip: bool = False
    skip_shapes: bool = False
    stored: bool = False
    notes: list[str] = field(default_factory=list)
    skipped: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    empty: Counter[str] = field(default_factory=Counter)
    unlabelled: list[str] = field(default_factory=list)
    rotated: list[str] = field(default_factory=list)
    painted: int = 0

    def say(self, note: str) -> None:
        """Adds a note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def skip(self, kind: str, file: Path, why: str) -> None:
        """Leaves out a shape without an area.

        Args:
            kind: What it is: "point", "line", "box", …
            file: Its annotation file.
            why: File, place, and what is wrong, for the error.

        Raises:
            DataError: shapes are not to be skipped.
        """
        if not self.skip_shapes:
            raise DataError(f"{why}; draw it as a polygon, or leave such shapes out with `skip_shapes=True`")
        self.skipped[kind][file.name] += 1

    def account(self) -> list[str]:
        """Every note and count as a line of text."""
        lines = list(self.notes)
        for kind, files in sorted(self.skipped.items()):
            lines.append(f"skipped {sum(files.values())} shapes of the kind {kind} in {_listed(files)}")
        if self.empty:
            lines.append(
                f"warning: {sum(self.empty.values())} annotations have no outline or cover no pixel: {_listed(self.empty)}"
            )
        if self.unlabelled:
            lines.append(f"warning: {len(self.unlabelled)} images have no label file: {_few(self.unlabelled)}")
        if self.rotated:
            how = "the pixels as stored" if self.stored else "the upright image; if the tool ignored EXIF: `exif='stored'`"
            lines.append(
                f"{len(self.rotated)} images are rotated by EXIF orientation; annotations are taken for {how}: "
                f"{_few(self.rotated)}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        return {
            "notes": self.notes, "skipped_shapes": {kind: dict(files) for kind, files in self.skipped.items()},
            "empty_annotations": dict(self.empty), "images_without_label_file": self.unlabelled,
            "exif_rotated": self.rotated,
        }  # fmt: skip


def _listed(files: Counter[str]) -> str:
    return _few([f"{name} ({count})" for name, count in sorted(files.items())])


def _few(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_text(file: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: not readable.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as text ({error}); save it as UTF-8") from error


def read_lines(file: Path) -> list[str]:
    """The lines of a text file that are not blank, stripped."""
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]


def read_json(file: Path) -> Any:
    """A JSON file.

    Raises:
        DataError: not readable.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable as JSON ({error})") from error


def top_level_keys(file: Path) -> frozenset[str]:
    """The keys of a JSON object, for telling formats apart; of a file above 64 MB, every key in its first megabyte.

    Empty where the file is no JSON object, or not readable.
    """
    try:
        about = file.stat()
    except OSError:
        return frozenset()
    return _keys(file, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=64)
def _keys(file: Path, _changed: int, size: int) -> frozenset[str]:
    try:
        if size <= READ_WHOLE:
            data = json.loads(file.read_text(encoding="utf-8-sig"))
            return frozenset(data) if isinstance(data, dict) else frozenset()
        with file.open("rb") as stream:
            keys = re.findall(rb'"([^"\\]{1,64})"\s*:', stream.read(1 << 20))
            return frozenset(key.decode(errors="replace") for key in keys)
    except (OSError, ValueError, RecursionError):
        return frozenset()


def split_of(parts: Iterable[str]) -> str | None:
    """The split that one of these names of folders stands for, the first one counts."""
    return next((SPLIT_NAMES[part.lower()] for part in parts if part.lower() in SPLIT_NAMES), None)


def base_name(path: str) -> str:
    """The file name at the end of a path or URL, as any system writes it.

    >>> base_name(r"C:\\Users\\me\\a.jpg"), base_name("/data/upload/3/0a1b2c3d-my%20cat.jpg?x=1")
    ('a.jpg', '0a1b2c3d-my cat.jpg')
    """
    tail = path.replace("\\", "/").rpartition("/")[2]
    return unquote(tail.split("?")[0]) if "://" in path or "%" in tail or "?" in tail else tail


def flat_name(path: str) -> str:
    """The name of an image with the folders above it, which tell equal names apart, without its suffix.

    >>> flat_name("cam1/0001.jpg"), flat_name("0001.jpg")
    ('cam1_0001', '0001')
    """
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return "_".join([*parts[:-1], Path(parts[-1]).stem]) if parts else ""


class ImageFiles:
    """The images below a folder, found by what an annotation says of them.

    Args:
        root: The folder; it is looked through when first asked.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name: defaultdict[str, list[Path]] | None = None

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(path for paths in self._names().values() for path in paths))

    def _names(self) -> defaultdict[str, list[Path]]:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for path in sorted(self.root.rglob("*")):
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
                    self._by_name[path.name].append(path)
        return self._by_name

    def find(self, said: str, near: Iterable[Path] = ()) -> Path | None:
        """The file that ``said``, a path of any machine, stands for: in one of ``near``, else the only one of its name.

        Raises:
            DataError: several files below the root have that name.
        """
        inner = said.replace("\\", "/").lstrip("/")
        name = base_name(said)
        for folder in near:
            for tail in (inner, name):
                if tail and (folder / tail).is_file():
                    return folder / tail
        paths = self._names().get(name, [])
        # Of several files of this name, the one whose path ends as the annotation says.
        ends = [path for path in paths if path.as_posix().endswith("/" + inner)]
        if len(ends or paths) > 1:
            raise DataError(f"{said}: {len(paths)} files have this name, such as {paths[0]} and {paths[1]}; rename one")
        candidates = ends or paths
        return candidates[0] if candidates else None
