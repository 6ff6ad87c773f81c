"""Opens models with engines by name; lists the available engines and chooses the fastest."""

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
        name: The name for :func:`open_engine`.
        available: Whether the engine can be used on this machine.
        reason: Why it can't be used, with the remedy; empty if it can.
        version: Version of the backend; None if unknown.
    """

    name: str
    available: bool
    reason: str
    version: str | None


def engine_class(name: str) -> type[Engine]:
    """The class of an engine by name; imports the engine's module, not the backend.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name.startswith(SERVERS):
        from .http_v2 import server_engine  # late, because other engines need no HTTP client

        return server_engine(name)
    if name not in TABLE:
        raise UnknownNameError("engine", name, choices())
    row = TABLE[name]
    kind: type[Engine] = getattr(import_module(row.module, __package__), row.symbol)
    return kind


def engines(reading: str | None = None) -> list[EngineInfo]:
    """All engines, fastest first. Unavailable engines are listed with the reason.

    Args:
        reading: List only engines that open files with this suffix (``".onnx"``, ``".engine"``).

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
            ``"auto"``: the fastest available engine. ``Engine.why`` states the reason for the choice. If the chosen
            engine can't open the model, an error is raised; there is no silent fallback to another engine.
        threads: CPU threads; None is every core.
        throughput: Compute several requests in parallel, if the engine supports it; see :class:`Engine`.

    Raises:
        ModelFileError: the file is missing, damaged or not exported by seg-edge.
        UnknownNameError: the engine's name is unknown.
        EngineError: no engine is available, or the engine can't open the model.
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
    """The first available engine that can open a file at ``path``, the file, and the reason for the choice."""
    if not path.is_dir():
        resolve_model(path)  # raises if there is no model
    candidates = [name for name in TABLE if path.is_dir() or (path.suffix in PLAN_SUFFIXES) == (name in FLAVOURS)]
    if is_plan(path):  # only the flavour that built the file can open it
        flavour = read_plan(path)[1].flavour
        candidates = [name for name in candidates if name == flavour]
    gpu_here = bool(gpu_support.libcuda()["devices"])
    why = [f"the first available of {', '.join(candidates)}"]
    for name in candidates:
        # The check imports the backend, so engines that can't be chosen are not checked: those after the first
        # available one, and GPU engines on a machine without a GPU.
        if TABLE[name].gpu and not gpu_here:
            continue
        info = _info(name)
        if info.available and (file := _file_for(engine_class(name), path)) is not None:
            return engine_class(name), file, "; ".join(why)
        why.append(f"{name} is not: {info.reason or 'no engine file here that fits this GPU'}")
    infos = [_info(name) for name in candidates]
    raise EngineError("no engine is available: " + "; ".join(f"{info.name}: {info.reason}" for info in infos))


def _file_for(kind: type[Engine], path: Path) -> Path | None:
    """The file that an engine opens for a path: the path itself or a file in the folder; None if there is none.

    Raises:
        ModelFileError: the path does not exist, or the folder holds no model.
    """
    if not path.is_dir():
        return (
            resolve_model(path) if (path.suffix in kind.suffixes) or not (is_plan(path) or kind.name in FLAVOURS) else None
        )
    if kind.name not in FLAVOURS:
        return resolve_model(path)
    host = getattr(kind, "host")()  # noqa: B009  # only the TensorRT engines have this method
    return find_plan(path, host)


def _no_file(kind: type[Engine], path: Path) -> str:
    if not path.is_dir():
        return f"{path}: engine {kind.name} opens {' and '.join(kind.suffixes)} files; take another `engine`"
    return (
        f"{path}: no engine file in this folder fits {kind.name} on this machine; build one: "
        f"{build_command(path, kind.name)}"
    )
