"""The context of an export: folders, options, engines and data for all steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import onnx

from ...core.artefact import atomic_path, onnx_name
from ...core.progress import Progress
from ...core.spec import ModelSpec
from ..checks.frames import ChainData
from ..report.rows import StepRow

if TYPE_CHECKING:
    from ..options import ExportOptions

#: File name of the first graph of the chain, an intermediate model.
RAW = "raw.onnx"
#: The steps that write a model's file, in order: the network, its batch size, its head. A later step replaces the file
#: of an earlier step.
Stage = Literal["network", "batch", "head"]


@dataclass(frozen=True)
class Context:
    """The context of one export; no step changes it.

    Attributes:
        folder: The temporary folder of the new artefact.
        out: The final folder, which may hold an earlier artefact.
        spec: The spec of the network, fp32.
        options: The options of the export.
        engines: Engines to measure on; accuracy is measured on the first.
        data: Frames and splits.
        progress: Receives lines and counts.
    """

    folder: Path
    out: Path
    spec: ModelSpec
    options: ExportOptions
    engines: Sequence[str]
    data: ChainData
    progress: Progress

    def file(self, precision: str) -> Path:
        """The ONNX file of a precision."""
        return self.folder / onnx_name(precision)

    def saved(self, model: onnx.ModelProto, step: str, precision: str, stage: Stage = "network") -> StepRow:
        """Writes a model's file and returns its row, which records whether the file is kept."""
        path = save(model, self.file(precision))
        why = self._why_intermediate(stage)
        row = StepRow.of(step, path, precision, kept=not why)
        if why:
            row.notes.append(f"measured {why}; the file is an intermediate")
        return row

    def _why_intermediate(self, stage: Stage) -> str:
        if stage == "network" and self.options.batch != 1:
            return "at batch 1"
        if stage != "head" and self.options.deliver.head == "labels":
            return "with logits"
        return ""


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Writes a model atomically; returns its path."""
    with atomic_path(path) as temporary:
        onnx.save(model, str(temporary))
    return path
