"""Composite images on disk: a folder dataset whose splits share no photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...core.artefact import write_json
from ...core.cpu import usable_count
from ...core.errors import InputError
from ...core.options import show_size
from ...core.progress import Progress, Silent
from ...core.report import Cells, Report
from ..dataset import write_labels
from ..generated import check_target, each, move_into_place, temporary_folder, write_image
from .options import ComposeOptions
from .pool import Pool, open_pool
from .scene import compose_one

#: What a folder of composites was made from. It is written last: a folder without it is not whole.
MANIFEST = "compose.json"
_CHUNK = 20
#: Of the images' generators, so that no image of one split is drawn as one of another.
_NUMBERS = {"train": 0, "val": 1}


@dataclass(frozen=True, repr=False)
class Composed(Report):
    """A dataset of composites.

    Attributes:
        data: Its folder.
        options: How it was made.
        sources: Datasets that it was made from.
        pools: Split → how many photographs with things, things and backgrounds there were.
    """

    data: Path
    options: ComposeOptions
    sources: tuple[Path, ...]
    pools: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        options = self.options
        return {
            "data": str(self.data), "sources": [str(path) for path in self.sources], "seed": options.seed,
            "size_hw": list(options.size_hw), "things": list(options.things), "rename": list(options.rename),
            "backgrounds": [str(path) for path in options.backgrounds], "empty": options.empty, "plain": options.plain,
            "bodies": options.bodies, "most": options.most, "train": options.train, "val": options.val,
            "made_of": self.pools,
        }  # fmt: skip

    def title(self) -> str:
        counts = " + ".join(f"{getattr(self.options, split)} {split}" for split in self.pools)
        return f"{self.data}: {counts} images, {show_size(self.options.size_hw)}"

    def table(self) -> Cells:
        rows = [[split, *(str(count) for count in pool.values())] for split, pool in self.pools.items()]
        return ("made of", "photographs", "things", "backgrounds"), rows


def compose(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    options: ComposeOptions = ComposeOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> Composed:
    """Cuts things out of labelled photographs and pastes them onto other backgrounds, with exact labels.

    Scale, place, number, light, focus, noise and JPEG quality are random; some things are hidden in part, and objects that
    are none of them are pasted in the same way, so that edges of pasting say nothing.

    >>> report = compose("data", "composites", ComposeOptions(train=2, val=0, size_hw=(32, 48), things=("car",)))
    >>> report.title()
    'composites: 2 train images, 32x48'

    Args:
        sources: Datasets in any known layout. The first one's classes are those of the result.
        out: Folder to make.
        options: What is cut out, and what becomes of it.
        progress: Told how many images are read and drawn.

    Raises:
        InputError: ``out`` is not empty, is a file, or can't be written.
        DataError: a dataset can't be read, or there is nothing to cut out or to paste on.
    """
    out = Path(out)
    check_target(out, force=None)
    paths = tuple(map(Path, (sources,) if isinstance(sources, str | Path) else sources))
    if not paths:
        raise InputError("`sources`: expected at least one dataset, got none")
    progress = progress or Silent()
    splits = [split for split in _NUMBERS if getattr(options, split)]
    pools = {split: open_pool(paths, split, options, progress.count(f"reading {split}")) for split in splits}
    count, done, total = progress.count("drawing"), 0, options.train + options.val
    with temporary_folder(out) as folder:
        for split, pool in pools.items():
            images = getattr(options, split)
            jobs = [range(first, min(images, first + _CHUNK)) for first in range(0, images, _CHUNK)]
            draw = partial(_draw, folder, split, pool, options)
            for drawn in each(draw, jobs, usable_count() if options.workers is None else options.workers):
                done += drawn
                count(done, total)
        write_labels(folder, pools[splits[0]].labels)
        made_of = {
            split: {
                "photographs": len(pool.photos),
                "things": len(pool.cutouts),
                "backgrounds": len(pool.backgrounds) + len(pool.empty) + len(pool.sides),
            }
            for split, pool in pools.items()
        }
        report = Composed(out, options, paths, made_of)
        write_json(folder / MANIFEST, report.to_dict())
        move_into_place(folder, out)
    return report


def _draw(folder: Path, split: str, pool: Pool, options: ComposeOptions, numbers: range) -> int:
    for number in numbers:
        rng = np.random.default_rng((options.seed, _NUMBERS[split], number))
        frame, mask = compose_one(pool, options, rng)
        write_image(folder / "images" / split / f"composite_{number:06d}.jpg", frame)
        write_image(folder / "labels" / split / f"composite_{number:06d}.png", mask)
    return len(numbers)
