"""Writes a converted dataset: ``images/<split>``, ``labels/<split>``, ``classes.json``; whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...core.errors import DataError, InputError
from ...core.labels import Labels
from ...core.progress import Progress, Silent
from ...core.report import Report
from ..dataset import write_labels
from ..imagefiles import exif
from ..imagefiles.kinds import hint
from ..labelfiles.classes import named_classes
from ..layouts import SPLITS, Pairs, automatic_split
from ..options import AUTO, ConvertOptions
from ..regions.images import BACKGROUND, Mask, Sample, Source, labels_of, paint
from ..regions.reading import Reading
from ..regions.shapes import decode_image, suffix_of
from .formats import READERS, recognise

# So many folders above an image may be needed to tell it from others of its name.
_DEEPEST = 4


@dataclass(frozen=True, repr=False)
class Converted(Report):
    """A converted dataset.

    Attributes:
        data: Its folder.
        splits: Split → images.
        labels: Its classes.
        format: The format that was read.
        reading: What was assumed, skipped and counted.
    """

    data: Path
    splits: dict[str, int]
    labels: Labels
    format: str = ""
    reading: Reading = field(default_factory=Reading)

    @property
    def notes(self) -> list[str]:
        """What was assumed, skipped and counted, a line each."""
        return self.reading.account()

    def to_dict(self) -> dict[str, Any]:
        return {
            "data": str(self.data), "splits": dict(self.splits), "labels": self.labels.to_dict(), "format": self.format,
            **self.reading.to_dict(),
        }  # fmt: skip

    def title(self) -> str:
        parts = " + ".join(f"{count} {split}" for split, count in sorted(self.splits.items()))
        return f"{self.data}: {parts} images, {len(self.labels)} classes"


def convert(source: str | Path, out: str | Path, options: ConvertOptions, *, progress: Progress | None = None) -> Converted:
    """Converts annotations of other tools into ``images/<split>``, ``labels/<split>`` and ``classes.json``.

    >>> import shutil
    >>> images = shutil.copytree("data/images", "yolo/images")
    >>> _ = Path("yolo/classes.txt").write_text("car")
    >>> for image in Path("yolo/images").glob("*/*"):  # one triangle each
    ...     text = Path("yolo/labels", image.parent.name, f"{image.stem}.txt")
    ...     text.parent.mkdir(parents=True, exist_ok=True)
    ...     _ = text.write_text("0 0.1 0.1 0.9 0.1 0.9 0.9")
    >>> convert("yolo", "converted", ConvertOptions(format="auto"))
    converted: 6 train + 3 val images, 2 classes

    Args:
        source: Folder of the dataset, or its annotation file.
        out: A folder that doesn't exist yet, or is empty.
        options: The format, the classes of the result, and what becomes of everything else.
        progress: Told how many images are converted.

    Raises:
        InputError: ``out`` is not empty, or the classes can't be used. Nothing is left in ``out``, here and below.
        DataError: an image or annotation that is missing or can't be used, or nothing is annotated.
        UnknownNameError: an annotation of a class that is not listed.
    """
    source, target = Path(source), Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not empty; pass another folder")
    if not source.exists():
        raise DataError(f"{source}: no such folder or file")
    progress = progress or Silent()
    kind, reading = options.format, Reading(options.clip, options.skip_shapes, options.exif == "stored")
    if kind == AUTO:
        kind, reason = recognise(source)
        reading.say(f"read as {kind}: {reason}")
    read = READERS[kind].read(source, reading)
    if not read.samples:
        raise DataError(f"{source}: no images")
    read = replace(read, samples=_told_apart(read.samples))
    background = read.background if options.unlabelled is None else options.unlabelled == "background"
    wanted = None if options.classes is None else named_classes(options.classes)
    labels = wanted or labels_of(read, background or options.others == "background")
    for name in labels.names:
        if name != BACKGROUND and name.lower() == BACKGROUND and BACKGROUND in labels.names:
            reading.say(f"warning: {name} is a class beside {BACKGROUND}, what nothing covers; if both are one, rename it")
    values = _values(read, labels, options.others, background)
    nothing = values[BACKGROUND] if background else labels.ignore_index
    splits = _splits(read.samples)
    count = progress.count("converting")

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for done, (sample, split) in enumerate(splits, 1):
            draw = partial(paint, sample, values=values, unlabelled=nothing, source=read, reading=reading)
            _write(sample, folder / "images" / split, folder / "labels" / split, draw, reading, options.link)
            count(done, len(splits))
        if not reading.painted:
            raise DataError(_nothing(source, len(splits), reading))
        write_labels(folder, labels)
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()
        os.replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Converted(target, dict(Counter(split for _, split in splits)), labels, kind, reading)


def _nothing(source: Path, images: int, reading: Reading) -> str:
    counts = [line for line in reading.account() if line.startswith(("skipped", "warning"))]
    return (
        f"{source}: not one annotation in {images} images covers a pixel{'; ' if counts else ''}{'; '.join(counts)}; "
        "a training would see only background"
    )


def _values(source: Source, labels: Labels, others: str, background: bool) -> dict[str, int]:
    values = {name: number for number, name in enumerate(labels.names)}
    values |= dict.fromkeys(source.void, labels.ignore_index)
    if (background or others == "background") and BACKGROUND not in values:
        raise InputError(
            f"`classes`: has no {BACKGROUND!r} for pixels that nothing covers; add it, or pass `unlabelled='void'`"
        )
    if others != "error":
        value = labels.ignore_index if others == "void" else values[BACKGROUND]
        values |= {name: value for name in source.classes if name not in values}
    return values


def _told_apart(samples: list[Sample]) -> list[Sample]:
    """Images of one name in several folders, with the names of folders before theirs."""
    result = list(samples)
    for depth in range(1, _DEEPEST + 1):
        seen = Counter((sample.split, sample.name) for sample in result)
        for index, sample in enumerate(samples):
            twice = seen[result[index].split, result[index].name] > 1
            if twice and isinstance(sample.image, Path):
                result[index] = replace(sample, name="_".join([*sample.image.parts[-1 - depth : -1], sample.name]))
    seen = Counter((sample.split, sample.name) for sample in result)
    return [given if seen[s.split, s.name] > 1 else s for s, given in zip(result, samples, strict=True)]


def _splits(samples: list[Sample]) -> list[tuple[Sample, str]]:
    """Each image with its split: the source's, or where it has none, the one drawn by the image's name."""
    free = [sample for sample in samples if sample.split is None]
    drawn: dict[str, str] = {}
    if free:
        pairs: Pairs = [(sample.name, None) for sample in free]
        drawn = {name: split for split in SPLITS for name, _ in automatic_split(pairs, split, str)}
    result = [(sample, sample.split or drawn[sample.name]) for sample in samples]
    taken: set[tuple[str, str]] = set()
    for sample, split in result:
        if (split, sample.name) in taken:
            raise DataError(f"{split}: two images are called {sample.name}; rename one")
        taken.add((split, sample.name))
    return result


def _write(
    sample: Sample,
    images: Path,
    labels: Path,
    draw: Callable[[tuple[int, int]], Mask],
    reading: Reading,
    link: bool,
) -> None:
    where = sample.image if isinstance(sample.image, Path) else f"the image of {sample.name}"
    try:
        data = sample.image.read_bytes() if isinstance(sample.image, Path) else sample.image()
    except OSError as error:
        raise DataError(f"{where}: can't be read ({error.strerror})") from error
    suffix, frame = sample.suffix, decode_image(data, cv2.IMREAD_COLOR)
    if frame is None and sample.spare is not None:
        reading.say(f"{where} can't be decoded; the image inside the annotation file is taken")
        data, link = sample.spare(), False
        suffix, frame = suffix_of(data), decode_image(data, cv2.IMREAD_COLOR)
    if frame is None:
        raise DataError(f"{where}: not a readable image ({len(data)} bytes); {hint(data) or 'replace or remove it'}")
    mask = _mask(sample, data, frame, str(where), draw, reading)
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    out = images / f"{sample.name}{suffix}"
    if link and isinstance(sample.image, Path):
        out.symlink_to(sample.image.resolve())
    else:
        out.write_bytes(data)
    (labels / f"{sample.name}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())


def _mask(
    sample: Sample,
    data: bytes,
    frame: Mask,
    where: str,
    draw: Callable[[tuple[int, int]], Mask],
    reading: Reading,
) -> Mask:
    """The mask for the image as it is decoded, which is upright, from annotations for the upright or the stored one."""
    shown_hw = stored_hw = (int(frame.shape[0]), int(frame.shape[1]))
    turned = exif.orientation(data)
    if turned != 1:
        stored = decode_image(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if stored is None or np.array_equal(stored, frame):
            turned = 1  # OpenCV does not turn this kind of file
        else:
            stored_hw = (int(stored.shape[0]), int(stored.shape[1]))
            reading.rotated.append(sample.name)
    annotated_hw = stored_hw if reading.stored else shown_hw
    if sample.size_hw is not None and sample.size_hw != annotated_hw:
        said = f"{where}: is {_size(annotated_hw)}, its annotations are for {_size(sample.size_hw)}"
        if turned != 1 and sample.size_hw in (shown_hw, stored_hw):
            other = "upright" if reading.stored else "stored"
            said += (
                f": its EXIF orientation {turned} ({exif.MEANINGS[turned]}) swaps the sides, and the annotations are for "
                f"the image as {other}; pass `exif='{other}'`"
            )
        elif turned != 1:
            said += f"; its EXIF orientation is {turned} ({exif.MEANINGS[turned]})"
        raise DataError(said)
    mask = draw(annotated_hw)
    return exif.upright(mask, turned) if reading.stored and turned != 1 else mask


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
