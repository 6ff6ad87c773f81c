"""The YAML file beside a dataset of Ultralytics' semantic task: folders, names and what the values of masks mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import DataError, InputError
from ...core.labels import Labels, default_palette
from .coding import Coding

_SPLITS = ("train", "val", "test")
#: Where masks lie if the file doesn't say it.
_DEFAULT_DIR = "masks"
_IGNORE = 255


@dataclass(frozen=True)
class SemanticYaml:
    """The content of a file.

    Attributes:
        file: Where it lies.
        root: The dataset's folder: the file's, or the one of ``path``.
        splits: Split → folder of its images.
        masks_dir: What stands for ``images`` in the masks' paths.
        labels: The classes.
        coding: What masks hold: class numbers, or what ``label_mapping`` maps.
    """

    file: Path
    root: Path
    splits: dict[str, Path]
    masks_dir: str
    labels: Labels
    coding: Coding

    def masks(self, split: str) -> Path:
        """The folder of a split's masks."""
        folder = self.splits[split]
        parts = [self.masks_dir if part == "images" else part for part in folder.relative_to(self.root).parts]
        masks = self.root.joinpath(*parts)
        if masks == folder:
            raise DataError(
                f"{self.file}: {split}: {folder.relative_to(self.root)} has no folder 'images' for which {self.masks_dir!r} "
                "could stand, so there is no folder of masks; name a folder of images such as images/train"
            )
        return masks


def is_semantic_yaml(file: Path) -> bool:
    """Whether a file is such a YAML file, to be passed instead of a folder.

    Raises:
        DataError, InputError: as :func:`find_semantic_yaml` says.
    """
    if file.suffix not in (".yaml", ".yml") or not file.is_file():
        return False
    text = file.read_bytes()
    if b"names" not in text or b"train" not in text or b"datasets:" in text:
        return False
    data = _load(file)
    if not isinstance(data, dict) or "names" not in data or "train" not in data:
        return False
    return "masks_dir" in data or (_root(file, data) / _DEFAULT_DIR).is_dir()


def find_semantic_yaml(root: Path) -> SemanticYaml | None:
    """The file in a dataset's folder, or that file itself; None where there is none.

    Raises:
        DataError: a file with ``masks_dir`` that can't be read by Ultralytics' rules.
        InputError: PyYAML is not installed.
    """
    if is_semantic_yaml(root):
        data = _load(root)
        return _read(root, data) if isinstance(data, dict) else None
    if not root.is_dir():
        return None
    for file in sorted(path for path in root.iterdir() if path.suffix in (".yaml", ".yml")):
        text = file.read_bytes()
        has_masks = b"masks_dir" in text or (root / _DEFAULT_DIR).is_dir()
        if b"names" in text and b"train" in text and has_masks:
            data = _load(file)
            if isinstance(data, dict) and "names" in data and "train" in data:
                return _read(file, data)
    return None


def _load(file: Path) -> object:
    try:
        import yaml  # of the extra "train"

        return yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except ImportError as error:
        raise InputError(
            f"{file}: YAML needs a package ({error}); pip install 'seg-edge[train]', or write classes.json"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error


def _read(file: Path, data: dict[str, Any]) -> SemanticYaml:
    names, mapping = data["names"], data.get("label_mapping") or {}
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{file}: names: expected the numbers from 0 to {len(names) - 1}, got {list(names)[:5]}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or len(names) < 2:
        raise DataError(
            f"{file}: names: expected at least two classes; masks of one class and background need both names "
            '(write classes.json: {"names": ["background", …]})'
        )
    labels = Labels(tuple(map(str, names)), default_palette(len(names)), _IGNORE)
    root = _root(file, data)
    folders = {split: _folder(file, root, data[split], split) for split in _SPLITS if data.get(split)}
    masks_dir = str(data.get("masks_dir") or _DEFAULT_DIR)
    coding = _coding(file, mapping, len(names))
    if "train" in folders and not folders["train"].exists():
        raise DataError(f"{file}: train: there is no folder {folders['train']}; name that of its images, relative to {root}")
    return SemanticYaml(file, root, folders, masks_dir, labels, coding)


def _root(file: Path, data: dict[str, Any]) -> Path:
    """The folder that ``path`` names, from the file's folder or from the current one; else the file's own.

    Ultralytics reads it from a folder of its settings, which other machines don't have.
    """
    said = data.get("path")
    if not isinstance(said, str) or not said.strip():
        return file.parent
    first = data["train"] if isinstance(data.get("train"), str) else ""
    places = [file.parent / said, Path(said), file.parent]
    return next((place for place in places if (place / first).is_dir()), file.parent)


def _folder(file: Path, root: Path, value: object, split: str) -> Path:
    if not isinstance(value, str):
        raise DataError(f"{file}: {split}: expected one folder, got {value!r}")
    folder = root / value
    if folder.is_file():
        raise DataError(f"{file}: {split}: {value} is a file, as a list of images; name their folder, as in images/{split}")
    if not folder.resolve().is_relative_to(root.resolve()):
        raise DataError(f"{file}: {split}: {value} lies outside of the dataset's folder {root}")
    return folder


def _coding(file: Path, mapping: object, classes: int) -> Coding:
    if not mapping:
        return Coding()
    if not isinstance(mapping, dict):
        raise DataError(f"{file}: label_mapping: expected a dictionary of values, got {mapping!r}")
    table = {number: number for number in range(classes)} | {_IGNORE: _IGNORE}  # what isn't mapped stays
    for value, number in mapping.items():
        number = _IGNORE if number == "ignore_label" else number
        if not isinstance(value, int) or not isinstance(number, int) or not (0 <= number < classes or number == _IGNORE):
            raise DataError(
                f"{file}: label_mapping: expected values to be classes from 0 to {classes - 1} or ignore_label, got "
                f"{value!r}: {number!r}"
            )
        table[value % 256] = number  # -1 is 255 in 8 bits
    return Coding(table)
