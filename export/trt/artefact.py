"""Engine files in an artefact: the build, the record in ``model.json``, and the row in the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...calib.graph import get_spec, load
from ...calib.trt_cache import TRT_CACHE_FILE
from ...core.artefact import REPORT_JSON, SPEC_FILE, onnx_name, sha256, write_text
from ...core.errors import InputError, ModelFileError
from ...core.progress import Progress, Silent
from ...core.report import Cells, Report
from ...core.shipped import shipped
from ...core.spec import PRECISIONS, ModelSpec
from ...runtime.machine.gpu import gpus
from ...runtime.modelfile.modelfile import FOLDER_ORDER
from ...runtime.modelfile.plan import PLAN_SUFFIXES, PlanRecord, plan_records, with_plan
from ..report.document import ExportReport
from ..report.rows import StepRow
from .backend import open_backend
from .build import build_file
from .dla import DlaReport, dry_run
from .options import BuildOptions
from .record import plan_name, record


@dataclass(repr=False)
class BuildReport(Report):
    """An engine file.

    Attributes:
        path: The engine file.
        record: Its record in ``model.json``.
        reused: Whether an existing file of the same model and options was reused.
    """

    path: Path
    record: PlanRecord
    reused: bool

    def to_dict(self) -> dict[str, Any]:
        """The content of ``build --json``."""
        return {"file": str(self.path), "reused": self.reused, "record": self.record.to_dict()}

    def title(self) -> str:
        return f"{self.path}: {self.record.precision}, {self.record.title}{', reused' if self.reused else ''}"

    def table(self) -> Cells:
        record = self.record
        rows = [
            ["engine", f"{self.path} ({self.path.stat().st_size / 1e6:.2f} MB{', reused' if self.reused else ''})"],
            ["built by", record.title + (f", CUDA {record.cuda}" if record.cuda else "") + f", on {record.gpu or 'no GPU'}"],
            ["runs on", "compute capability " + (", ".join(record.compute_capabilities) or "any that it supports")],
            ["from", f"{record.onnx} ({record.precision}), sha256 {record.onnx_sha256[:12]}…"],
        ]
        if record.dla_core is not None:
            left = record.options.get("gpu_layers", [])
            rows.append(["left to the GPU", f"{len(left)} layers: {', '.join(left)}" if left else "no layer"])
        if in_float := record.options.get("float_layers"):
            rows.append(["in float", f"{len(in_float)} convolutions: {', '.join(in_float)}"])
        return ["", ""], rows


def graph_of(model: Path, precision: str | None, *, dla: bool) -> Path:
    """The ONNX file to build from.

    Args:
        model: An ONNX file, or an artefact folder.
        precision: Which model of a folder; None is the smallest model of the folder.
        dla: Whether the graph is for DLA, which rejects Q/DQ and gets the fp32 graph.

    Raises:
        InputError: no such precision, or the folder has no model of that precision.
    """
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"`precision`: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    if not model.is_dir():
        if not model.is_file():
            raise InputError(f"{model}: no such file; expected an ONNX file or an artefact folder of seg-edge export")
        return model
    wanted = ["fp32"] if dla else [precision] if precision else ["int8", "fp16", "fp32"]
    for name in wanted:
        if (model / onnx_name(name)).is_file():
            return model / onnx_name(name)
    there = [name for name in FOLDER_ORDER if (model / onnx_name(name)).is_file()]
    raise InputError(
        f"{model}: no {onnx_name(wanted[0])} here (it has: {', '.join(map(onnx_name, there)) or 'no model'}); "
        f"export it again{f' with `{wanted[0]}=True`' if wanted[0] != 'fp32' else ''}"
    )


def build_engine(
    model: str | Path,
    options: BuildOptions,
    out: str | Path | None = None,
    precision: str | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> BuildReport:
    """Builds an engine file and records it in the ``model.json`` beside it (and in the report of an artefact).

    Args:
        model: An ONNX file of seg-edge, an artefact folder, or the name of a shipped model.
        out: The engine file, ``.engine`` or ``.plan``. None is a name with precision and device, beside the graph; for
            a shipped model, in a folder of its name.
        precision: Which model of a folder; None is the smallest. With DLA, ``"int8"`` uses the artefact's cache.
        force: Build even if the same engine exists.
        progress: Receives lines and counts; None is silent.

    Raises:
        InputError: ``out`` is not an engine file (``.engine``, ``.plan``), or is the model itself.
        InputError, ModelFileError, EngineError: see :func:`seg_edge.export.trt.build_file`.
    """
    progress = progress or Silent()
    source = shipped(model)
    path = graph_of(source, precision, dla=options.dla_core is not None)
    # Engine files of a shipped model go into the current folder, not into the installed package.
    folder = path.parent if source == Path(model) else Path(model)
    if out is not None:
        _check_out(Path(out), path)
    options = _with_cache(options, path, precision)
    backend = open_backend(options)
    spec = get_spec(load(path), path)
    here = gpus()
    expected = record(path, spec.precision, "", options, backend, here)
    local = here[0]["compute_capability"] if here else None
    target = Path(out) if out is not None else folder / plan_name(expected.precision, options, backend.version, local)
    known = _spec_beside(target.parent, spec)
    old, reason = _reusable(known, target, expected)
    if old is not None and not force:
        progress.say(f"engine: reusing {target.name}")
        return BuildReport(target, old, True)
    progress.say(f"engine: building {target.name} with {backend.title}: {'as asked for' if force else reason}")
    made = build_file(path, target, options, progress)
    known = with_plan(known, target.name, made)
    write_text(target.parent / SPEC_FILE, known.to_json() + "\n")
    if (target.parent / REPORT_JSON).is_file():
        _report(target, made, known)
    return BuildReport(target, made, False)


def dla_report(model: str | Path, precision: str | None = None) -> DlaReport:
    """The layers of a model's fp32 graph that DLA would run; see :func:`graph_of`."""
    graph = graph_of(shipped(model), precision, dla=True)
    return DlaReport(str(model), graph, dry_run(load(graph)))


def engine_row(target: Path, made: PlanRecord) -> StepRow:
    """The report's row of an engine file."""
    step = StepRow.of("engine", target, made.precision)
    where = ", ".join(made.compute_capabilities) or "every GPU that it supports"
    step.notes.append(f"{made.title} for compute capability {where}, built from {made.onnx}")
    return step


def engine_gate(precision: str) -> str:
    """Name of the gate for an export's engine file, measured where the engine can run."""
    return f"engine {precision}: parity"


def earlier(folder: Path, name: str, expected: PlanRecord) -> tuple[PlanRecord | None, str]:
    """The record of an engine file of an earlier export, if a new build would give the same engine.

    Args:
        folder: The artefact of that export, which may be missing.
        name: The engine's file name.
        expected: The record of a new build.

    Returns:
        The record and an empty text; or None and the reason for a new build.
    """
    if not (folder / SPEC_FILE).is_file():
        return None, "no such engine yet"
    try:
        known = ModelSpec.from_json((folder / SPEC_FILE).read_text(encoding="utf-8"), folder / SPEC_FILE)
    except ModelFileError as error:
        return None, str(error)
    return _reusable(known, folder / name, expected)


def changes(old: PlanRecord, new: PlanRecord) -> list[str]:
    """The differences between two records that make a rebuild necessary."""
    parts: dict[str, Callable[[PlanRecord], object]] = {
        "TensorRT": lambda r: r.title,
        "CUDA": lambda r: r.cuda,
        "GPU": lambda r: r.gpu,
        "compute capability": lambda r: " ".join(r.compute_capabilities) or "all",
        "precision": lambda r: r.precision,
        "version compatibility": lambda r: r.version_compatible,
        "hardware compatibility": lambda r: r.hardware,
        "DLA core": lambda r: r.dla_core,
        "workspace": lambda r: r.options.get("workspace_mib"),
        "fp16 base": lambda r: r.options.get("half_base", False),
        "seg-edge": lambda r: r.options.get("seg_edge"),
    }
    changed = [f"{name} changed ({get(old)} → {get(new)})" for name, get in parts.items() if get(old) != get(new)]
    if old.onnx_sha256 != new.onnx_sha256:
        changed.append(f"the graph {new.onnx} changed")
    if old.options.get("calibration_cache_sha256") != new.options.get("calibration_cache_sha256"):
        changed.append("the calibration cache changed")
    return changed


def _check_out(out: Path, model: Path) -> None:
    """Raises InputError if ``out`` is the graph itself, or has a name that no engine opens."""
    if out.suffix not in PLAN_SUFFIXES or out.is_dir():
        problem = "is a folder" if out.is_dir() else f"ends in {out.suffix!r}" if out.suffix else "has no suffix"
        near = out / "model.engine" if out.is_dir() else out.with_suffix(".engine")
        raise InputError(
            f"`out='{out}'`: {problem}; expected an engine file, *{' or *'.join(PLAN_SUFFIXES)}, such as {near}"
        )
    if out.exists() and out.samefile(model):
        raise InputError(f"`out='{out}'`: is the model that the engine is built from; choose another name")


def _with_cache(options: BuildOptions, path: Path, precision: str | None) -> BuildOptions:
    if options.dla_core is None or options.calibration_cache is not None or precision not in (None, "int8"):
        return options
    cache = path.parent / TRT_CACHE_FILE
    if cache.is_file():
        return replace(options, calibration_cache=cache)
    if precision == "int8":
        raise InputError(
            f"{cache}: no such file: INT8 on DLA needs scales; pass `calibration_cache`, or export it "
            "again with `int8=True`, `dla_cache=True` and `data`"
        )
    return options


def _spec_beside(folder: Path, spec: ModelSpec) -> ModelSpec:
    """The spec in a folder's model.json, or ``spec`` if there is none.

    Raises:
        ModelFileError: model.json describes another model.
    """
    file = folder / SPEC_FILE
    if not file.is_file():
        return spec
    known = ModelSpec.from_json(file.read_text(encoding="utf-8"), file)
    bare = [each.with_(provenance={}, precision="fp32") for each in (known, spec)]
    if bare[0] != bare[1]:
        raise ModelFileError(
            f"{file}: describes another model ({known.name}, not {spec.name}, or another size or set of classes); "
            "choose another folder for `out`"
        )
    return known


def _reusable(known: ModelSpec, target: Path, expected: PlanRecord) -> tuple[PlanRecord | None, str]:
    """The record of an existing engine file that a new build would equal; or None and the reason for a new build."""
    old, reason = _old_record(known, target)
    if old is None:
        return None, reason
    changed = changes(old, expected)
    if not changed and sha256(target) != old.sha256:
        changed = [f"{target.name} is not the file that was built"]
    return (None, ", ".join(changed)) if changed else (old, "")


def _old_record(known: ModelSpec, target: Path) -> tuple[PlanRecord | None, str]:
    if not target.is_file():
        return None, "no such engine yet"
    data = plan_records(known).get(target.name)
    if data is None:
        return None, f"{target.name} is there, but {SPEC_FILE} says nothing about it"
    try:
        return PlanRecord.from_dict(data), ""
    except ModelFileError as error:
        return None, str(error)


def _report(target: Path, made: PlanRecord, spec: ModelSpec) -> None:
    report = ExportReport.read(target.parent)
    report.spec = spec
    if any(step.file == target.name for step in report.steps):  # the gate belonged to the old engine
        report.gates = [gate for gate in report.gates if gate.name != engine_gate(made.precision)]
    report.steps = [step for step in report.steps if step.file != target.name]
    report.steps.append(engine_row(target, made))
    report.write_folder(target.parent)
