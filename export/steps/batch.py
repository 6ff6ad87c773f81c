"""The step that sets the batch size."""

from __future__ import annotations

import onnx

from ..graph.batch import with_batch
from ..graph.size import FREE
from ..report.rows import StepRow
from .context import Context


def set_batch(model: onnx.ModelProto, precision: str, context: Context) -> tuple[onnx.ModelProto, StepRow]:
    """Writes a model's file for the batch of the options."""
    batch = context.options.batch
    context.progress.say(f"batch: {batch or FREE}, {precision}")
    result = with_batch(model, batch)
    row = context.saved(result, "free batch" if batch is None else f"batch{batch}", precision, "batch")
    row.notes.append("mIoU is that of batch 1: the outputs are compared, frame by frame")
    return result, row
