"""The step that writes OpenVINO's own format."""

from __future__ import annotations

from ...core.spec import ModelSpec
from ..deliver.openvino_ir import write_ir
from ..report.rows import StepRow
from .context import Context


def convert_to_ir(precision: str, spec: ModelSpec, context: Context) -> list[StepRow]:
    """Writes the OpenVINO IR of a model; returns a row for each of its two files.

    Args:
        spec: The spec of the artefact.
    """
    source = context.file(precision)
    context.progress.say(f"ir: {source.stem}.xml")
    rows = []
    for path in write_ir(source, spec.with_(precision=precision), source.with_suffix(".xml")):
        rows.append(StepRow.of("ir", path, precision))
        rows[-1].notes.append(f"OpenVINO IR of {source.name}")
    return rows
