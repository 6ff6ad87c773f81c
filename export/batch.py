"""Batch size: a graph of batch 1 rewritten for N frames at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..calib.graph import Array, Frames, run, session
from ..core.errors import ModelFileError


def with_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """A copy whose input and output hold ``batch`` frames.

    Raises:
        ModelFileError: the network itself fixes its batch size, e.g. in a Reshape.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value in [*result.graph.input, *result.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del result.graph.value_info[:]
    try:
        return onnx.shape_inference.infer_shapes(result, strict_mode=True)
    except Exception as error:  # onnx's InferenceError shares no public base class with its other errors
        raise ModelFileError(
            f"--batch {batch}: the network {model.graph.name} can't take batches ({' '.join(str(error).split())[:200]}); "
            "use --batch 1"
        ) from error


def run_batched(model: onnx.ModelProto, frames: Sequence[Frames], batch: int) -> list[Array]:
    """Runs frames of batch 1 through a model of batch N, the last group filled up with its first frame.

    Returns:
        One output (1, …) for each frame.
    """
    opened = session(model)
    results: list[Array] = []
    for start in range(0, len(frames), batch):
        group = list(frames[start : start + batch])
        full = np.concatenate(group + [group[0]] * (batch - len(group)))
        results += [output[None] for output in run(opened, full)[0][: len(group)]]
    return results
