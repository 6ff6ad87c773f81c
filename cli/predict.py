"""``seg-edge predict``"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.shipped import DEFAULT
from .common import MODEL_HELP, about
from .runtime_options import ALPHA, ENGINE, THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from ..runtime import Result


def predict(
    source: Annotated[str, typer.Option(help="Image, folder of images, or video file.")],
    out: Annotated[Path, typer.Option(help="Output folder: masks/NAME.png, overlays/NAME.jpg, classes.json.")],
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)] = Path(DEFAULT),
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Write class numbers, one 8-bit channel.")] = True,
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="Write the images with the classes' colours.")
    ] = True,
    engine: Annotated[str, ENGINE] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    max_frames: Annotated[int | None, typer.Option(help="Stop after this many images.")] = None,
    alpha: Annotated[float, ALPHA] = 0.5,
) -> None:
    """Segment images and write masks and overlays."""
    from contextlib import closing

    from ..core.errors import InputError
    from ..runtime.engines.ahead import opened_ahead
    from ..runtime.sinks.overwrite import WRITTEN, refuse_overwrite

    if not (masks or overlay):
        raise InputError("predict: --no-masks and --no-overlay together leave nothing to write; drop one")
    refuse_overwrite([source], [out / folder for folder, wanted in zip(WRITTEN, (masks, overlay), strict=True) if wanted])
    with opened_ahead(model, engine, threads, throughput=True) as opened_engine:
        # Import and open everything else while the engine compiles the network.
        from ..datasets.dataset import write_labels
        from ..runtime import Segmenter, open_source

        with open_source(source) as opened, Segmenter(opened_engine(), threads=threads, alpha=alpha) as segmenter:
            if opened.live:
                raise InputError(f"source {source}: a camera has no end; use: seg-edge run --sink FILE.mp4, or pass images")
            chosen = segmenter.engine
            print(about(model, segmenter))
            print(f"engine {chosen.name} {chosen.version} on {chosen.device} ({chosen.why})")
            write_labels(out, segmenter.labels)
            done = 0
            with closing(segmenter.stream(opened, mask=masks, overlay=overlay, max_frames=max_frames)) as results:
                for result in _shown(results, opened.count):
                    if result.mask is not None:
                        _write(out / "masks" / f"{result.name}.png", result.mask)
                    if result.overlay_bgr is not None:
                        _write(out / "overlays" / f"{result.name}.jpg", result.overlay_bgr)
                    done += 1
            skipped = f", {opened.corrupt} corrupt skipped" if opened.corrupt else ""
    print(f"{out}: {done} images{skipped}")


def _shown(results: Iterable[Result], total: int | None) -> Iterable[Result]:
    """The results, with a progress bar on a terminal."""
    if not (sys.stderr and sys.stderr.isatty()):
        return results
    from rich.console import Console
    from rich.progress import track

    return track(results, "predict", total=total, console=Console(stderr=True), transient=True)


def _write(path: Path, image: npt.NDArray[Any]) -> None:
    import cv2

    from ..core.artefact import atomic_path

    data = cv2.imencode(path.suffix, image)[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
