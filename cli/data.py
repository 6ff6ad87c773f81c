"""``seg-edge data``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import InputError
from .common import parse_size, progress_bar

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
        typer.Option("--domain", help="day, dusk, fog, rain or camera2; may be repeated or a comma list. [default: day]"),
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
    from ..train.data.synth import write_dataset

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
