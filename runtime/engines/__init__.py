"""Inference engines behind one base class, in one table."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from ...core.errors import EngineError, UnknownNameError
from ..modelfile import read_spec, resolve_model
from .base import Availability, Engine

__all__ = ["AUTO", "TABLE", "Availability", "Engine", "EngineInfo", "engine_class", "engines", "open_engine"]

#: The name that means: the fastest engine available.
AUTO = "auto"

_X86 = platform.machine().lower() in ("x86_64", "amd64")

#: Name → (module, class), fastest first; modules are imported when they are asked about. OpenVINO is about twice as fast as
#: ONNX Runtime on x86-64; elsewhere that has not been measured, so the engine that every installation has goes first.
TABLE: dict[str, tuple[str, str]] = dict(
    sorted(
        {
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


def engines() -> list[EngineInfo]:
    """Every engine, fastest first; one that is missing stays listed, with its reason."""
    states = ((name, engine_class(name).available()) for name in TABLE)
    return [EngineInfo(name, state.ok, state.reason, state.version) for name, state in states]


def open_engine(path: str | Path, engine: str = AUTO, threads: int | None = None) -> Engine:
    """Opens a model file or artefact folder with an engine.

    Args:
        path: An ONNX file that seg-edge exported, or an artefact folder.
        engine: A name of :data:`TABLE`, or ``"auto"``: the fastest one available. ``Engine.why`` says the choice.
            A model that the fastest engine can't open is an error; no other one is tried behind the user's back.
        threads: CPU threads; None is every core.

    Raises:
        ModelFileError: the file is missing, damaged or not exported by seg-edge.
        UnknownNameError: no such engine.
        EngineError: no engine is available, or this one can't open the model.
    """
    if engine == AUTO:
        known = engines()
        usable = [row for row in known if row.available]
        if not usable:
            raise EngineError("no engine is available: " + "; ".join(f"{row.name}: {row.reason}" for row in known))
        engine = usable[0].name
        why = f"the fastest available of {', '.join(row.name for row in known)}"
        skipped = [f"{row.name} is not: {row.reason}" for row in known[: known.index(usable[0])]]
        why = "; ".join([why, *skipped])
    else:
        why = "asked for"
    kind = engine_class(engine)
    path = resolve_model(path)
    opened = kind(path, read_spec(path), threads)
    opened.why = why
    return opened
