"""The report of a pruning: a row for each step, gates, as JSON and as a page for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, REPORT_MD, write_json, write_text
from ...core.errors import GateError
from ..report.rows import Gate


@dataclass
class Row:
    """The network after one step. Fractions 0..1, milliseconds; None = not measured.

    Attributes:
        step: ``start``, ``prune 1``, ``fine-tune 1``, …
        channels: Output channels of all prunable layers together.
        params, macs: Parameters; multiply-accumulates of one image.
        miou: On the val split, through the runtime.
        worst_class: ``{name, delta}``: the class that lost most IoU against the start.
        latency_ms: Median of one inference, engine only, engine by engine.
        sha256, bytes: Of the ONNX file that was measured, which is not kept.
        seconds: That the step took, measuring left out.
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

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass
class PruneReport:
    """Everything that a pruning found out.

    Attributes:
        about: Parent, goal, importance and so on, as it also stands in the checkpoint's provenance.
        checkpoint: ``{file, sha256}`` of the result; None until it is written.
    """

    name: str
    about: dict[str, Any]
    steps: list[Row] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    widths: dict[str, Any] = field(default_factory=dict)
    checkpoint: dict[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """What ``prune --json`` writes."""
        return {
            "name": self.name,
            "pruned": self.about,
            "checkpoint": self.checkpoint,
            "config": self.widths,
            "steps": [row.to_dict() for row in self.steps],
            "gates": [gate.to_dict() for gate in self.gates],
        }

    def write(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.md``."""
        write_json(folder / REPORT_JSON, self.to_dict())
        write_text(folder / REPORT_MD, self.to_markdown())

    def to_markdown(self) -> str:
        """The same for people; accuracy in %."""
        lines = [
            f"# {self.name}, pruned",
            "",
            f"Goal: {self.about['goal']}. Importance: {self.about['importance']}, {self.about['scope']}, widths in "
            f"multiples of {self.about['round_to']}. Worst class: against the start. "
            "Latency: median of one inference, engine only.",
            "",
            _row([title for title, _ in COLUMNS]),
            _row(["---" if i == 0 else "---:" for i in range(len(COLUMNS))]),
            *(_row([cell(row) for _, cell in COLUMNS]) for row in self.steps),
        ]
        if self.gates:
            lines += ["", "## Gates", "", _row(["gate", "limit", "value", ""]), _row(["---", "---:", "---:", "---"])]
            lines += [
                _row([gate.name, f"≤ {gate.limit:.4g}", f"{gate.value:.4g}", "ok" if gate.passed else "BROKEN"])
                for gate in self.gates
            ]
        return "\n".join(lines) + "\n"


class PruneGateError(GateError):
    """A limit was broken; ``report`` is everything measured until then."""

    def __init__(self, text: str, report: PruneReport) -> None:
        super().__init__(text)
        self.report = report


def _worst(row: Row) -> str:
    return "–" if row.worst_class is None else f"{row.worst_class['name']} {100 * row.worst_class['delta']:+.2f}"


#: Title and cell of each column of the step table.
COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("step", lambda r: r.step),
    ("channels", lambda r: str(r.channels)),
    ("M parameters", lambda r: f"{r.params / 1e6:.3f}"),
    ("GMAC", lambda r: f"{r.macs / 1e9:.3f}"),
    ("mIoU %", lambda r: "–" if r.miou is None else f"{100 * r.miou:.2f}"),
    (
        "worst class",
        lambda r: "–" if r.worst_class is None else f"{r.worst_class['name']} {100 * r.worst_class['delta']:+.2f}",
    ),
    ("ms", lambda r: ", ".join(f"{name} {value:.2f}" for name, value in r.latency_ms.items()) or "–"),
)


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
