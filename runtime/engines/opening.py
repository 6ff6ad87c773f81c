"""Engines by name: which are available, which one is the fastest here, and opening a model with it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ...core.errors import EngineError, ModelFileError, UnknownNameError
from ...core.shipped import shipped
from ..machine import gpu as gpu_support
from ..modelfile.modelfile import read_spec, resolve_model
from ..modelfile.plan import FLAVOURS, PLAN_SUFFIXES, build_command
from ..modelfile.planfile import find_plan, is_plan, read_plan
from .base import Engine
from .table import AUTO, SERVERS, TABLE, choices, names


@dataclass(frozen=True)
class EngineInfo:
    """One row of the list of engines.

    Attributes:
        name: As :func:`open_engine` takes it.
        available: Whether it can be used here.
        reason: Why not, with the remedy; empty where it can.
        version: The backend's version, where it was found.
    """

    name: str
    available: bool
    reason: str
    version: str | None


def engine_class(name: str) -> type[Engine]:
    """The class behind a name; imports its module, not the backend.

    Raises:
        UnknownNameError: no such engine.
    """
    if name.startswith(SERVERS):
        from .http_v2 import server_engine  # here: nobody else needs an HTTP client

        return server_engine(name)
    if name not in TABLE:
        raise UnknownNameError("engine", name, choices())
    row = TABLE[name]
    kind: type[Engine] = getattr(import_module(row.module, __package__), row.symbol)
    return kind


def engines(reading: str | None = None) -> list[EngineInfo]:
    """Every engine, fastest first; one that is missing stays listed, with its reason.

    Args:
        reading: Only those that open files with this suffix (``".onnx"``, ``".engine"``).

    >>> [row.name for row in engines(".onnx") if row.available][-1]
    'onnxruntime'
    """
    return [_info(name) for name in names(reading)]


def open_engine(path: str | Path, engine: str = AUTO, threads: int | None = None, *, throughput: bool = False) -> Engine:
    """Opens a model file or artefact folder with an engine.

    >>> with open_engine("unet-s-camvid", "onnxruntime", threads=1) as engine:
    ...     engine.spec.input_hw, engine.output_shape
    ((352, 480), (11, 88, 120))

    Args:
        path: An ONNX file that seg-edge exported, an engine file that seg-edge built, an artefact folder, or the
            name of a shipped model.
        engine: A name of :data:`TABLE`, ``http://HOST:PORT/MODEL`` for a server of the Open Inference Protocol, or
            ``"auto"``: the fastest one available. ``Engine.why`` says the choice.
            A model that the fastest engine can't open is an error; no other engine is tried without a word.
        threads: CPU threads; None is every core.
        throughput: Compute several requests side by side, where the engine can; see :class:`Engine`.

    Raises:
        ModelFileError: the file is missing, damaged or not exported by seg-edge.
        UnknownNameError: no such engine.
        EngineError: no engine is available, or this one can't open the model.
    """
    path = shipped(path)
    if engine != AUTO:
        kind, why = engine_class(engine), "asked for"
        file = _file_for(kind, path)
        if file is None:
            raise ModelFileError(_no_file(kind, path))
    else:
        kind, file, why = _fastest(path)
    opened = kind(file, read_spec(file), threads, throughput)
    opened.why = why
    return opened


def _info(name: str) -> EngineInfo:
    state = engine_class(name).available()
    return EngineInfo(name, state.ok, state.reason, state.version)


def _fastest(path: Path) -> tuple[type[Engine], Path, str]:
    """The first engine that is available and has a file to open at ``path``; that file; and why it was taken."""
    if not path.is_dir():
        resolve_model(path)  # says what is missing
    candidates = [name for name in TABLE if path.is_dir() or (path.suffix in PLAN_SUFFIXES) == (name in FLAVOURS)]
    if is_plan(path):  # only the one that built it can open it
        flavour = read_plan(path)[1].flavour
        candidates = [name for name in candidates if name == flavour]
    gpu_here = bool(gpu_support.libcuda()["devices"])
    why = [f"the first available of {', '.join(candidates)}"]
    for name in candidates:
        # Asking imports the backend, so no engine is asked that can't be taken: none behind the first one that is
        # available, and none for a GPU where there is no GPU.
        if TABLE[name].gpu and not gpu_here:
            continue
        info = _info(name)
        if info.available and (file := _file_for(engine_class(name), path)) is not None:
            return engine_class(name), file, "; ".join(why)
        why.append(f"{name} is not: {info.reason or 'no engine file here that fits this GPU'}")
    infos = [_info(name) for name in candidates]
    raise EngineError("no engine is available: " + "; ".join(f"{info.name}: {info.reason}" for info in infos))


def _file_for(kind: type[Engine], path: Path) -> Path | None:
    """What an engine opens at a path: the path itself or a file of the folder; None if there is nothing for it.

    Raises:
        ModelFileError: nothing there at all.
    """
    if not path.is_dir():
        return (
            resolve_model(path) if (path.suffix in kind.suffixes) or not (is_plan(path) or kind.name in FLAVOURS) else None
        )
    if kind.name not in FLAVOURS:
        return resolve_model(path)
    host = getattr(kind, "host")()  # noqa: B009  # only these have one
    return find_plan(path, host)


def _no_file(kind: type[Engine], path: Path) -> str:
    if not path.is_dir():
        return f"{path}: engine {kind.name} opens {' and '.join(kind.suffixes)} files; take another `engine`"
    return (
        f"{path}: no engine file in this folder fits {kind.name} on this machine; build one: "
        f"{build_command(path, kind.name)}"
    )
