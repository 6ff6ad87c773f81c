"""``seg-edge predict``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..batch.options import PredictOptions
from ..core.errors import InputError, SourceError
from ..core.shipped import DEFAULT, names
from .common import MODEL_HELP, UsageError, about, writable
from .derive import Fields, Values, derive
from .progress import Bars
from .reports import show
from .runtime_options import ENGINE, THREADS

if TYPE_CHECKING:
    from ..batch import PredictReport

#: Suffixes of models; other first words are sources.
_MODELS = (".onnx", ".pt", ".pth", ".ckpt", ".engine", ".trt", ".xml")


@derive(Fields(PredictOptions, defaults={"formats": None}))
def predict(
    values: Values,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL] SRC…",
            help="Images, videos, folders (with their sub-folders), patterns such as 'in/**/*.jpg', lists (.txt), addresses "
            f"such as s3://BUCKET/PREFIX. A model may come first: {MODEL_HELP}",
        ),
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="The same as SRC.")] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Output folder or address: results, classes.json, and manifest.jsonl with a line an image."),
    ] = None,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Write the format mask.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the format overlay.")] = True,
    engine: Annotated[str, ENGINE] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report here.", callback=writable)] = None,
) -> None:
    """Segment images in bulk: folders, lists, videos and buckets to masks."""
    model, given = _parted([*(sources or [])])
    given += source or []
    if not given:
        raise UsageError("no source; name an image, a folder, a video or a list: seg-edge predict images --out masks")
    if out is None:
        raise UsageError(f"--out is missing; add it: seg-edge predict {given[0]} --out masks")
    formats = values.given(PredictOptions)["formats"]
    if formats is None:
        formats = tuple(name for name, wanted in (("mask", masks), ("overlay", overlay)) if wanted)
        if not formats:
            raise InputError(
                "predict: --no-masks and --no-overlay together leave nothing to write; drop one, or add --format"
            )
    options = values.of(PredictOptions, formats=formats)
    from ..batch.predicting import Plan
    from ..runtime.engines.ahead import opened_ahead

    plan = Plan(given, out, options)
    if options.ray is not None:
        with Bars(start="starting Ray") as progress:
            report = plan.run_on_ray(model, engine, progress)
        _finish(report, out, json)
        return
    with opened_ahead(model, engine, threads, throughput=True) as opened_engine:
        # The rest is imported while the engine compiles the network.
        from ..runtime import Segmenter

        with Segmenter(opened_engine(), threads=threads, **options.segmenting) as segmenter:
            chosen = segmenter.engine
            print(about(model, segmenter))
            print(f"engine {chosen.name} {chosen.version} on {chosen.device} ({chosen.why})")
            try:
                with Bars(start="predict") as progress:
                    report = plan.run(segmenter, progress)
            except KeyboardInterrupt:
                print(f"{out}: stopped; go on with the same command and --resume")
                raise
    _finish(report, out, json)


def _finish(report: PredictReport, out: str, json: Path | None) -> None:
    show(report)
    if json:
        report.write(json)
    if report.failed:
        raise SourceError(
            f"predict: {report.failed} of {report.failed + report.images} images can't be read; they are listed in "
            f"{out}/{report.manifest}, and --resume tries them again"
        )


def _parted(words: list[str]) -> tuple[Path, list[str]]:
    """The model, and the sources."""
    first = words[0] if words else ""
    is_model = (
        first in names()
        or first.lower().endswith(_MODELS)
        or first.startswith(("http://", "https://"))
        or (Path(first) / "model.json").is_file()
    )
    return (Path(first), words[1:]) if words and is_model else (Path(DEFAULT), words)
