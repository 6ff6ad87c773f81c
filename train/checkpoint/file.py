"""Checkpoints: a network's configuration, its ModelSpec and weights; only tensors and plain values are pickled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor, nn

from ...core.artefact import atomic_path
from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from ..models.branches import fused
from ..models.catalog import build
from .names import BEST, checkpoint_file

#: Key under which a checkpoint describes its network.
KEY = "seg_edge"
FORMAT = 1
#: The network's attribute name inside the training module, and so the prefix of its weights.
PREFIX = "net."
#: Of what Lightning saves, the part that ``best.pt`` holds.
_FOR_INFERENCE = (KEY, "state_dict", "epoch", "global_step", "pytorch-lightning_version")


@dataclass(frozen=True)
class Checkpoint:
    """A network ready for inference.

    Attributes:
        model: In eval mode, on the CPU: float32 (N, 3, H, W) RGB, normalized → logits (N, classes, H/s, W/s), s being
            the spec's output stride.
        spec: Its ModelSpec, precision fp32.
        epoch: Epochs that had been trained when it was written.
        name: The network's name in the catalog.
        config: What :func:`seg_edge.train.models.catalog.build` makes it of.
    """

    model: nn.Module
    spec: ModelSpec
    epoch: int
    name: str
    config: dict[str, Any]


def describe(model: str, config: dict[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """What a checkpoint holds under :data:`KEY`."""
    return {"format": FORMAT, "model": model, "config": config, "spec": spec.to_dict()}


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The whole content of a checkpoint file, or of a shipped model's by its name; tensors on the CPU.

    Raises:
        ModelFileError: missing, damaged, or not written by seg-edge.
    """
    path = checkpoint_file(path)
    data: dict[str, Any]
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise whatever their bytes happen to ask for
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:120]
        raise ModelFileError(
            f"{path}: not a readable checkpoint ({reason}); expected a .pt file of seg-edge train"
        ) from error
    if not _is_ours(data):
        raise ModelFileError(f"{path}: not a seg-edge checkpoint; expected a .pt file of seg-edge train (format {FORMAT})")
    return data


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Loads a network from a checkpoint (``best.pt`` or ``last.pt``): the averaged weights where training kept an average.

    Raises:
        ModelFileError: missing, damaged, or not written by seg-edge.
    """
    data = read_checkpoint(path)
    about = data[KEY]
    spec = ModelSpec.from_dict(about["spec"])
    # Without memory: random weights, which large networks take seconds to draw, would be replaced at once.
    with torch.device("meta"):
        model = build(about["model"], len(spec.labels), about["config"])
    weights: dict[str, Tensor] = {k.removeprefix(PREFIX): v for k, v in data["state_dict"].items() if k.startswith(PREFIX)}
    weights = fused(weights)
    try:
        model.load_state_dict(weights, assign=True)
        model = model.float()  # shipped checkpoints hold float16; a copy into a built network would have widened it
    except RuntimeError as error:
        raise ModelFileError(
            f"{path}: weights do not fit {about['model']} ({str(error).splitlines()[-1].strip()})"
        ) from error
    # Lightning counts from 0.
    return Checkpoint(model.eval(), spec, int(data["epoch"]) + 1, about["model"], about["config"])


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Writes a network for inference, as ``best.pt`` is; :func:`load_checkpoint` reads it.

    Raises:
        InputError: ``path`` can't be written.
    """
    data = {
        KEY: describe(checkpoint.name, checkpoint.config, checkpoint.spec),
        "state_dict": {f"{PREFIX}{key}": value for key, value in checkpoint.model.state_dict().items()},
        "epoch": checkpoint.epoch - 1,
    }
    with atomic_path(path) as temporary:
        torch.save(data, temporary)


def _is_ours(data: Any) -> bool:
    about = data.get(KEY) if isinstance(data, dict) else None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        return False
    return {"model", "config", "spec"} <= set(about) and {"state_dict", "epoch"} <= set(data)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint writer with rename-when-whole, and its reader without pickled code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        if Path(path).name == BEST:
            checkpoint = {key: checkpoint[key] for key in _FOR_INFERENCE}
            # Without what only training needs, such as a distillation's adapters.
            weights = {k: v for k, v in checkpoint["state_dict"].items() if k.startswith(PREFIX)}
            checkpoint["state_dict"] = fused(weights)
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return read_checkpoint(path)
