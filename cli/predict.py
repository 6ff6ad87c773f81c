"""``seg-edge predict``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.shipped import DEFAULT
from .common import MODEL_HELP, about

if TYPE_CHECKING:
    import numpy.typing as npt


def predict(
    source: Annotated[str, typer.Option(help="Image, folder of images, or video file.")],
    out: Annotated[Path, typer.Option(help="Output folder: masks/NAME.png, overlays/NAME.jpg, classes.json.")],
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)] = Path(DEFAULT),
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Write class numbers, one 8-bit channel.")] = True,
    overlay: Annotated[
        bool, typer.Option("--overlay/--no-overlay", help="Write the images with the classes' colours.")
    ] = True,
    engine: Annotated[str, typer.Option(help="auto, openvino or onnxruntime.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads of the engine. Default: one for each core.")] = None,
    max_frames: Annotated[int | None, typer.Option(help="Stop after this many images.")] = None,
    alpha: Annotated[float, typer.Option(help="Opacity of the classes' colours, 0 to 1.")] = 0.5,
) -> None:
    """Segment images and write masks and overlays."""
    from contextlib import closing

    from rich.console import Console
    from rich.progress import track

    from ..core.errors import InputError
    from ..datasets.dataset import write_labels
    from ..runtime import Segmenter, open_source
    from ..runtime.sinks import refuse_overwrite
    from ..runtime.sinks.overwrite import WRITTEN

    if not (masks or overlay):
        raise InputError("predict: --no-masks and --no-overlay together leave nothing to write; drop one")
    refuse_overwrite([source], [out / folder for folder, wanted in zip(WRITTEN, (masks, overlay), strict=True) if wanted])
    with Segmenter(model, engine, threads, alpha, throughput=True) as segmenter, open_source(source) as opened:
        if opened.live:
            raise InputError(f"source {source}: a camera has no end; use: seg-edge run --sink FILE.mp4, or pass images")
        chosen = segmenter.engine
        print(about(model, segmenter))
        print(f"engine {chosen.name} {chosen.version} on {chosen.device} ({chosen.why})")
        write_labels(out, segmenter.labels)
        done = 0
        with closing(segmenter.stream(opened, mask=masks, overlay=overlay, max_frames=max_frames)) as results:
            for result in track(results, "predict", total=opened.count, console=Console(stderr=True), transient=True):
                if result.mask is not None:
                    _write(out / "masks" / f"{result.name}.png", result.mask)
                if result.overlay_bgr is not None:
                    _write(out / "overlays" / f"{result.name}.jpg", result.overlay_bgr)
                done += 1
        skipped = f", {opened.corrupt} corrupt skipped" if opened.corrupt else ""
    print(f"{out}: {done} images{skipped}")


def _write(path: Path, image: npt.NDArray[Any]) -> None:
    import cv2

    from ..core.artefact import atomic_path

    data = cv2.imencode(path.suffix, image)[1]
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
