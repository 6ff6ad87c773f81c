"""Engine files of TensorRT and TensorRT-RTX: their records are read and checked before TensorRT is called."""

from __future__ import annotations

from pathlib import Path

from ...core.artefact import SPEC_FILE, sha256
from ...core.errors import EngineError, ModelFileError
from ...core.spec import ModelSpec
from .plan import PLAN_SUFFIXES, PlanHost, PlanRecord, build_command, mismatches, plan_records


def is_plan(path: str | Path) -> bool:
    """Whether a path has the suffix of an engine file."""
    return Path(path).suffix in PLAN_SUFFIXES


def read_plan(path: str | Path) -> tuple[ModelSpec, PlanRecord]:
    """The spec and the record of an engine file, from the ``model.json`` in the same folder.

    Raises:
        ModelFileError: the file is missing, or its record is missing or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file; expected an engine file written by: seg-edge build")
    beside = path.parent / SPEC_FILE
    remedy = f"copy {SPEC_FILE} together with the engine, or build it again: seg-edge build"
    try:
        spec = ModelSpec.from_json(beside.read_text(encoding="utf-8"), beside)
    except OSError as error:
        raise ModelFileError(
            f"{beside}: can't be read ({error.strerror}): without it nobody knows what {path.name} is; {remedy}"
        ) from error
    data = plan_records(spec).get(path.name)
    if data is None:
        known = ", ".join(sorted(plan_records(spec))) or "none"
        raise ModelFileError(f"{beside}: says nothing about {path.name} (it knows: {known}); {remedy}")
    record = PlanRecord.from_dict(data, str(beside))
    return spec.with_(precision=record.precision), record


def find_plan(folder: str | Path, host: PlanHost) -> Path | None:
    """The first engine file in an artefact folder that a machine can run, INT8 first; None if there is none."""
    folder = Path(folder)
    try:
        spec = ModelSpec.from_json((folder / SPEC_FILE).read_text(encoding="utf-8"))
        records = {name: PlanRecord.from_dict(data) for name, data in plan_records(spec).items()}
    except (OSError, ModelFileError):
        return None
    order = ("int8", "fp16", "fp32")
    fitting = [name for name, record in records.items() if (folder / name).is_file() and not mismatches(record, host)]
    fitting.sort(key=lambda name: (order.index(records[name].precision), name))
    return folder / fitting[0] if fitting else None


def check_plan(path: str | Path, record: PlanRecord, host: PlanHost) -> None:
    """Compares an engine file with its record, and the record with the machine.

    Raises:
        ModelFileError: the engine file differs from the one that was built, or the ONNX file has changed since.
        EngineError: the machine can't run the file. The text lists every mismatch: recorded value, found value, remedy.
    """
    path = Path(path)
    digest = sha256(path)
    if digest != record.sha256:
        raise ModelFileError(
            f"{path}: damaged or replaced: its sha256 is {digest[:12]}…, {SPEC_FILE} says {record.sha256[:12]}…; copy it, "
            f"or build it again: {build_command(record.onnx, record.flavour, 'force')}"
        )
    reasons = mismatches(record, host)
    if reasons:
        raise EngineError(f"engine {host.flavour}: {path} can't run here: " + ". ".join(map(str, reasons)))
    stale = path.parent / record.onnx
    if stale.is_file() and sha256(stale) != record.onnx_sha256:
        raise ModelFileError(
            f"{path}: built from another {record.onnx} than the one beside it (sha256 {record.onnx_sha256[:12]}…); "
            f"build it again: {build_command(stale, record.flavour)}"
        )
