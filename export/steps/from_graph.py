"""The first step of an export from a graph: an artefact of an import, or one of ours."""

from __future__ import annotations

from pathlib import Path

import onnx

from ...calib.graph import get_spec, load
from ...core.spec import ModelSpec
from ..graph.batch import for_one_frame
from ..report.rows import StepRow
from .context import RAW, Context, save


def open_graph(path: str | Path) -> tuple[onnx.ModelProto, ModelSpec]:
    """The graph for one frame, and its spec.

    Raises:
        ModelFileError: not a model, or one whose batch can't be 1.
    """
    model = load(path)
    return for_one_frame(model), get_spec(model, path)


def take_graph(model: onnx.ModelProto, context: Context) -> tuple[onnx.ModelProto, StepRow]:
    """Writes the graph into :data:`RAW`."""
    spec = context.spec
    context.progress.say(f"onnx: {spec.name} at {spec.input_hw[0]}x{spec.input_hw[1]}, from its graph")
    row = StepRow.of("onnx", save(model, context.folder / RAW), "fp32", kept=False)
    row.notes.append("the graph of the artefact; the file is an intermediate")
    if context.data.val is None:
        row.notes.append("mIoU is not measured without data; compared on generated frames")
    return model, row
