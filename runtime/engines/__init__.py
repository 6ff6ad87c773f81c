"""Inference engines behind one base class, in one table."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ...core.errors import EngineError, ModelFileError, UnknownNameError
from ...core.shipped import shipped
from ..modelfile.modelfile import read_spec, resolve_model
from ..modelfile.plan import FLAVOURS, PLAN_SUFFIXES
from ..modelfile.planfile import find_plan, is_plan, read_plan
from .base import Availability, Engine

__all__ = ["AUTO", "TABLE", "Availability", "Engine", "EngineInfo", "engine_class", "engines", "open_engine"]

#: The name that means: the fastest engine available.
AUTO = "auto"

_X86 = platform.machine().lower() in ("x86_64", "amd64")

#: Name → (module, class), fastest first; modules are imported when they are asked about. GPUs come before CPUs; TensorRT
#: opens engine files only. OpenVINO is about twice as fast as ONNX Runtime on x86-64; elsewhere that has not been measured,
#: so the engine that every installation has goes first.
TABLE: dict[str, tuple[str, str]] = dict(
    sorted(
        {
            "tensorrt": (".tensorrt", "TensorRtEngine"),
            "rtx": (".tensorrt", "TensorRtRtxEngine"),
            "onnxruntime-cuda": (".onnxruntime_cuda", "OnnxRuntimeCudaEngine"),
            "openvino": (".openvino", "OpenVinoEngine"),
            "onnxruntime": (".onnxruntime", "OnnxRuntimeEngine"),
        }.items(),
        key=lambda row: row[0] == "openvino" and not _X86,
    )
)


@dataclass(frozen=True)
class EngineInfo:
    """One row of the list of engines."""

    name: str
    available: bool
    reason: str
    version: str | None


def engine_class(name: str) -> type[Engine]:
    """The class behind a name; imports its module, not the backend.

    Raises:
        UnknownNameError: no such engine.
    """
    if name not in TABLE:
        raise UnknownNameError("engine", name, [AUTO, *TABLE])
    module, symbol = TABLE[name]
    found: type[Engine] = getattr(import_module(module, __name__), symbol)
    return found


def engines(reading: str | None = None) -> list[EngineInfo]:
    """Every engine, fastest first; one that is missing stays listed, with its reason.

    Args:
        reading: Only those that open files with this suffix (``".onnx"``, ``".engine"``).
    """
    names = [name for name in TABLE if reading is None or reading in engine_class(name).suffixes]
    states = ((name, engine_class(name).available()) for name in names)
    return [EngineInfo(name, state.ok, state.reason, state.version) for name, state in states]


def open_engine(path: str | Path, engine: str = AUTO, threads: int | None = None, *, throughput: bool = False) -> Engine:
    """Opens a model file or artefact folder with an engine.

    Args:
        path: An ONNX file that seg-edge exported, an engine file that seg-edge built, an artefact folder, or the
            name of a shipped model.
        engine: A name of :data:`TABLE`, or ``"auto"``: the fastest one available. ``Engine.why`` says the choice.
            A model that the fastest engine can't open is an error; no other one is tried behind the user's back.
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


def _fastest(path: Path) -> tuple[type[Engine], Path, str]:
    """The first engine that is available and has a file to open at ``path``; that file; and why it was taken."""
    if not path.is_dir():
        resolve_model(path)  # says what is missing
    known = [
        row for row in engines() if path.is_dir() or (path.suffix in PLAN_SUFFIXES) == (row.name in FLAVOURS)
    ]  # fmt: skip
    if is_plan(path):  # only the one that built it can open it
        flavour = read_plan(path)[1].flavour
        known = [row for row in known if row.name == flavour]
    from ..machine.gpu import libcuda  # here: it asks about the machine, which asks about engines

    gpu_here = bool(libcuda()["devices"])
    why = [f"the first available of {', '.join(row.name for row in known)}"]
    for row in known:
        kind = engine_class(row.name)
        if row.available and (file := _file_for(kind, path)) is not None:
            return kind, file, "; ".join(why)
        if gpu_here or kind.device_kind != "GPU":  # elsewhere the reason is always the same one
            why.append(f"{row.name} is not: {row.reason or 'no engine file here that fits this GPU'}")
    raise EngineError("no engine is available: " + "; ".join(f"{row.name}: {row.reason}" for row in known))


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
        return f"{path}: engine {kind.name} opens {' and '.join(kind.suffixes)} files; take another --engine"
    return (
        f"{path}: no engine file in this folder fits {kind.name} on this machine; build one: "
        f"seg-edge build {path} --engine {kind.name}"
    )
