"""What a run of ``seg-edge predict`` did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.report import Cells, Report

#: Failed images that a report names; the manifest has all of them.
SHOWN = 20


@dataclass(repr=False)
class PredictReport(Report):
    """The outcome of :func:`seg_edge.batch.predict`.

    Attributes:
        out: Output folder or address.
        model: Name of the network.
        engine: Name, version and device of the engine.
        images: Images whose results were written.
        skipped: Images that an earlier run had done (``resume``).
        failed: Images that can't be read.
        seconds: Of the run, without opening the model.
        errors: The first failed images: (input, reason).
        manifest: Path of the manifest, below ``out``.
        interrupted: The run was stopped before its end.
    """

    out: str
    model: str
    engine: str
    images: int
    skipped: int
    failed: int
    seconds: float
    errors: Sequence[tuple[str, str]]
    manifest: str
    interrupted: bool = False

    @property
    def images_per_s(self) -> float | None:
        """Images a second; None where there were too few to state a rate."""
        return self.images / self.seconds if self.images >= 3 and self.seconds > 0 else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "out": self.out,
            "model": self.model,
            "engine": self.engine,
            "images": self.images,
            "skipped": self.skipped,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "images_per_s": None if self.images_per_s is None else round(self.images_per_s, 2),
            "errors": [{"input": name, "error": reason} for name, reason in self.errors],
            "manifest": self.manifest,
            "interrupted": self.interrupted,
        }

    def title(self) -> str:
        parts = [f"{self.out}: {self.images} images"]
        if self.skipped:
            parts.append(f"{self.skipped} done before")
        if self.failed:
            parts.append(f"{self.failed} failed")
        rate = f" in {self.seconds:.1f} s, {self.images_per_s:.1f} images/s" if self.images_per_s is not None else ""
        return ", ".join(parts) + rate

    def table(self) -> Cells | None:
        if not self.errors:
            return None
        rows = [[reason] for _name, reason in self.errors[:SHOWN]]
        if self.failed > len(rows):
            rows.append([f"… and {self.failed - len(rows)} more: {self.manifest}"])
        return ("failed",), rows
