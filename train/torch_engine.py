"""A checkpoint behind the runtime's engine interface, so that it is evaluated through the same road as exported models."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..core.spec import ModelSpec
from ..runtime.engines.base import Availability, Engine, Frames, Output, Tensor
from .checkpoint.file import KEY, load_checkpoint, read_checkpoint


class TorchEngine(Engine):
    """Runs a ``.pt`` checkpoint on the CPU in fp32. For evaluation: it is the slowest engine of all."""

    name = "torch"
    _net: nn.Module | None
    _mean: torch.Tensor
    _std: torch.Tensor

    @classmethod
    def from_checkpoint(cls, path: str | Path, threads: int | None = None) -> TorchEngine:
        """Opens a checkpoint.

        Raises:
            ModelFileError: missing, damaged, or not written by seg-edge.
        """
        return cls(path, ModelSpec.from_dict(read_checkpoint(path)[KEY]["spec"]), threads)

    @classmethod
    def available(cls) -> Availability:
        return Availability(True, version=str(torch.__version__))

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        self._net = load_checkpoint(self.path).model.to(memory_format=torch.channels_last)
        self._mean = torch.tensor(self.spec.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(self.spec.std).view(1, 3, 1, 1)
        torch.set_num_threads(self.threads)
        frames = Tensor("frames", "uint8", (None, *self.spec.input_hw, 3))
        return [frames], [Tensor("logits", "float32", (None, *self.output_shape))]

    @torch.inference_mode()
    def _infer(self, frames: Frames) -> Output:
        assert self._net is not None
        rgb = torch.from_numpy(frames).permute(0, 3, 1, 2).flip(1).float()
        logits = self._net(((rgb - self._mean) / self._std).contiguous(memory_format=torch.channels_last))
        result: Output = logits.contiguous().numpy()
        return result

    def _close(self) -> None:
        self._net = None
