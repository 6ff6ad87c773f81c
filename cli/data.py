"""``seg-edge data``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import InputError
from .common import parse_size, print_table, progress_bar, writable

if TYPE_CHECKING:
    from ..datasets.checking import Check

app = typer.Typer(help="Make and look at datasets.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make and look at datasets."""


@app.command()
def synth(
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    train: Annotated[int, typer.Option("--train", help="Pictures for training.")] = 240,
    val: Annotated[int, typer.Option("--val", help="Pictures for validation, from other streets.")] = 60,
    test: Annotated[int, typer.Option("--test", help="Pictures for a test split, from other streets again.")] = 0,
    size: Annotated[str, typer.Option("--size", help="HEIGHTxWIDTH in pixels.")] = "360x480",
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same pictures.")] = 0,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain", help="day, dusk, night, fog, rain or camera2; may be repeated or a comma list. [default: day]"
        ),
    ] = None,
    video: Annotated[
        float, typer.Option("--video", help="Also a video of this many seconds, with a mask for every frame.")
    ] = 0.0,
    fps: Annotated[float, typer.Option("--fps", help="Frames per second of the video.")] = 25.0,
    jpg: Annotated[bool, typer.Option("--jpg", help="Pictures as JPEG instead of PNG.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes that render. Default: one a core.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write into a folder that is not empty; foreign files stay.")
    ] = False,
) -> None:
    """Generate street scenes with ground truth: CamVid's 11 classes, deterministic by seed."""
    size_hw = _size(size)
    names = [name.strip() for entry in domain or ["day"] for name in entry.split(",") if name.strip()]
    if not names:
        raise InputError(f"--domain: expected at least one name, got {domain}")
    if not 0 <= video <= 36_000:
        raise InputError(f"--video: expected 0 to 36000 seconds, got {video:g}")

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from ..core.cpu import usable_cpus
    from ..datasets.synth import write_dataset

    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with progress_bar(*columns) as bar:
        task = bar.add_task("rendering", total=None)
        write_dataset(
            out, train=train, val=val, test=test, size_hw=size_hw, seed=seed, domains=names, video_s=video, fps=fps,
            image_suffix=".jpg" if jpg else ".png", force=force,
            workers=len(usable_cpus()) if workers is None else workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    parts = [f"{count} {split}" for split, count in (("train", train), ("val", val), ("test", test)) if count]
    film = f", video.mp4 of {video:g} s" if video else ""
    print(f"{out}: {' + '.join(parts)} pictures, {size_hw[1]}x{size_hw[0]}, {', '.join(names)}{film}")


def _size(text: str) -> tuple[int, int]:
    try:
        size_hw = parse_size(text)
    except InputError as error:
        raise InputError(f"--size: expected HEIGHTxWIDTH in pixels such as 360x480, got {text!r}") from error
    assert size_hw is not None
    return size_hw


@app.command("split-classes")
def split_classes(
    data: Annotated[Path, typer.Argument(help="Dataset folder with all its labels, in any known layout.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    classes: Annotated[str | None, typer.Option("--classes", help="Comma list of names. Default: every class.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same shares.", min=0)] = 0,
) -> None:
    """Take a dataset apart into single-class ones (CLASS/images, CLASS/masks); its other splits stay whole."""
    from ..datasets.split_classes import split_classes as split

    names = [name.strip() for name in classes.split(",") if name.strip()] if classes else None
    with progress_bar() as bar:
        task = bar.add_task("writing", total=None)
        shares = split(data, out, names, seed, lambda done, total: bar.update(task, completed=done, total=total))
    print(f"{out}: {', '.join(f'{count} pictures of {name}' for name, count in shares.items())}")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="camvid, voc or ade20k; cityscapes and carvana tell how to get them.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to make. Default: data/NAME.")] = None,
) -> None:
    """Download a public dataset; called again after an interruption, it goes on where it stopped."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

    from ..datasets.download import TABLE, Public
    from ..datasets.download import get as fetch

    columns = (TextColumn("[progress.description]{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with progress_bar(*columns) as bar:
        task = bar.add_task(name, total=None)
        folder = fetch(name, out or Path("data") / name, lambda done, total: bar.update(task, completed=done, total=total))
    known = TABLE[name]
    assert isinstance(known, Public)
    print(f"{folder}: {known.about}\nlook it over: seg-edge data check {folder}")


@app.command()
def convert(
    format: Annotated[str, typer.Argument(metavar="FORMAT", help="coco (instances, stuff, panoptic), labelme or yolo.")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder of the dataset, or its annotation file.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="Folder to make.")],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Classes of the result, in order: a text file, a classes.json, or camvid, cityscapes, voc, carvana."
        ),
    ] = None,
    others: Annotated[
        str, typer.Option(help="With --classes: what becomes of the source's other classes: error, void or background.")
    ] = "error",
    unlabelled: Annotated[
        str | None,
        typer.Option(help="What unlabelled pixels are: background or void. Default: background; void for panoptic data."),
    ] = None,
    clip: Annotated[
        bool, typer.Option("--clip", help="Cut polygons off at the picture's border instead of refusing them.")
    ] = False,
    link: Annotated[bool, typer.Option("--link", help="Symbolic links to the images instead of copies.")] = False,
) -> None:
    """Convert annotations of other tools into images/<split> and labels/<split>."""
    from ..datasets.converters import convert as run

    with progress_bar() as bar:
        task = bar.add_task("converting", total=None)
        done = run(
            format, source, target, classes=classes, others=others, unlabelled=unlabelled, clip=clip, link=link,
            progress=lambda now, total: bar.update(task, completed=now, total=total),
        )  # fmt: skip
    parts = " + ".join(f"{count} {split}" for split, count in sorted(done.splits.items()))
    print(f"{target}: {parts} images, {len(done.labels)} classes\nlook it over: seg-edge data check {target}")


@app.command()
def check(
    data: Annotated[Path, typer.Argument(help="Dataset folder, in any known layout.")],
    classes: Annotated[str | None, typer.Option(help="Class list of a known dataset, e.g. camvid.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture here: images of every split under their labels.", callback=writable)
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write what was found here.", callback=writable)] = None,
) -> None:
    """Look a dataset over: sizes, label values, class frequencies, missing pairs, pictures that are in two splits."""
    from ..core.artefact import write_json
    from ..core.errors import DataError
    from ..datasets.checking import check_dataset, contact_sheet

    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)
        found = check_dataset(
            data, classes, lambda what, done, total: bar.update(task, completed=done, total=total, description=what)
        )
    if json:
        write_json(json, found.to_dict())
    if sheet:
        contact_sheet(data, found, sheet)
    _print_check(found)
    if found.errors:
        raise DataError(
            f"data check: {data}: {len(found.errors)} of its files can't be trained on; the first: {found.errors[0]}"
        )


def _print_check(found: Check) -> None:
    from rich.table import Table

    table = Table("class")
    for split in found.splits:
        table.add_column(f"{split.name} %", justify="right")
        table.add_column("images", justify="right")
    totals = [max(1, sum(split.pixels)) for split in found.splits]
    for number, name in enumerate(found.labels.names):
        cells: list[str] = []
        for split, total in zip(found.splits, totals, strict=True):
            known = number < len(split.pixels)
            cells += [f"{100 * split.pixels[number] / total:.3f}", str(split.seen_in[number])] if known else ["–", "–"]
        table.add_row(name, *cells)
    print_table(f"{found.root}: {found.layout}", table)
    for split in found.splits:
        sizes = ", ".join(f"{size} ({count})" for size, count in split.sizes.most_common(4))
        more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
        void = split.void / max(1, split.void + sum(split.pixels))
        print(f"{split.name}: {split.images} images, {sizes or 'none readable'}{more}; {100 * void:.1f} % void")
    for kind, lines in (("error", found.errors), ("warning", found.warnings)):
        for line in lines:
            print(f"{kind}: {line}")
