"""Replays an artefact's golden frames, to check that this machine computes the same masks as the export machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, SPEC_FILE, onnx_name
from ...core.errors import GateError, ModelFileError
from ...core.metrics import agreement
from ...core.progress import Progress, Silent
from ...core.report import Cells, Report
from ...core.shipped import shipped
from ...core.spec import ModelSpec
from ...runtime.engines import AUTO, engine_class, open_engine
from ...runtime.modelfile.plan import FLAVOURS, PlanHost, PlanRecord, mismatches, plan_records
from .golden import check_hash, masks, read_golden


@dataclass(frozen=True)
class Replay:
    """One golden frame on one model: share of pixels equal to the expected mask, and the required share."""

    file: str
    precision: str
    engine: str
    frame: str
    agreement: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.agreement >= self.limit

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": self.file, "precision": self.precision, "engine": self.engine, "frame": self.frame,
            "agreement": self.agreement, "limit": self.limit, "passed": self.passed,
        }  # fmt: skip


@dataclass(repr=False)
class VerifyReport(Report):
    """Whether this machine computes the same masks as the export machine.

    Attributes:
        artefact: The artefact, as the caller named it.
        rows: One row for each model and golden frame.
    """

    artefact: str
    rows: list[Replay]

    @property
    def passed(self) -> bool:
        """Whether every mask has the required share of equal pixels."""
        return all(row.passed for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``verify --json``."""
        return {"artefact": self.artefact, "passed": self.passed, "frames": [row.to_dict() for row in self.rows]}

    def title(self) -> str:
        ours = " (shipped with the package)" if shipped(self.artefact) != Path(self.artefact) else ""
        return f"{self.artefact}{ours}: golden frames on {', '.join(dict.fromkeys(row.engine for row in self.rows))}"

    def table(self) -> Cells:
        return ["file", "frame", "agreement %", "limit %", ""], [
            [row.file, row.frame, f"{100 * row.agreement:.3f}", f"{100 * row.limit:.3f}", "ok" if row.passed else "DIFFERS"]
            for row in self.rows
        ]

    def check(self) -> None:
        """Raises GateError if a mask differs; the text names the worst one."""
        broken = [row for row in self.rows if not row.passed]
        if broken:
            worst = min(broken, key=lambda row: row.agreement - row.limit)
            raise GateError(
                f"verify: {worst.file} on {worst.engine}: {worst.frame} agrees on {100 * worst.agreement:.3f} % of the "
                f"pixels, expected at least {100 * worst.limit:.3f} % ({len(broken)} of {len(self.rows)} replays differ); "
                "this machine or engine computes something else: try another `engine`, or export on this machine"
            )


def replay(
    folder: str | Path, engine: str = AUTO, threads: int | None = None, progress: Progress | None = None
) -> list[Replay]:
    """Checks every file of an artefact against its hash, then replays the golden frames.

    Args:
        folder: An artefact folder, or the name of a shipped model.
        engine: The engine to replay on. ``"tensorrt"`` and ``"rtx"`` replay their engine files. ``"auto"`` is the fastest
            available engine for the ONNX files, and all engine files that fit this machine's GPU.
        threads: CPU threads; None is every core.
        progress: Receives lines and counts; None is silent.

    Returns:
        One row for each model and frame. A mask that differs is a row that did not pass.

    Raises:
        ModelFileError: not an artefact, a file is missing or damaged, or a model has no golden masks; the text names it.
        UnknownNameError, EngineError: see :func:`seg_edge.runtime.engines.open_engine`.
    """
    folder = shipped(folder)
    models = check_files(folder)
    golden = read_golden(folder)
    jobs: list[tuple[str, Path, str]] = []  # precision, file, engine
    for precision in golden.masks:
        if precision not in models:
            raise ModelFileError(f"{folder / REPORT_JSON}: lists no {precision} model, golden/ has its masks; export again")
        if engine not in FLAVOURS:
            jobs.append((precision, models[precision], engine))
    for precision, file in models.items():
        if precision not in golden.masks:
            raise ModelFileError(f"{file}: golden/ has no {precision} masks to replay it against; copy the artefact again")
    jobs += _plans(folder, engine)
    rows: list[Replay] = []
    for precision, file, name in (progress or Silent()).track(jobs, "golden frames"):
        if precision not in golden.masks:
            raise ModelFileError(
                f"{file}: is {precision}, and golden/ has no masks of that precision; export again with `{precision}=True`"
            )
        expected, least = golden.masks[precision], golden.min_agreement[precision]
        with open_engine(file, name, threads) as opened:
            for frame, mask in zip(golden.frames, masks(opened, list(golden.frames.values())), strict=True):
                rows.append(Replay(file.name, precision, opened.name, frame, agreement(mask, expected[frame]), least))
    return rows


def _plans(folder: Path, engine: str) -> list[tuple[str, Path, str]]:
    """Precision, file and flavour of the engine files to replay.

    Raises:
        ModelFileError: ``engine`` is a flavour, and the artefact has no engine file of that flavour.
    """
    spec = ModelSpec.from_json((folder / SPEC_FILE).read_text(encoding="utf-8"), folder / SPEC_FILE)
    records = {name: PlanRecord.from_dict(data, str(folder / SPEC_FILE)) for name, data in plan_records(spec).items()}
    jobs: list[tuple[str, Path, str]] = []
    for flavour in FLAVOURS:
        if engine not in (AUTO, flavour):
            continue
        mine = {name: record for name, record in records.items() if record.flavour == flavour}
        host = _host(flavour)
        fitting = [name for name, record in mine.items() if host is not None and not mismatches(record, host)]
        if engine == flavour and not mine:
            raise ModelFileError(
                f"{folder}: has no engine file of {FLAVOURS[flavour][1]}; build one: "
                f"seg-edge build {folder} `engine='{flavour}'`"
            )
        # For an engine that the caller named, an unsuitable file is opened too: the error gives the reason.
        names = fitting or list(mine)[:1] if engine == flavour else fitting
        jobs += [(mine[name].precision, folder / name, flavour) for name in names]
    return jobs


def _host(flavour: str) -> PlanHost | None:
    """Versions and GPU of this machine for engine files of a flavour; None if it can't run any."""
    kind = engine_class(flavour)
    return getattr(kind, "host")() if kind.available().ok else None  # noqa: B009  # only these two have one


def check_files(folder: Path) -> dict[str, Path]:
    """Compares the models with the hashes in the report, and the spec with the spec in the report.

    Returns:
        The model files by precision.

    Raises:
        ModelFileError: not an artefact, or a file is missing or damaged.
    """
    report = folder / REPORT_JSON
    if not report.is_file():
        problem = "no such folder" if not folder.exists() else f"no {REPORT_JSON} here"
        raise ModelFileError(f"{folder}: {problem}; expected an artefact folder, as seg-edge export writes it")
    try:
        data = json.loads(report.read_text(encoding="utf-8"))
        listed = {str(step["file"]): str(step["sha256"]) for step in data["steps"] if step["file"]}
        precisions = {str(step["file"]): str(step["precision"]) for step in data["steps"] if step["file"]}
        spec = data["spec"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{report}: damaged ({type(error).__name__}: {error}); copy the artefact again") from error
    for file, expected in listed.items():
        check_hash(folder / file, expected, str(report))
    for precision in set(precisions.values()):
        if onnx_name(precision) not in listed:
            raise ModelFileError(f"{report}: damaged (no {onnx_name(precision)}); copy the artefact again")
    try:
        stored = (folder / SPEC_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise ModelFileError(f"{folder / SPEC_FILE}: can't be read ({error.strerror}); copy the artefact again") from error
    if ModelSpec.from_json(stored, folder / SPEC_FILE).to_dict() != ModelSpec.from_dict(spec).to_dict():
        raise ModelFileError(
            f"{folder / SPEC_FILE}: damaged or replaced: it is not the spec of {report}; copy the artefact again"
        )
    # Engine files and IR only have their hashes checked.
    return {precision: folder / file for file, precision in precisions.items() if file == onnx_name(precision)}
