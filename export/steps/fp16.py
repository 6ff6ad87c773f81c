"""The step that converts a model to half precision."""

from __future__ import annotations

import onnx

from ..graph.fp16 import to_fp16
from ..report.rows import StepRow
from .context import Context


def cast_to_fp16(model: onnx.ModelProto, context: Context) -> tuple[onnx.ModelProto, StepRow]:
    """Writes the fp16 file of a float graph."""
    context.progress.say("fp16: cast graph")
    result = to_fp16(model)
    row = context.saved(result, "fp16", "fp16")
    row.notes.append("compared with every value rounded to float16; CPU engines compute it in float32, GPUs as it is")
    return result, row
