"""How known datasets lie on disk: which folder is which, what splits there are, which label file belongs to which image.

The first layout of :data:`LAYOUTS` whose folders are there is the dataset's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import DataError
from ..core.labels import CAMVID, CARVANA, CITYSCAPES, VOC, VOC_VOID_RGB, Labels, default_palette
from .labelfiles import labelmap
from .labelfiles.coding import Coding
from .labelfiles.labelmap import LabelMap, read_label_map
from .labelfiles.semantic_yaml import SemanticYaml, find_semantic_yaml

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = ("train", "val", "test")
Pairs = list[tuple[Path, "Path | None"]]
#: What people put behind an image's name for its label file; nothing comes first.
MASK_SUFFIXES = ("", "_mask", "_label", "_gt", "_seg")
#: Names that people give to the folder of labels.
LABEL_DIRS = ("labels", "masks", "annotations")


@dataclass(frozen=True)
class Layout:
    """One way to lie on disk.

    Attributes:
        name: For messages.
        matches: root → whether a dataset lies there in this way.
        splits: root → names of its splits.
        pairs: (root, split) → images in order of their names, each with its label file, or None where that is missing.
        labels: root → its classes; None where the files must say.
        coding: root → what its label files' pixels mean.
        expects: (root, split) → the folder of the labels, for messages.
        label_name: image → the name that its label file should have in there, for messages.
    """

    name: str
    matches: Callable[[Path], bool]
    splits: Callable[[Path], list[str]]
    pairs: Callable[[Path, str], Pairs]
    labels: Callable[[Path], Labels | None] = lambda _root: None
    coding: Callable[[Path], Coding] = lambda _root: Coding()
    expects: Callable[[Path, str], Path] = lambda root, split: (_label_dir(root) or root / "labels") / split
    label_name: Callable[[Path], str] = lambda image: f"{image.stem}.png"

    def expected_label(self, root: Path, split: str, image: Path) -> Path:
        """Where the label file of an image should lie."""
        return self.expects(root, split) / self.label_name(image)


def find_layout(root: Path) -> Layout:
    """The layout of a dataset; where none fits, that of folders with splits, which is what we ask for."""
    return next((layout for layout in LAYOUTS if layout.matches(root)), FOLDERS)


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name; none where it is missing."""
    return _files(folder, IMAGE_SUFFIXES)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(p for p in found if p.suffix.lower() in suffixes and not p.name.startswith("."))


def automatic_split(pairs: Pairs, split: str, group: Callable[[Path], str] = lambda path: path.stem) -> Pairs:
    """The share of ``pairs`` that a dataset without splits gives to one: 80 % train, 10 % val, 10 % test.

    The order of the groups' hashed names decides, so that every machine draws the same; images of a group (of one car, of
    one ride) are never parted.
    """
    if split not in SPLITS:
        raise DataError(f"a dataset without splits is divided into {', '.join(SPLITS)}, got {split!r}")
    groups = sorted({group(image) for image, _ in pairs}, key=lambda name: hashlib.sha256(name.encode()).digest())
    tenth = max(1, round(len(groups) / 10)) if len(groups) > 2 else len(groups) // 2
    parts = {"val": groups[:tenth], "test": groups[tenth : 2 * tenth], "train": groups[2 * tenth :]}
    if len(groups) < 3:
        parts = {"val": groups[:tenth], "test": [], "train": groups[tenth:]}
    chosen = set(parts[split])
    return [pair for pair in pairs if group(pair[0]) in chosen]


def folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted by name; none where it is missing."""
    return sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []


def _pair(images: Iterable[Path], masks: Iterable[Path], key: Callable[[str], str] = lambda stem: stem) -> Pairs:
    by_name = {key(path.stem): path for path in masks}
    return [(image, by_name.get(image.stem)) for image in images]


def _pair_trees(images: Path, masks: Path) -> Pairs:
    """Images of a folder, or of the folders in it where it has none, with the label files of the same path.

    A label file may have one of :data:`MASK_SUFFIXES` behind its image's name.
    """
    by_path = {path.relative_to(masks).with_suffix(""): path for path in _tree(masks)}
    names = {path: path.relative_to(images).with_suffix("") for path in _tree(images)}
    taken = set(names.values())  # a_seg.png belongs to the image a_seg, not to a

    def mask_of(name: Path) -> Path | None:
        suffixed = (name.with_name(name.name + suffix) for suffix in MASK_SUFFIXES)
        return next((by_path[path] for path in suffixed if path in by_path and (path == name or path not in taken)), None)

    return [(image, mask_of(name)) for image, name in names.items()]


def _tree(folder: Path) -> list[Path]:
    return list_images(folder) or [path for inner in folders(folder) for path in _tree(inner)]


def _path_below_images(image: Path, skip: int) -> str:
    """A label file's path: its image's one below the folder ``images`` and ``skip`` more."""
    parts = image.with_suffix(".png").parts
    return "/".join(parts[len(parts) - parts[::-1].index("images") + skip :])


def _label_dir(root: Path) -> Path | None:
    return next((root / name for name in LABEL_DIRS if (root / name).is_dir()), None)


# images/<split> + labels/<split>: ours. Both folders are looked at by open_dataset, whose errors explain this layout.
FOLDERS = Layout(
    "images/<split> and labels/<split>",
    lambda root: bool(folders(root / "images")),
    lambda root: [p.name for p in folders(root / "images")],
    lambda root, split: _pair_trees(root / "images" / split, (_label_dir(root) or root / "labels") / split),
    label_name=lambda image: _path_below_images(image, 1),
)

# <split>/images + <split>/labels: what many download pages give.
SPLIT_FIRST = Layout(
    "<split>/images and <split>/labels",
    lambda root: any((p / "images").is_dir() and _label_dir(p) for p in folders(root) if p.name in (*SPLITS, "valid")),
    lambda root: [p.name for p in folders(root) if (p / "images").is_dir() and _label_dir(p)],
    lambda root, split: _pair_trees(root / split / "images", _label_dir(root / split) or root / split / "labels"),
    label_name=lambda image: _path_below_images(image, 0),
    expects=lambda root, split: _label_dir(root / split) or root / split / "labels",
)

# images/ + labels/ (or masks/, …) without splits.
FLAT = Layout(
    "images and labels without splits",
    lambda root: _label_dir(root) is not None and not folders(root / "images") and bool(list_images(root / "images")),
    lambda root: list(SPLITS),
    lambda root, split: automatic_split(
        _pair(list_images(root / "images"), list_images(_label_dir(root) or root), lambda stem: stem.removesuffix("_mask")),
        split,
    ),
    expects=lambda root, _split: _label_dir(root) or root / "labels",
)


def _cityscapes_label(image: Path) -> str:
    return f"{image.parent.name}/{image.stem.removesuffix('_leftImg8bit')}_gtFine_labelIds.png"


def _cityscapes(root: Path, split: str) -> Pairs:
    images = sorted((root / "leftImg8bit" / split).glob("*/*_leftImg8bit.*"))
    pairs: Pairs = []
    for image in images:
        mask = root / "gtFine" / split / _cityscapes_label(image)
        pairs.append((image, mask if mask.is_file() else None))
    return pairs


#: Label id → training id; the other 15 ids are void in the benchmark (Cordts et al., 2016).
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
CITYSCAPES_LAYOUT = Layout(
    "Cityscapes (leftImg8bit, gtFine)",
    lambda root: (root / "leftImg8bit").is_dir() and (root / "gtFine").is_dir(),
    lambda root: [p.name for p in folders(root / "leftImg8bit")],
    _cityscapes,
    lambda _root: CITYSCAPES,
    lambda _root: Coding({i: CITYSCAPES_IDS.index(i) if i in CITYSCAPES_IDS else 255 for i in (*range(34), 255)}),
    lambda root, split: root / "gtFine" / split,
    _cityscapes_label,
)


def _voc_root(root: Path) -> Path:
    years = sorted((*root.glob("VOC20??"), *root.glob("VOCdevkit/VOC20??")), reverse=True)
    inner = (root, *years)
    return next((p for p in inner if (p / "ImageSets/Segmentation").is_dir() and (p / "SegmentationClass").is_dir()), root)


def _voc_splits(root: Path) -> dict[str, Path]:
    """Split → the file that lists its images; CVAT's are called Train, Validation, … or default alone."""
    files = {path.stem.lower(): path for path in sorted((_voc_root(root) / "ImageSets/Segmentation").glob("*.txt"))}
    return dict.fromkeys(SPLITS, files["default"]) if list(files) == ["default"] else files


def _voc(root: Path, split: str) -> Pairs:
    base, file = _voc_root(root), _voc_splits(root)[split]
    pairs: Pairs = []
    for name in (line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()):
        images = [base / "JPEGImages" / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES]
        mask = base / "SegmentationClass" / f"{name}.png"
        pairs.append((next((p for p in images if p.is_file()), images[0]), mask if mask.is_file() else None))
    return automatic_split(pairs, split) if file.stem == "default" else pairs


# Files with a palette arrive as colours; black is the background, a class.
_VOC_CODING = Coding(colours={colour: i for i, colour in enumerate(VOC.palette)} | {VOC_VOID_RGB: VOC.ignore_index})


def _label_map(root: Path) -> LabelMap:
    """What ``labelmap.txt`` says of a dataset in VOC's folders; where it has none, it is Pascal VOC."""
    file = _voc_root(root) / labelmap.FILE
    return read_label_map(file) if file.is_file() else LabelMap(VOC, _VOC_CODING)


VOC_LAYOUT = Layout(
    "Pascal VOC (JPEGImages, SegmentationClass, ImageSets)",
    lambda root: (_voc_root(root) / "ImageSets/Segmentation").is_dir(),
    lambda root: sorted(_voc_splits(root)),
    _voc,
    lambda root: _label_map(root).labels,
    lambda root: _label_map(root).coding,
    lambda root, _split: _voc_root(root) / "SegmentationClass",
)


_ADE_SPLITS = {"train": "training", "val": "validation"}


def _is_ade(root: Path) -> bool:
    """Whether there are the folders of the training split, or those of the validation split and no others."""
    both = [name for name in _ADE_SPLITS.values() if (root / "images" / name).is_dir()]
    if not any((root / "annotations" / name).is_dir() for name in both):
        return False
    return "training" in both or [path.name for path in folders(root / "images")] == ["validation"]


def _ade_labels(root: Path) -> Labels:
    """Names as the dataset's own list has them: ``Idx Ratio Train Val Stuff Name``, the first of several synonyms."""
    file = root / "objectInfo150.txt"
    if not file.is_file():
        return Labels.numbered(150)
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8-sig").splitlines()[1:] if line.strip()]
    if len(rows) != 150:
        raise DataError(f"{file}: expected a heading and 150 classes, got {len(rows)}")
    names: list[str] = []
    for row in rows:
        name = row[-1].split(",")[0].strip()
        names.append(name if name not in names else f"{name} {len(names) + 1}")
    return Labels(tuple(names), default_palette(150))


ADE_LAYOUT = Layout(
    "ADE20K challenge (images/training, annotations/training)",
    _is_ade,
    lambda root: [name for name, folder in _ADE_SPLITS.items() if (root / "images" / folder).is_dir()],
    lambda root, split: _pair(
        list_images(root / "images" / _ADE_SPLITS.get(split, split)),
        list_images(root / "annotations" / _ADE_SPLITS.get(split, split)),
    ),
    _ade_labels,
    lambda _root: Coding({0: 255} | {i: i - 1 for i in range(1, 151)}),
    lambda root, split: root / "annotations" / _ADE_SPLITS.get(split, split),
)

CAMVID_SEGNET = Layout(
    "CamVid as SegNet's tutorial has it (train, trainannot)",
    lambda root: (root / "train").is_dir() and (root / "trainannot").is_dir(),
    lambda root: [name for name in SPLITS if (root / name).is_dir() and (root / f"{name}annot").is_dir()],
    lambda root, split: _pair(list_images(root / split), list_images(root / f"{split}annot")),
    lambda _root: CAMVID,
    expects=lambda root, split: root / f"{split}annot",
)

#: The 32 colours of CamVid's own labels (Brostow et al., 2009), in the 11 classes of SegNet.
CAMVID_COLOURS = {
    "sky": ((128, 128, 128),),
    "building": ((0, 128, 64), (128, 0, 0), (64, 192, 0), (64, 0, 64), (192, 0, 128)),
    "pole": ((192, 192, 128), (0, 0, 64)),
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    "tree": ((128, 128, 0), (192, 192, 0)),
    "sign symbol": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
}
_STILLS, _APPROVED = "701_StillsRaw_full", "LabeledApproved_full"
CAMVID_ORIGINAL = Layout(
    f"CamVid as published ({_STILLS}, {_APPROVED})",
    lambda root: (root / _STILLS).is_dir() and (root / _APPROVED).is_dir(),
    lambda root: list(SPLITS),
    lambda root, split: automatic_split(
        _pair(list_images(root / _STILLS), list_images(root / _APPROVED), lambda stem: stem.removesuffix("_L")),
        split,
        # Neighbours in a ride look alike: thirty seconds of one stay together.
        lambda image: image.stem[:-3],
    ),
    lambda _root: CAMVID,
    lambda _root: Coding(
        colours={c: i for i, name in enumerate(CAMVID.names) for c in CAMVID_COLOURS[name]}
        | {(0, 0, 0): CAMVID.ignore_index}
    ),
    lambda root, _split: root / _APPROVED,
    lambda image: f"{image.stem}_L.png",
)

CARVANA_LAYOUT = Layout(
    "Carvana (train, train_masks)",
    lambda root: (root / "train").is_dir() and (root / "train_masks").is_dir(),
    lambda root: list(SPLITS),
    lambda root, split: automatic_split(
        _pair(
            list_images(root / "train"),
            _files(root / "train_masks", (".gif", ".png")),
            lambda stem: stem.removesuffix("_mask"),
        ),
        split,
        # id_01.jpg to id_16.jpg show one car from 16 sides.
        lambda image: image.stem.rpartition("_")[0],
    ),
    lambda _root: CARVANA,
    lambda _root: Coding({0: 0, 1: 1, 255: 1}, {(0, 0, 0): 0, (255, 255, 255): 1}),
    lambda root, _split: root / "train_masks",
    lambda image: f"{image.stem}_mask.gif",
)


def _semantic(root: Path) -> SemanticYaml:
    content = find_semantic_yaml(root)
    if content is None:
        raise DataError(f"dataset {root}: its YAML file is gone")
    return content


ULTRALYTICS_LAYOUT = Layout(
    "Ultralytics' semantic task (a YAML file with names, images, masks)",
    lambda root: find_semantic_yaml(root) is not None,
    lambda root: [name for name, folder in _semantic(root).splits.items() if folder.is_dir()],
    lambda root, split: _pair(list_images(_semantic(root).splits[split]), list_images(_semantic(root).masks(split))),
    lambda root: _semantic(root).labels,
    lambda root: _semantic(root).coding,
    lambda root, split: _semantic(root).masks(split),
)

LAYOUTS = (
    CITYSCAPES_LAYOUT, VOC_LAYOUT, ADE_LAYOUT, CAMVID_SEGNET, CAMVID_ORIGINAL, CARVANA_LAYOUT, ULTRALYTICS_LAYOUT,
    SPLIT_FIRST, FOLDERS, FLAT,
)  # fmt: skip
