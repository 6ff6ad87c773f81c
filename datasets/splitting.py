"""A fully labelled dataset taken apart into single-class ones: to try training on such data where the truth is known."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError, InputError, UnknownNameError
from ..core.labels import BACKGROUND, Labels
from ..core.progress import Progress, Silent
from ..core.report import Report
from .dataset import SegDataset, write_labels
from .layouts import SPLITS, find_layout
from .merged import NO_CLASSES
from .opening import open_dataset
from .options import SplitOptions


@dataclass(frozen=True, repr=False)
class Split(Report):
    """A dataset that was taken apart.

    Attributes:
        data: The folder that was made.
        shares: Class → images in its folder.
    """

    data: Path
    shares: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        return {"data": str(self.data), "shares": dict(self.shares)}

    def title(self) -> str:
        return f"{self.data}: {', '.join(f'{count} images of {name}' for name, count in self.shares.items())}"


def split_classes(
    data: str | Path,
    out: str | Path,
    options: SplitOptions = SplitOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> Split:
    """Writes ``CLASS/images/train`` and ``CLASS/masks/train`` for each class, and the other splits with all labels.

    No image is in two classes' folders, and a mask marks its own class alone (255), whatever else the image shows.
    Images are given to a class that they show, the rarest class first, in equal numbers as far as there are enough.
    Classes that are not chosen are background.

    >>> split_classes("data", "apart", SplitOptions(classes=("road", "car")))
    apart: 3 images of road, 3 images of car

    Args:
        data: A dataset with a train split.
        out: Folder to make.
        options: The classes, and the seed of the draw.
        progress: Told how many images are written.

    Raises:
        InputError: ``out`` exists and is not empty, or can't be written.
        UnknownNameError: no such class.
        DataError: a class that no image is left for, or a dataset that can't be read.
    """
    data, out = Path(data), Path(out)
    train = open_dataset(data, "train")
    known = train.labels
    names = tuple(dict.fromkeys(options.classes)) if options.classes else tuple(n for n in known.names if n != BACKGROUND)
    for name in names:
        if name not in known.names or name == BACKGROUND:
            raise UnknownNameError("class", name, [n for n in known.names if n != BACKGROUND])
        if name in NO_CLASSES or "/" in name:
            raise InputError(f"a folder {name!r} would be read as something else; leave the class out")
    if train.sets or len(names) < 2:
        raise InputError("splitting needs a dataset with all labels and at least two classes")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is there already; choose another folder")
    others = [open_dataset(data, name, known) for name in find_layout(data).splits(data) if name in SPLITS[1:]]
    total, done = len(train) + sum(map(len, others)), 0
    numbers = [known.names.index(name) for name in names]
    owner = _share_out(_shown(train, numbers), names, options.seed)
    colours = tuple(known.palette[number] for number in numbers)
    labels = Labels((BACKGROUND, *names), ((0, 0, 0), *colours))
    table = np.zeros(256, np.uint8)
    table[numbers] = np.arange(1, len(names) + 1)
    folder = _beside(out)
    count = (progress or Silent()).count("writing")
    try:
        for part in (train, *others):
            stems = _stems(part.images)
            for index, image in enumerate(part.images):
                if part is train:
                    home, name = folder / names[owner[index]], "masks"
                    mask = np.where(part.read_mask(index) == numbers[owner[index]], np.uint8(255), np.uint8(0))
                else:
                    home, name, mask = folder, "labels", table[part.read_mask(index)]
                    # Void belongs to no class, not even to the background.
                    mask = np.where(part.read_mask(index) == known.ignore_index, np.uint8(labels.ignore_index), mask)
                _copy(image, home / "images" / part.split / f"{stems[index]}{image.suffix}")
                _write(home / name / part.split / f"{stems[index]}.png", mask)
                done += 1
                count(done, total)
        write_labels(folder, labels)
        if out.exists():
            out.rmdir()
        folder.chmod(0o755)  # mkdtemp makes folders private
        folder.rename(out)
    except OSError as error:
        raise InputError(f"{out}: can't be written ({error.strerror}); choose another folder") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Split(out, {name: int((owner == k).sum()) for k, name in enumerate(names)})


def _stems(images: Sequence[Path]) -> list[str]:
    """Names without suffix, with that of the folder where images of several folders share one."""
    stems = [image.stem for image in images]
    if len(set(stems)) < len(stems):
        stems = [f"{image.parent.name}_{image.stem}" for image in images]
    if len(set(stems)) < len(stems):
        raise DataError(f"{images[0].parent} and others: several images have one name; rename them")
    return stems


def _shown(data: SegDataset, numbers: Sequence[int]) -> npt.NDArray[np.bool_]:
    """bool (images, classes): whether an image shows a class."""
    rows = [np.bincount(data.read_mask(index).ravel(), minlength=256)[list(numbers)] > 0 for index in range(len(data))]
    return np.stack(rows)


def _share_out(shown: npt.NDArray[np.bool_], names: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    """int64 (images,): the class that gets each image."""
    images, classes = shown.shape
    order = np.random.default_rng(seed).permutation(images)
    owner = np.full(images, -1, np.int64)
    left = np.array([images // classes + (k < images % classes) for k in range(classes)])
    for k in np.argsort(shown.sum(0), kind="stable"):
        chosen = [i for i in order if owner[i] < 0 and shown[i, k]][: left[k]]
        if not chosen:
            raise DataError(f"no image is left for class {names[k]}; leave it out, or bring more images")
        owner[chosen] = k
        left[k] -= len(chosen)
    spare = [i for i in order if owner[i] < 0]
    owner[spare] = np.repeat(np.arange(classes), left)[: len(spare)]
    return owner


def _beside(out: Path) -> Path:
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.absolute().parent))
    except OSError as error:
        raise InputError(f"{out}: can't be written ({error.strerror}); choose another folder") from error


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _write(path: Path, mask: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    good, data = cv2.imencode(".png", mask)
    if not good:
        raise DataError(f"{path}: OpenCV can't encode PNG images")
    np.asarray(data).tofile(path)
