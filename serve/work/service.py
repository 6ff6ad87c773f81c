"""What the routes share: the models, the codec threads, limits, metrics, and whether the service is ready."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.cpu import resolve_threads
from ...core.errors import InputError
from ...core.shipped import DEFAULT
from ...runtime import Segmenter
from .errors import ApiError, busy
from .metrics import Metrics
from .model import ServedModel
from .options import MIB, ServeOptions, read_token
from .pool import Budget, CodecPool
from .runs import ServedRun, name_sources

if TYPE_CHECKING:
    from starlette.types import Scope

#: A model's file, folder or shipped name, or an open segmenter.
Model = str | Path | Segmenter
#: One model, several by their own names, or by names given.
Models = Model | Iterable[Model] | Mapping[str, Model] | None

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def name_models(models: Models) -> dict[str, Model]:
    """Names models: a shipped one by its name, an artefact by its folder's, a file by its own without the suffix.

    >>> name_models(["unet-s-camvid", "night=runs/a/model.int8.onnx"])
    {'unet-s-camvid': 'unet-s-camvid', 'night': 'runs/a/model.int8.onnx'}

    Args:
        models: A text may be ``NAME=PATH``. None is the shipped model.

    Raises:
        InputError: two models of one name, or a name that can't stand in an address.
    """
    if models is None:
        models = DEFAULT
    if isinstance(models, Mapping):
        pairs = list(models.items())
    else:
        every = [models] if isinstance(models, (str, Path, Segmenter)) else list(models)
        pairs = [_named(model) for model in every]
    named: dict[str, Model] = {}
    for name, model in pairs:
        if name in named:
            raise InputError(f"`models`: two are called {name}; give one another name: NAME=PATH")
        if not _NAME.fullmatch(name):
            raise InputError(f"`models`: {name!r} can't be a name; use letters, digits, dot, dash, underscore: NAME=PATH")
        named[name] = model
    if not named:
        raise InputError("`models`: expected at least one model")
    return named


def _named(model: Model) -> tuple[str, Model]:
    if isinstance(model, Segmenter):
        return model.spec.name, model
    text = str(model)
    name, sign, path = text.partition("=")
    if sign and not Path(text).exists():
        return name, path
    return re.sub(r"\.(onnx|engine|plan)$", "", Path(text).resolve().name), model


class Service:
    """The state of one application.

    Args:
        models: See :func:`name_models`.
        options: See :class:`ServeOptions`.
    """

    def __init__(self, models: Models, options: ServeOptions) -> None:
        self.options = options
        self.token = read_token(options.token_file)
        self._sources = name_models(models)
        self.models: dict[str, ServedModel] = {}
        self.metrics = Metrics()
        threads = options.codec_threads or resolve_threads(None) + 2
        self.pool = CodecPool(threads, options.queue, options.timeout)
        #: Bytes of bodies that are in memory.
        self.bodies = Budget(max(4 * options.max_body, 64 * MIB))
        self.draining = False
        self._addresses = name_sources(options.sources)
        #: Sources that are segmented here, by name.
        self.runs: dict[str, ServedRun] = {}
        #: Why the models could not be opened.
        self.failure: Exception | None = None
        self._loading: asyncio.Task[None] | None = None
        self.metrics.in_flight.set_function(lambda: self.pool.accepted)

    @property
    def ready(self) -> bool:
        """All models are opened and warmed up, and the service isn't draining."""
        return len(self.models) == len(self._sources) and not self.draining

    @property
    def names(self) -> list[str]:
        return list(self._sources)

    async def start(self) -> None:
        """Begins to open the models; the service answers meanwhile that it isn't ready."""
        self._loading = asyncio.create_task(self._load())

    async def loaded(self) -> None:
        """Waits until the models are open.

        Raises:
            SegEdgeError: one can't be opened.
        """
        if self._loading is not None:
            await asyncio.shield(self._loading)
        if self.failure is not None:
            raise self.failure

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            opened = {name: await loop.run_in_executor(None, self._open, name) for name in self._sources}
            for name, address in self._addresses.items():
                self.runs[name] = await loop.run_in_executor(None, self._begin, name, address)
        except Exception as error:
            self.failure = error
        else:
            self.models = opened

    def _open(self, name: str) -> ServedModel:
        source, options = self._sources[name], self.options
        segmenter = source
        if not isinstance(segmenter, Segmenter):
            segmenter = Segmenter(segmenter, options.engine, options.threads, throughput=not options.latency)
        segmenter.warmup()
        return ServedModel(name, segmenter)

    def _begin(self, name: str, address: str) -> ServedRun:
        source, options = next(iter(self._sources.values())), self.options
        # A segmenter of its own: the service's computes requests at the same time.
        path = source.engine.path if isinstance(source, Segmenter) else source
        return ServedRun(name, address, Segmenter(path, options.engine, options.threads))

    def drain(self) -> None:
        """Takes no more requests, and sends the viewers of runs away, whose streams would not end."""
        self.draining = True
        for run in self.runs.values():
            run.hide()

    async def close(self) -> None:
        """Lets the threads end and closes the models."""
        self.drain()
        if self._loading is not None:
            await self._loading
        loop = asyncio.get_running_loop()
        for run in self.runs.values():
            await loop.run_in_executor(None, run.close)
        await loop.run_in_executor(None, self.pool.close)
        for name, model in self.models.items():
            if not isinstance(self._sources[name], Segmenter):  # those are the caller's
                model.close()

    def check_ready(self) -> None:
        """Raises ApiError unless requests can be answered."""
        if self.draining:
            raise busy("draining", "the service is closing; ask another one")
        if self.failure is not None:
            raise ApiError("internal", f"the models could not be opened: {self.failure}")
        if not self.models:
            raise busy("starting", "the models are being opened; try again in a moment")

    def model(self, scope: Scope) -> ServedModel:
        """The model that an address names; the first one where it names none.

        Raises:
            ApiError: ``unknown_model``, or not ready.
        """
        self.check_ready()
        name = scope.get("path_params", {}).get("model") or next(iter(self.models))
        if name not in self.models:
            raise ApiError("unknown_model", f"no model {name[:100]!r} here; there are: {', '.join(self.models)}")
        return self.models[name]
