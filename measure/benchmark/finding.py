"""Resolves paths to model files, and chooses the engines to measure each file on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...core.artefact import onnx_name
from ...core.errors import EngineError, InputError, ModelFileError
from ...core.shipped import shipped
from ...core.spec import PRECISIONS
from ...runtime.engines import AUTO, engine_class, engines
from ...runtime.modelfile.modelfile import read_spec
from ...runtime.modelfile.plan import FLAVOURS
from ...runtime.modelfile.planfile import find_plan, is_plan, read_plan


def find_models(paths: Iterable[str | Path], engine_names: Sequence[str] | None = None) -> list[Path]:
    """The model files of paths, in order, each once.

    A file is used as it is. Of an artefact folder, all ``model.PRECISION.onnx`` are used, and the engine file that this
    machine can run. Of any other folder, the artefact folders in it are used.

    Args:
        paths: Files, folders, and shipped models' names.
        engine_names: The requested engines; None is every engine. An engine file is used only if its engine is among
            them.

    Raises:
        ModelFileError: a missing path, or a folder without models.
        InputError: no paths.
    """
    files: dict[Path, None] = {}
    for path in map(shipped, paths):
        if not path.exists():
            raise ModelFileError(
                f"{path}: no such file or folder; expected an ONNX file or an artefact folder of: seg-edge export"
            )
        here = [path] if path.is_file() else _models_below(path, engine_names)
        if not here:
            expected = ", ".join(map(onnx_name, PRECISIONS))
            raise ModelFileError(
                f"{path}: neither this folder nor one in it holds a model ({expected}); write one with: seg-edge export"
            )
        files.update(dict.fromkeys(here))
    if not files:
        raise InputError("bench: no model given; pass an ONNX file, an artefact folder, or a folder of artefacts")
    return list(files)


def engines_of(files: Sequence[Path], names: Sequence[str] | None) -> dict[Path, list[str]]:
    """The engines that each file is measured on. An engine file runs on the engine that built it, named or not.

    A file is measured on the named engines that can open files of its kind. If none of them can, the file gets a row
    for each named engine, with the reason.

    Raises:
        UnknownNameError: no such engine.
        EngineError: an ONNX file without named engines, and no engine is available.
    """
    for name in names or ():
        if name != AUTO:
            engine_class(name)  # raises for an unknown name
    usable: list[str] = []
    if any(not is_plan(path) for path in files) and (not names or AUTO in names):
        known = engines(".onnx")
        usable = [row.name for row in known if row.available]
        if not usable:
            raise EngineError("no engine is available: " + "; ".join(f"{row.name}: {row.reason}" for row in known))
    return {path: _engines_of_file(path, names, usable) for path in files}


def model_names(files: Iterable[Path]) -> Iterator[str]:
    """The names of files in the rows of the report; for a file that can't be read, the file's name."""
    for path in files:
        try:
            yield read_spec(path).name
        except ModelFileError:
            yield path.stem


def _engines_of_file(path: Path, names: Sequence[str] | None, usable: Sequence[str]) -> list[str]:
    chosen: list[str] = []
    for asked in names or (None,):
        if asked is None or asked == AUTO:
            chosen += [_flavour(path)] if is_plan(path) else usable[: 1 if asked else None]
        elif is_plan(path) == (asked in FLAVOURS):
            chosen.append(asked)
    return [*dict.fromkeys(chosen or [name for name in names or () if name != AUTO])]


def _flavour(path: Path) -> str:
    """The engine that built an engine file; without a readable record ``auto``, and the row gives the reason."""
    try:
        return read_plan(path)[1].flavour
    except ModelFileError:
        return AUTO


def _models_below(folder: Path, engine_names: Sequence[str] | None) -> list[Path]:
    """The models of an artefact folder, or of the artefact folders in it."""
    return _models_in(folder, engine_names) or [
        file
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and inner.name[:1] != "."
        for file in _models_in(inner, engine_names)
    ]


def _models_in(folder: Path, engine_names: Sequence[str] | None) -> list[Path]:
    graphs = [folder / name for name in map(onnx_name, PRECISIONS) if (folder / name).is_file()]
    return graphs + [plan for plan in _plans_in(folder, engine_names) if graphs]


def _plans_in(folder: Path, engine_names: Sequence[str] | None) -> Iterator[Path]:
    """One engine file of each kind that this machine can run; other files would be rows without figures."""
    for name in FLAVOURS:
        kind = engine_class(name)
        if (not engine_names or {AUTO, name} & {*engine_names}) and kind.available().ok:
            plan = find_plan(folder, getattr(kind, "host")())  # noqa: B009  # only these have one
            if plan is not None:
                yield plan
