"""The rows of an export's report: steps and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.artefact import sha256


@dataclass
class StepRow:
    """One step of an export. Fractions 0..1, milliseconds, bytes; None = not measured, with the reason in a note.

    Attributes:
        step: Name of the step.
        file: Name inside the artefact; None for an intermediate model that is not kept.
        agreement: Share of output pixels with the same class as in the step before.
        miou: mIoU on the val split.
        worst_class: ``{name, delta}``: the class that lost most IoU against the step before.
        max_abs_error: Largest difference of a logit from the step before.
        against_torch: ``{agreement, max_abs_error}`` against the network in torch: the effect of all steps together.
        latency_ms: Median time of one inference on each engine.
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
    def from_dict(cls, row: Mapping[str, Any]) -> StepRow:
        """Reads the result of :meth:`to_dict`."""
        values = dict(row)
        note = values.pop("note", None)
        return cls(**values, notes=[note] if note else [])

    @classmethod
    def of(cls, step: str, path: Path, precision: str, *, kept: bool = True) -> StepRow:
        """The row of a file, with its hash and size."""
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
        limit, value: The limit and the measured value, in the same unit: fractions for accuracy, a ratio for speed.
        at_least: True if the value must reach the limit, False if the value must not exceed it.
        note: A reason to doubt the value, e.g. another program that ran during the measurement; else empty.
    """

    name: str
    limit: float
    value: float
    at_least: bool = False
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Gate:
        """Reads the result of :meth:`to_dict`."""
        value = math.nan if row["value"] is None else float(row["value"])
        at_least = row["passed"] != (value <= row["limit"])
        return cls(row["name"], row["limit"], value, at_least=at_least, note=row.get("note", ""))

    def to_dict(self) -> dict[str, Any]:
        # JSON can't represent NaN and infinity.
        value = self.value if math.isfinite(self.value) else None
        row = {"name": self.name, "limit": self.limit, "value": value, "passed": self.passed}
        return row | {"note": self.note} if self.note else row
