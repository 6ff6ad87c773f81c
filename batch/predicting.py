"""What a run of ``seg-edge predict`` will do, found out before a model is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.artefact import sha256
from ..core.errors import InputError
from ..core.options import several
from ..core.progress import Progress, Silent
from ..core.shipped import DEFAULT
from .inputs import Item, count_items, find_items, sharded
from .options import PredictOptions
from .remote import is_remote

if TYPE_CHECKING:
    from ..runtime.segmenter import Segmenter
    from .report import PredictReport
    from .running import Task


def predict(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    model: str | Path | Segmenter = DEFAULT,
    options: PredictOptions | None = None,
    *,
    engine: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> PredictReport:
    """Segments images and writes masks, overlays and annotation files.

    >>> report = predict(["street.png"], "masks", options=PredictOptions(formats=("mask", "csv")))
    >>> print(Path("masks/shares.csv").read_text().splitlines()[0][:26])
    image,height,width,sky,bui

    Args:
        sources: Images, videos, folders (with sub-folders), patterns such as ``in/**/*.jpg``, lists (``.txt``), and
            addresses such as ``s3://bucket/prefix``.
        out: Folder or address to write to: see :data:`.options.FORMATS`, ``classes.json`` and ``manifest.jsonl``.
        model: An exported ONNX file, an artefact folder, a shipped model's name, or an open segmenter (left open).
        options: What is written, which images are taken.
        engine, threads: See :class:`seg_edge.runtime.Segmenter`.
        progress: Receives the progress.

    Returns:
        The report. An image that can't be read is counted and named, and ends nothing.

    Raises:
        SourceError: a source is missing or has no images.
        InputError: the output can't be written, or ``resume`` is asked for with other options than before.
        ModelFileError, EngineError: the model can't be opened, or the engine failed.
    """
    given: list[str | Path] = several(sources)
    plan = Plan([str(source) for source in given], str(out), options or PredictOptions())
    from ..runtime.segmenter import Segmenter

    if plan.options.ray is not None:
        if isinstance(model, Segmenter):
            raise InputError("`ray`: every process opens the model itself; pass its path as `model`")
        return plan.run_on_ray(model, engine, progress)
    if isinstance(model, Segmenter):
        return plan.run(model, progress)
    with Segmenter(model, engine, threads, throughput=True, **plan.options.segmenting) as segmenter:
        return plan.run(segmenter, progress)


class Plan:
    """A run whose sources were found and counted, before a model is opened.

    Args:
        sources, out, options: See :func:`predict`.

    Raises:
        SourceError: a source is missing or has no images.
        SinkError: images of a source would be replaced.
    """

    def __init__(self, sources: Sequence[str], out: str, options: PredictOptions) -> None:
        from ..runtime.sinks.overwrite import refuse_overwrite

        self.sources, self.out, self.options = list(sources), out, options
        if not is_remote(out):
            files = [Path(out) / (form.split("/")[0]) for form in _folders(options)]
            refuse_overwrite([source for source in sources if not is_remote(source)], files)
        self._kept: list[Item] | None = None
        if any(map(is_remote, sources)):
            self._kept = list(self._find())  # an object store is listed once
        if self._kept is not None:
            count, self.videos = len(self._kept), any(item.is_video for item in self._kept)
        elif options.shard is None:
            count, self.videos = count_items(self.sources, None if is_remote(out) else Path(out))
        else:
            videos = [item.is_video for item in self._find()]
            count, self.videos = len(videos), any(videos)
        #: Number of images; None if the frames of a video are among them.
        self.count = None if self.videos else count
        if self.count is not None and options.max_frames is not None:
            self.count = min(self.count, options.max_frames)

    def run(self, segmenter: Segmenter, progress: Progress | None = None) -> PredictReport:
        """Runs it to its end. Ctrl-C ends it after the images that are in work, and leaves what is done to ``resume``.

        Raises: as :func:`predict`.
        """
        from .results import Results
        from .running import Run

        about = self._about(segmenter.spec.name, segmenter.engine.path)
        with Results(self.out, self.options, segmenter.labels, about) as results:
            tasks = self._tasks(results.done)
            return Run(tasks, self.count, self.out, self.options, segmenter, results, progress or Silent()).run()

    def run_on_ray(self, model: str | Path, engine: str = "auto", progress: Progress | None = None) -> PredictReport:
        """Runs it on the cluster of ``options.ray``. Raises as :func:`predict`, and as :func:`.run_on_ray`."""
        from ..runtime.segmenter import Segmenter
        from .cluster import local_path, run_on_ray
        from .formats import formats_of
        from .results import Results

        path = local_path(model)
        with Segmenter(path, engine, 1, **self.options.segmenting) as opened:
            labels, name, file = opened.labels, opened.spec.name, opened.engine.path
        with Results(self.out, self.options, labels, self._about(name, file)) as results:
            done = run_on_ray(
                self._tasks(results.done), self.count, self.out, self.options, results, path, engine, progress or Silent()
            )
            results.finish(formats_of(self.options, labels))
        return done

    def _tasks(self, done: set[str]) -> Iterator[Task]:
        """The work, in order, without what is done."""
        number = 0
        for item in self._find():
            if not item.is_video:
                if item.path not in done:
                    yield number, item, None
                number += 1
                continue
            from ..runtime.sources.opening import open_source

            with open_source(item.path) as video:
                for index, frame in enumerate(video):
                    if f"{item.path}#{index}" not in done:
                        yield number, item, (index, frame.image_bgr)
                    number += 1

    def _find(self) -> Iterator[Item]:
        if self._kept is not None:
            return iter(self._kept)
        local = None if is_remote(self.out) else Path(self.out)
        return sharded(find_items(self.sources, local), self.options.shard)

    def _about(self, name: str, path: str | Path | None) -> dict[str, Any]:
        """What must be the same where a run goes on with an earlier one's results."""
        options = self.options
        return {
            "model": name,
            "sha256": sha256(path) if path and Path(path).is_file() else None,
            "formats": sorted(options.formats),
            "decode": options.decode,
            "alpha": options.alpha if "overlay" in options.formats else None,
            "tta": sorted(options.tta) or None,
            "tile": list(options.tile) if options.tile else None,
            "overlap": options.overlap,
            "confidence": options.confidence,
            "min_confidence": options.min_confidence,
            "below": options.below if options.min_confidence is not None else None,
            "shard": list(options.shard) if options.shard else None,
        }


def _folders(options: PredictOptions) -> list[str]:
    """The folders that the formats write into."""
    known = {"mask": "masks", "overlay": "overlays", "palette": "palette", "labelme": "labelme", "geojson": "geojson"}
    return [known[form] for form in options.formats if form in known] + ["confidence"] * (options.confidence is not None)
