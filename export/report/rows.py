"""The report of a chain: a row for each step, gates, and both as JSON and as a page for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import REPORT_JSON, REPORT_MD, sha256, write_json, write_text
from ...core.errors import GateError, ModelFileError
from ...core.spec import ModelSpec
from ..checks.ledger import EngineRow
from ..int8.fallback import Trial
from ..int8.sensitivity import PLOT_FILE, LayerCost


@dataclass
class Step:
    """One step of the chain. Fractions 0..1, milliseconds, bytes; None = not measured, and then ``note`` says why.

    Attributes:
        step: Name of the step.
        file: Name inside the artefact; None for an intermediate that is not kept.
        agreement: Share of output pixels with the same class as the step before.
        miou: On the val split.
        worst_class: ``{name, delta}``: the class that lost most IoU against the step before.
        max_abs_error: Largest difference of a logit against the step before.
        against_torch: ``{agreement, max_abs_error}`` against the network in torch: what all steps together changed.
        latency_ms: Median of one inference, engine by engine.
    """

    step: str
    file: str | None
    sha256: str
    bytes: int
    precision: str
    agreement: float | None = None
    miou: float | None = None
    worst_class: dict[str, Any] | None = None
    max_abs_error: float | None = None
    against_torch: dict[str, float | None] | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Step:
        """Reads what :meth:`to_dict` wrote."""
        values = dict(row)
        note = values.pop("note", None)
        return cls(**values, notes=[note] if note else [])

    @classmethod
    def of(cls, step: str, path: Path, precision: str, *, kept: bool = True) -> Step:
        """A row of a file, with its hash and size."""
        return cls(step, path.name if kept else None, sha256(path), path.stat().st_size, precision)

    def to_dict(self) -> dict[str, Any]:
        keys = (
            "step",
            "file",
            "sha256",
            "bytes",
            "precision",
            "agreement",
            "miou",
            "worst_class",
            "max_abs_error",
            "against_torch",
            "latency_ms",
        )
        row: dict[str, Any] = {key: getattr(self, key) for key in keys}
        notes = list(self.notes)
        if self.max_abs_error is not None and not math.isfinite(self.max_abs_error):
            row["max_abs_error"] = None
            notes.append("logits are not finite")
        whole = None if self.against_torch is None else self.against_torch["max_abs_error"]  # None where it was read back so
        if self.against_torch is not None and whole is not None and not math.isfinite(whole):
            row["against_torch"] = self.against_torch | {"max_abs_error": None}
        return row | {"note": "; ".join(notes)} if notes else row


@dataclass(frozen=True)
class Gate:
    """One limit.

    Attributes:
        name: Step and option, e.g. ``"int8: max_drop"``.
        limit, value: In the same unit; fractions for accuracy, a ratio for speed.
        at_least: True if the value must reach the limit, False if it must not exceed it.
    """

    name: str
    limit: float
    value: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Gate:
        """Reads what :meth:`to_dict` wrote."""
        value = math.nan if row["value"] is None else float(row["value"])
        return cls(row["name"], row["limit"], value, at_least=row["passed"] != (value <= row["limit"]))

    def to_dict(self) -> dict[str, Any]:
        # JSON has no NaN and no infinity.
        value = self.value if math.isfinite(self.value) else None
        return {"name": self.name, "limit": self.limit, "value": value, "passed": self.passed}


class BrokenGateError(GateError):
    """A step broke a limit; ``report`` is everything measured until then, the broken gate last."""

    def __init__(self, text: str, report: Report) -> None:
        super().__init__(text)
        self.report = report


@dataclass
class Report:
    """Everything that an export found out."""

    spec: ModelSpec
    steps: list[Step] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    sensitivity: list[LayerCost] = field(default_factory=list)
    fallback: list[Trial] = field(default_factory=list)
    engines: list[EngineRow] = field(default_factory=list)

    @property
    def first_bad_step(self) -> str | None:
        """The step of the first gate that is broken, e.g. ``"int8"`` or ``"int8 on openvino"``; None if all hold."""
        return next((gate.name.split(":")[0] for gate in self.gates if not gate.passed), None)

    def to_dict(self) -> dict[str, Any]:
        """What ``export --json`` writes."""
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
    def read(cls, folder: Path) -> Report:
        """Reads the ``report.json`` of an artefact.

        Raises:
            ModelFileError: missing, or damaged.
        """
        path = folder / REPORT_JSON
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                spec=ModelSpec.from_dict(data["spec"]),
                steps=[Step.from_dict(row) for row in data["steps"]],
                gates=[Gate.from_dict(row) for row in data["gates"]],
                # Absent in reports that are older than they are, or that have none.
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
            BrokenGateError: it is broken; ``text`` says by what.
        """
        self.gates.append(gate)
        if not gate.passed:
            raise BrokenGateError(text, self)

    def write(self, folder: Path) -> None:
        """Writes ``report.json`` and ``report.md``."""
        write_json(folder / REPORT_JSON, self.to_dict())
        write_text(folder / REPORT_MD, self.to_markdown())

    def to_markdown(self) -> str:
        """The same for people; accuracy in %."""
        height, width = self.spec.input_hw
        lines = [
            f"# {self.spec.name}",
            "",
            f"Input {height}x{width}, {len(self.spec.labels)} classes, output stride {self.spec.output_stride}. "
            "Agreement, worst class and logit error: against the row above. Latency: median of one inference, engine only.",
            "",
            _row([title for title, _ in COLUMNS]),
            _row(["---" if i == 0 else "---:" for i in range(len(COLUMNS))]),
            *(_row([cell(step) for _, cell in COLUMNS]) for step in self.steps),
        ]
        lines += self._engines()
        notes = [f"- {step.step}: {note}" for step in self.steps for note in step.notes]
        if notes:
            lines += ["", "## Notes", "", *notes]
        if self.gates:
            bad = self.first_bad_step
            verdict = "Every limit holds." if bad is None else f"The first bad step is **{bad}**."
            lines += [
                "",
                "## Gates",
                "",
                verdict,
                "",
                _row(["gate", "limit", "value", ""]),
                _row(["---", "---:", "---:", "---"]),
            ]
            for gate in self.gates:
                sign = "≥" if gate.at_least else "≤"
                lines.append(
                    _row([gate.name, f"{sign} {gate.limit:.4g}", f"{gate.value:.4g}", "ok" if gate.passed else "BROKEN"])
                )
        lines += [*self._sensitivity(), *self._fallback()]
        lines += ["", "## Files", "", _row(["file", "sha256"]), _row(["---", "---"])]
        lines += [_row([step.file, f"`{step.sha256}`"]) for step in self.steps if step.file]
        return "\n".join(lines) + "\n"

    def _engines(self) -> list[str]:
        if not self.engines:
            return []
        titles = ["file", "engine", "agreement %", "logit error", "mIoU %", "worst class"]
        rows = [
            [
                row.precision,
                f"{row.engine} {row.version or ''}".strip() + (" (its dialect, simulated)" if row.simulated else ""),
                _percent(row.agreement, 3),
                f"{row.max_abs_error:.2g}",
                _percent(row.miou),
                _class(row.worst_class),
            ]
            for row in self.engines
        ]
        return [
            "",
            "## Engines",
            "",
            "Agreement and logit error: against the graph, computed in float as it is written. "
            "Worst class: against fp32 on the same engine.",
            "",
            _row(titles),
            _row(["---", "---", *["---:"] * 3, "---"]),
            *map(_row, rows),
        ]

    def _sensitivity(self) -> list[str]:
        if not self.sensitivity:
            return []
        titles = ["layer", "error of the logits", "agreement %", "max error", "computed in"]
        rows = sorted(self.sensitivity, key=lambda cost: -cost.noise)
        return [
            "",
            "## Sensitivity",
            "",
            "Each convolution alone in INT8, the rest in float, against all in float; the costliest first. "
            f"Error: its energy over the energy of the logits. Plot, in the order of the graph: {PLOT_FILE}.",
            "",
            _row(titles),
            _row(["---", *["---:"] * 3, "---"]),
            *(
                _row([c.layer, f"{c.noise:.2e}", _percent(c.agreement, 3), f"{c.max_abs_error:.2g}", c.precision])
                for c in rows
            ),
        ]

    def _fallback(self) -> list[str]:
        if not self.fallback:
            return []
        return [
            "",
            "## Fallback",
            "",
            "Mixtures of float and INT8 that were tried, the one that was taken last.",
            "",
            _row(["layers in float", "mIoU %", "worst class", "limits"]),
            _row(["---", "---:", "---:", "---"]),
            *(
                _row(
                    [
                        ", ".join(trial.layers) or "none",
                        _percent(trial.miou),
                        _class(trial.worst_class),
                        "held" if trial.held else "broken",
                    ]
                )
                for trial in self.fallback
            ),
        ]


def _percent(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def _worst(step: Step) -> str:
    return _class(step.worst_class)


def _class(worst: dict[str, Any] | None) -> str:
    return "–" if worst is None else f"{worst['name']} {100 * worst['delta']:+.2f}"


#: Title and cell of each column of the step table.
COLUMNS: tuple[tuple[str, Callable[[Step], str]], ...] = (
    ("step", lambda s: s.step),
    ("file", lambda s: s.file or "–"),
    ("precision", lambda s: s.precision),
    ("MB", lambda s: f"{s.bytes / 1e6:.2f}"),
    ("agreement %", lambda s: _percent(s.agreement, 3)),
    ("mIoU %", lambda s: _percent(s.miou)),
    ("worst class", _worst),
    ("logit error", lambda s: "–" if s.max_abs_error is None else f"{s.max_abs_error:.2g}"),
    ("since torch %", lambda s: _percent(s.against_torch["agreement"] if s.against_torch else None, 3)),
    ("ms", lambda s: ", ".join(f"{name} {value:.2f}" for name, value in s.latency_ms.items()) or "–"),
)


def _row(cells: list[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
