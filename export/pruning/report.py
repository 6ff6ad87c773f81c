"""The report of a pruning: a row for each step, and gates, as JSON and as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, REPORT_MD, write_json, write_text
from ...core.errors import GateError
from ...core.report import Cells, Report
from ..report.page import gate_table, markdown_table, milliseconds, percent, worst_class_text
from ..report.rows import Gate


@dataclass
class PruneRow:
    """The network after one step. Fractions 0..1, milliseconds; None = not measured.

    Attributes:
        step: ``start``, ``prune 1``, ``fine-tune 1``, …
        channels: Sum of the output channels of all prunable layers.
        params, macs: Parameters; multiply-accumulates of one image.
        miou: mIoU on the val split, through the runtime.
        worst_class: ``{name, delta}``: the class that lost most IoU against the start.
        latency_ms: Median time of one inference on each engine, engine only.
        sha256, bytes: Hash and size of the measured ONNX file, which is not kept.
        seconds: Duration of the step without its measurements.
        note: A reason to doubt a figure, e.g. another program that ran during the measurement; else empty.
    """

    step: str
    channels: int
    params: int
    macs: int
    miou: float | None = None
    worst_class: dict[str, Any] | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    sha256: str = ""
    bytes: int = 0
    seconds: float = 0.0
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "note" or value}


@dataclass(repr=False)
class PruneReport(Report):
    """The measurements of a pruning.

    Attributes:
        name: Name of the network.
        about: Parent, goal, importance and so on, as in the provenance of the checkpoint.
        steps: A row for each step; the first is the unpruned network.
        gates: The limits and the measured values.
        widths: The pruned network's configuration.
        checkpoint: ``{file, sha256}`` of the result; None until it is written.
    """

    name: str
    about: dict[str, Any]
    steps: list[PruneRow] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    widths: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``prune --json``."""
        return {
            "name": self.name,
            "pruned": self.about,
            "checkpoint": self.checkpoint,
            "config": self.widths,
            "steps": [row.to_dict() for row in self.steps],
            "gates": [gate.to_dict() for gate in self.gates],
        }

    def title(self) -> str:
        return f"{self.name}: {self.about['goal']}; worst class against the start"

    def table(self) -> Cells:
        return [title for title, _ in COLUMNS], [[cell(row) for _, cell in COLUMNS] for row in self.steps]

    def write_folder(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.md``."""
        write_json(folder / REPORT_JSON, self.to_dict())
        write_text(folder / REPORT_MD, self.to_markdown())

    def to_markdown(self) -> str:
        """The report as Markdown; accuracy in %."""
        lines = [
            f"# {self.name}, pruned",
            "",
            f"Goal: {self.about['goal']}. Importance: {self.about['importance']}, {self.about['scope']}, widths in "
            f"multiples of {self.about['round_to']}. Worst class: against the start. "
            "Latency: median of one inference, engine only.",
            "",
            *markdown_table(*self.table(), left=1),
        ]
        if notes := [f"- {row.step}: {row.note}" for row in self.steps if row.note]:
            lines += ["", "## Notes", "", *notes]
        if self.gates:
            lines += ["", "## Gates", "", *gate_table(self.gates)]
        return "\n".join(lines) + "\n"


class PruneGateError(GateError):
    """A limit was broken; ``report`` holds all measurements until then."""

    def __init__(self, text: str, report: PruneReport) -> None:
        super().__init__(text)
        self.report = report


#: Title and cell of each column of the step table.
COLUMNS: tuple[tuple[str, Callable[[PruneRow], str]], ...] = (
    ("step", lambda row: row.step),
    ("channels", lambda row: str(row.channels)),
    ("M parameters", lambda row: f"{row.params / 1e6:.3f}"),
    ("GMAC", lambda row: f"{row.macs / 1e9:.3f}"),
    ("mIoU %", lambda row: percent(row.miou)),
    ("worst class", lambda row: worst_class_text(row.worst_class)),
    ("ms", lambda row: milliseconds(row.latency_ms)),
)
