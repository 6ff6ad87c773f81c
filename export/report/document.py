"""The report of an export: its rows, as JSON and as Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, REPORT_MD, write_json, write_text
from ...core.errors import GateError, ModelFileError
from ...core.report import Cells, Report
from ...core.spec import ModelSpec
from ..checks.ledger import EngineRow
from ..int8.fallback import Trial
from ..int8.sensitivity import LayerCost
from . import page
from .rows import Gate, StepRow


class BrokenGateError(GateError):
    """A step broke a limit; ``report`` holds all measurements until then, the broken gate last."""

    def __init__(self, text: str, report: ExportReport) -> None:
        super().__init__(text)
        self.report = report


@dataclass(repr=False)
class ExportReport(Report):
    """The measurements of an export.

    Attributes:
        spec: The spec of the artefact.
        steps: A row for each step and file.
        gates: The limits, in the order of their measurement.
        sensitivity: The cost of each convolution alone in INT8.
        fallback: The mixtures of float and INT8 that were tried.
        engines: The results of each file on each engine.
    """

    spec: ModelSpec
    steps: list[StepRow] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    sensitivity: list[LayerCost] = field(default_factory=list)
    fallback: list[Trial] = field(default_factory=list)
    engines: list[EngineRow] = field(default_factory=list)

    @property
    def first_bad_step(self) -> str | None:
        """The step of the first broken gate, e.g. ``"int8"`` or ``"int8 on openvino"``; None if all gates hold."""
        return next((gate.name.split(":")[0] for gate in self.gates if not gate.passed), None)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``export --json``."""
        data: dict[str, Any] = {
            "name": self.spec.name,
            "spec": self.spec.to_dict(),
            "steps": [step.to_dict() for step in self.steps],
            "gates": [gate.to_dict() for gate in self.gates],
            "engines": [row.to_dict() for row in self.engines],
            "first_bad_step": self.first_bad_step,
        }
        if self.sensitivity:
            data["sensitivity"] = [cost.to_dict() for cost in self.sensitivity]
        if self.fallback:
            data["fallback"] = [trial.to_dict() for trial in self.fallback]
        return data

    @classmethod
    def read(cls, folder: Path) -> ExportReport:
        """Reads the ``report.json`` of an artefact.

        Raises:
            ModelFileError: missing, or damaged.
        """
        path = folder / REPORT_JSON
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                spec=ModelSpec.from_dict(data["spec"]),
                steps=[StepRow.from_dict(row) for row in data["steps"]],
                gates=[Gate.from_dict(row) for row in data["gates"]],
                # Absent in old reports, and in reports without INT8.
                sensitivity=[LayerCost.from_dict(row) for row in data.get("sensitivity", [])],
                fallback=[Trial.from_dict(row) for row in data.get("fallback", [])],
                engines=[EngineRow.from_dict(row) for row in data.get("engines", [])],
            )
        except OSError as error:
            raise ModelFileError(
                f"{path}: can't be read ({error.strerror}); expected an artefact of seg-edge export"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ModelFileError(f"{path}: damaged ({type(error).__name__}: {error}); export the model again") from error

    def add_gate(self, gate: Gate, text: str) -> None:
        """Records a gate.

        Raises:
            BrokenGateError: the gate is broken; ``text`` gives the reason.
        """
        self.gates.append(gate)
        if not gate.passed:
            raise BrokenGateError(text, self)

    def title(self) -> str:
        return f"{self.spec.name}: each step against the one before it"

    def table(self) -> Cells:
        return [title for title, _ in page.COLUMNS], [[cell(row) for _, cell in page.COLUMNS] for row in self.steps]

    def write_folder(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.md``."""
        write_json(folder / REPORT_JSON, self.to_dict())
        write_text(folder / REPORT_MD, self.to_markdown())

    def to_markdown(self) -> str:
        """The report as Markdown; accuracy in %."""
        lines = [
            *page.heading(self.spec),
            *page.step_section(self.steps),
            *page.engine_section(self.engines),
            *page.note_section(self.steps),
            *page.gate_section(self.gates, self.first_bad_step),
            *page.sensitivity_section(self.sensitivity),
            *page.fallback_section(self.fallback),
            *page.glossary_section(),
            *page.file_section(self.steps),
        ]
        return "\n".join(lines) + "\n"
