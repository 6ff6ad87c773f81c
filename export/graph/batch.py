"""Batch size: rewrites a graph of batch 1 for N frames, or for any number of frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ...calib.graph import Array, Frames, run, session
from ...core.errors import ModelFileError
from .size import FREE

#: Name of a free batch axis in the graph.
AXIS = "N"
# A graph that accepts this batch accepts any: a graph with a fixed batch has the batch of 1 that it was traced with.
_TRIAL = 2


def with_batch(model: onnx.ModelProto, batch: int | None) -> onnx.ModelProto:
    """A copy whose input and output hold ``batch`` frames; None is a free batch, which may differ in each inference.

    Raises:
        ModelFileError: the network itself fixes its batch size, e.g. in a Reshape.
    """
    try:
        if batch is None:  # shape inference finds contradictions only between known sizes
            _inferred(model, _TRIAL)
        return _inferred(model, batch)
    except Exception as error:  # onnx's InferenceError shares no public base class with its other errors
        raise ModelFileError(
            f"`batch='{batch or FREE}'`: the network {model.graph.name} can't take batches "
            f"({' '.join(str(error).split())[:200]}); use `batch=1`"
        ) from error


def for_one_frame(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph itself if its batch is fixed, else a copy for batch 1: engine files have fixed shapes."""
    axis = model.graph.input[0].type.tensor_type.shape.dim[0]
    return model if axis.HasField("dim_value") else with_batch(model, 1)


def _inferred(model: onnx.ModelProto, batch: int | None) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value in [*result.graph.input, *result.graph.output]:
        axis = value.type.tensor_type.shape.dim[0]
        if batch is None:
            axis.dim_param = AXIS
        else:
            axis.dim_value = batch
    del result.graph.value_info[:]
    # The engines' dialect rewrites read the inferred shapes.
    return onnx.shape_inference.infer_shapes(result, strict_mode=True)


def run_batched(model: onnx.ModelProto, frames: Sequence[Frames], batch: int | None) -> list[Array]:
    """Runs frames of batch 1 through a model of batch N; repeats of its first frame fill up the last group.

    Args:
        batch: N. None is for a model with a free batch: groups of one frame, two frames, three frames, ….

    Returns:
        One output (1, …) for each frame.
    """
    opened = session(model)
    results: list[Array] = []
    size = batch or 1
    while len(results) < len(frames):
        group = list(frames[len(results) : len(results) + size])
        full = np.concatenate(group + [group[0]] * (size - len(group)))
        results += [output[None] for output in run(opened, full)[0][: len(group)]]
        size = batch or size + 1
    return results
