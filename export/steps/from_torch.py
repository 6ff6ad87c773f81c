"""The step from torch to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import onnx

from ...calib.graph import Array, Frames
from ...core.spec import ModelSpec
from ..graph.to_onnx import to_onnx
from ..report.rows import StepRow
from .context import RAW, Context, save

if TYPE_CHECKING:
    import torch


def export_onnx(network: torch.nn.Module, context: Context) -> tuple[onnx.ModelProto, StepRow]:
    """Exports the network with its preprocessing into :data:`RAW`."""
    spec = context.spec
    context.progress.say(f"onnx: {spec.name} at {spec.input_hw[0]}x{spec.input_hw[1]}")
    model = to_onnx(network, spec)
    row = StepRow.of("onnx", save(model, context.folder / RAW), "fp32", kept=False)
    row.notes.append("compared with torch; the file is an intermediate")
    if context.data.val is None:
        row.notes.append("mIoU is not measured without data; compared on generated frames")
    return model, row


def torch_logits(network: torch.nn.Module, spec: ModelSpec, frames: Sequence[Frames]) -> list[Array]:
    """The logits of the network in torch.

    Args:
        network: float32 (1, 3, H, W), RGB, normalized → logits.
        frames: uint8 (1, H, W, 3) BGR each.

    Returns:
        float32 (1, C, h, w) for each frame.
    """
    import torch

    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    results = []
    with torch.inference_mode():
        for frame in frames:
            rgb = torch.from_numpy(frame[..., ::-1].copy()).permute(0, 3, 1, 2).float()
            results.append(network((rgb - mean) / std).numpy())
    return results
