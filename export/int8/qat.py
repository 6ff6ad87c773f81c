"""Quantization-aware training: in a few epochs, the INT8 network learns to reproduce the float network's output."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional as F

from ...calib.cache import Calibration
from ...calib.graph import set_weight
from ...core.errors import InputError
from ...core.progress import Progress
from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ..graph.options import QuantOptions
from .fake_quant import FakeQuantGraph
from .fallback import Mixtures
from .options import QatOptions


@dataclass(frozen=True)
class Tuned:
    """The result of fine-tuning.

    Attributes:
        model: The prepared graph with trained weights.
        calibration: The unchanged activation scales, and the trained biases.
        losses: Mean loss of each epoch, in nats per output pixel.
    """

    model: onnx.ModelProto
    calibration: Calibration
    losses: list[float]


@dataclass(frozen=True)
class Trainer:
    """Fine-tunes one network, and chooses between the network before and after.

    Attributes:
        model: See :func:`seg_edge.export.graph.quantize.prepare`.
        calibration: The calibration of ``model``.
        quant: How the network is quantized.
        options: How to train.
        train: The training images, augmented as in training.
        spec: The spec of the network.
    """

    model: onnx.ModelProto
    calibration: Calibration
    quant: QuantOptions
    options: QatOptions
    train: SegDataset
    spec: ModelSpec

    def better(
        self,
        plain: Mixtures,
        limits_stated: bool,
        build: Callable[[onnx.ModelProto, Calibration, QuantOptions, dict[str, Any]], Mixtures],
        about: dict[str, Any],
        progress: Progress,
    ) -> tuple[Mixtures, str]:
        """Post-training quantization or the fine-tuned network: the one that exceeds its limits less or has more mIoU.

        Args:
            plain: Post-training quantization. If it keeps stated limits, nothing is trained.
            build: Builds the mixtures of a trained network; receives ``about``.

        Returns:
            The better mixtures, and a note on the choice.
        """
        before = plain.first()
        if limits_stated and before.held:
            note = "post-training quantization holds the limits: no fine-tuning"
            progress.say(f"qat: {note}")
            return plain, note
        tuned = self.fine_tune(progress)
        # Bias correction would undo the training of the biases.
        trained = build(tuned.model, tuned.calibration, replace(self.quant, bias_correction=False), about)
        after = trained.first()
        note = f"{self.options.epochs} epochs of fine-tuning: mIoU {_points(before.miou)} → {_points(after.miou)}"
        if after.better_than(before):
            return trained, note
        return plain, f"{note}; not taken"

    def fine_tune(self, progress: Progress) -> Tuned:
        """Trains weights and biases with fake quantization.

        The target is the output of the float network, not the labels: INT8 should reproduce the evaluated network, and
        within these few epochs labels would move the weights away from it. This is distillation as in Mishra and Marr,
        "Apprentice", ICLR 2018, scheme C. The loss is only the Kullback-Leibler divergence of the class distributions.

        Raises:
            InputError: torchvision, which augments the images, is not installed.
            ModelFileError: training is not possible through a node of the graph.
        """
        return fine_tune(
            self.model, self.calibration, self.quant, self.options, _batches(self.train, self.spec, self.options), progress
        )


def fine_tune(
    model: onnx.ModelProto,
    calibration: Calibration,
    quant: QuantOptions,
    options: QatOptions,
    batches: Callable[[int], Sequence[Tensor]],
    progress: Progress,
) -> Tuned:
    """See :meth:`Trainer.fine_tune`.

    Args:
        batches: A function from an epoch to its batches, uint8 (N, H, W, 3) BGR each.
    """
    student = FakeQuantGraph(model, calibration, quant)
    teacher = FakeQuantGraph(model, Calibration(calibration.activations, {}), quant)
    teacher.enabled = False
    optimizer = torch.optim.Adam(student.parameters(), lr=options.lr)
    total = options.epochs * max(1, len(batches(0)))
    rising = max(1, total // 10)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    losses: list[float] = []
    for epoch in range(options.epochs):
        batch_losses = []
        for frames in progress.track(batches(epoch), f"qat: epoch {epoch + 1} of {options.epochs}"):
            with torch.no_grad():
                wanted = teacher(frames)
            loss = divergence(student(frames), wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            batch_losses.append(float(loss.detach()))
        losses.append(float(np.mean(batch_losses)))
        progress.say(f"qat: epoch {epoch + 1} of {options.epochs}: loss {losses[-1]:.4g}")
    result = onnx.ModelProto()
    result.CopyFrom(model)
    trained = student.trained()
    for name, value in trained.items():
        set_weight(result, name, value)
    biases = {node.input[2]: trained[node.input[2]] for node in model.graph.node if node.op_type == "Conv"}
    return Tuned(result, Calibration(calibration.activations, biases), losses)


def divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the class distributions, mean over the pixels, in nats; 0 for equal logits.

    Args:
        logits, wanted: float32 (N, C, h, w).
    """
    each = F.kl_div(F.log_softmax(logits, 1), F.log_softmax(wanted, 1), reduction="none", log_target=True)
    return each.sum(1).mean()


def _batches(train: SegDataset, spec: ModelSpec, options: QatOptions) -> Callable[[int], Sequence[Tensor]]:
    """A function from an epoch to its batches, uint8 (N, H, W, 3) BGR each."""
    try:
        from ...train.data.module import EpochSampler, TrainSet
        from ...train.data.options import AugmentOptions
    except ImportError as error:
        raise InputError(f"`qat`: needs packages that are not installed ({error}); pip install 'seg-edge[train]'") from error
    images = TrainSet(train, spec.input_hw, AugmentOptions())
    sampler = EpochSampler(len(train), options.seed)

    class Epoch(Sequence[Tensor]):
        """Batches that are read on access. A sequence, because progress needs their number."""

        def __init__(self, epoch: int) -> None:
            sampler.set_epoch(epoch)
            self._draws = list(sampler)

        def __len__(self) -> int:
            return math.ceil(len(self._draws) / options.batch)

        def __getitem__(self, index: Any) -> Any:
            if not 0 <= index < len(self):
                raise IndexError(index)
            draws = self._draws[index * options.batch : (index + 1) * options.batch]
            rgb = torch.stack([images[draw][0] for draw in draws])
            return rgb.flip(1).permute(0, 2, 3, 1).contiguous()

    return Epoch


def _points(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.2f}"
