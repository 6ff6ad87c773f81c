"""The step of constant folding and fusion."""

from __future__ import annotations

import onnx

from ..graph.simplify import Simplifier, simplify
from ..report.rows import StepRow
from .context import Context


def simplify_graph(
    model: onnx.ModelProto, context: Context, simplifier: Simplifier | None = None
) -> tuple[onnx.ModelProto, StepRow]:
    """Writes the simplified graph, or the original graph if the simplifier changed its outputs, as the fp32 file."""
    context.progress.say("simplify")
    result, note = simplify(model, context.data.parity, simplifier)
    row = context.saved(result, "simplify", "fp32")
    if note:
        row.notes.append(note)
        context.progress.say(f"simplify: {note}")
    return result, row
