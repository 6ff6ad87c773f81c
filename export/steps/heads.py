"""The step that adds upsampling and argmax to the graph."""

from __future__ import annotations

import onnx

from ..graph.labels_head import with_labels
from ..report.rows import StepRow
from .context import Context


def add_labels_head(model: onnx.ModelProto, precision: str, context: Context) -> tuple[onnx.ModelProto, StepRow]:
    """Writes a model's file again, with class numbers as its output."""
    context.progress.say(f"labels: {precision}")
    result = with_labels(model)
    row = context.saved(result, "labels", precision, "head")
    row.notes.append("compared with the runtime's kernel on the logits; mIoU is that of the logits")
    return result, row
