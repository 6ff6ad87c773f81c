"""The report of an import: agreement with the original on each engine, what was guessed, what was taken off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, REPORT_MD, write_json, write_text
from ...core.errors import GateError
from ...core.report import Cells, Report
from ...core.spec import ModelSpec
from ..checks.ledger import EngineRow
from ..foreign.preprocessing import Guess, Preprocessing
from ..report.document import ExportReport
from ..report.page import markdown_table, percent, range_lines
from ..report.rows import Gate, StepRow
from .proof import Compared


class BrokenImportError(GateError):
    """The artefact does not compute what the original computes; ``report`` holds the measurements."""

    def __init__(self, text: str, report: ImportReport) -> None:
        super().__init__(text)
        self.report = report


@dataclass(repr=False)
class ImportReport(Report):
    """The measurements of an import.

    Attributes:
        spec: The spec of the artefact.
        source: Name of the imported file.
        preprocessing: What the network gets.
        guesses: What the file didn't say, with reasons.
        removed: What was taken off the end of the graph, in the graph's order.
        notes: What else is worth knowing.
        frames: Number and origin of the frames of the comparison.
        compared: A row for each engine, the first one used for accuracy.
        gates: The limits.
        step: The row of the model's file.
        original_miou: mIoU of the original on the val split; None without data.
    """

    spec: ModelSpec
    source: str
    preprocessing: Preprocessing
    guesses: list[Guess] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    frames: str = ""
    compared: list[Compared] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    step: StepRow | None = None
    original_miou: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``import --json``, and of the artefact's ``report.json``: an export's report and ``import``."""
        exported = ExportReport(self.spec, [self.step] if self.step else [], self.gates, engines=self._engine_rows())
        about = {
            "source": self.source,
            "frames": self.frames,
            "preprocessing": self.preprocessing.to_dict(),
            "guesses": [{"what": guess.what, "value": guess.value, "reason": guess.reason} for guess in self.guesses],
            "removed": self.removed,
            "notes": self.notes,
            "engines": [row.to_dict() for row in self.compared],
            "miou": None if self.step is None else self.step.miou,
            "original_miou": self.original_miou,
        }
        return exported.to_dict() | {"import": about}

    def _engine_rows(self) -> list[EngineRow]:
        return [
            EngineRow(
                self.spec.precision, row.engine, row.version, row.agreement,
                math.nan if row.max_abs_error is None else row.max_abs_error,
            )
            for row in self.compared
            if row.agreement is not None
        ]  # fmt: skip

    def title(self) -> str:
        height, width = self.spec.input_hw
        return (
            f"{self.spec.name}: {self.source} at {height}x{width}, {len(self.spec.labels)} classes, against its own answers "
            f"on {self.frames}"
        )

    def table(self) -> Cells:
        titles = ["model", "engine", "agreement %", "worst frame %", "score error", "may be used"]
        rows = [
            [
                f"{self.spec.name} {self.spec.precision}",
                f"{row.engine} {row.version or ''}".strip(),
                percent(row.agreement, 3),
                percent(row.worst, 3),
                "–" if row.max_abs_error is None else f"{row.max_abs_error:.2g}",
                "yes" if row.passed else f"no: {row.note}",
            ]
            for row in self.compared
        ]
        return titles, rows

    def explanations(self) -> list[str]:
        """Preprocessing, guesses, and what was taken off, a line each."""
        lines = [f"the network gets: {self.preprocessing}", *range_lines(self.spec)]
        lines += [f"guessed {guess}" for guess in self.guesses]
        if self.removed:
            lines.append(f"taken off, and left to the runtime: {', '.join(self.removed)}")
        lines += self.notes
        if self.step is not None and self.step.miou is not None:
            lines.append(f"mIoU {percent(self.step.miou)} %, of the original {percent(self.original_miou)} %")
        return lines

    def write_folder(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.md``."""
        write_json(folder / REPORT_JSON, self.to_dict())
        write_text(folder / REPORT_MD, self.to_markdown())

    def to_markdown(self) -> str:
        """The report as Markdown."""
        titles, rows = self.table()
        lines: Sequence[str] = [
            f"# {self.spec.name}", "", self.title() + ".", "", *markdown_table(titles, rows, left=2), "",
            *(f"- {line}" for line in self.explanations()),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"
