"""One training in several processes, on the GPUs of one machine or of several: what ``torchrun`` starts.

Each process holds the whole network and takes its share of every batch; gradients are averaged
(:class:`torch.nn.parallel.DistributedDataParallel`, which Lightning drives). The number of processes changes the
speed of a training and nothing else, because

- ``TrainConfig.batch`` is the batch of all processes together, and its samples are those of one process;
- batch normalization takes mean and variance over the batch of all processes;
- validation images are dealt out, and their counts added up: metrics are those of one process.

One difference remains, as in all data-parallel training: the loss is the mean of the processes' losses, each over its own
share of the batch. All terms divide by what occurs in the batch, so that each share counts the same, however much of it is
labelled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from ..core.errors import InputError, ProcessError, SegEdgeError


@dataclass(frozen=True)
class Processes:
    """The processes of this training.

    Attributes:
        rank: Number of this one, from 0.
        count: Of all processes.
        local_rank: Number of this one on its machine.
        local_count: Of this machine's processes.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    @property
    def machines(self) -> int:
        return self.count // self.local_count


def processes() -> Processes:
    """The processes that ``torchrun`` names in the environment; a single one where this process was started otherwise.

    Raises:
        InputError: machines with different numbers of processes.
    """
    if not dist.is_torchelastic_launched():
        return Processes()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    group = Processes(*(int(os.environ[name]) for name in names))
    if group.count % group.local_count:
        raise InputError(
            f"torchrun started {group.local_count} of {group.count} processes on this machine; "
            "start the same number on every machine"
        )
    return group


def join(group: Processes, device: str | None) -> None:
    """Connects this process with the others; does nothing for a single process, or when called again.

    Args:
        group: See :func:`processes`.
        device: ``cpu``, ``cuda`` or None for the best that is there.

    Raises:
        InputError: more processes than GPUs on this machine.
        ProcessError: the others can't be reached.
    """
    if group.count == 1 or dist.is_initialized():
        return
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda and group.local_count > torch.cuda.device_count():
        raise InputError(
            f"torchrun started {group.local_count} processes on this machine, which has "
            f"{torch.cuda.device_count()} GPUs; start {torch.cuda.device_count()}, or pass `device='cpu'`"
        )
    if cuda:
        torch.cuda.set_device(group.local_rank)
    try:
        dist.init_process_group("nccl" if cuda else "gloo")
    except (dist.DistError, RuntimeError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise ProcessError(
            f"process {group.rank} of {group.count} can't reach the others through {where} ({_line(error)}); check "
            "the address that torchrun got, and the network between the machines"
        ) from error


def placement(group: Processes) -> dict[str, Any]:
    """The options of Lightning's trainer that say where it runs."""
    if group.count == 1:
        return {"devices": 1}
    return {
        "devices": group.local_count,
        "num_nodes": group.machines,
        "strategy": DDPStrategy(cluster_environment=TorchElasticEnvironment()),
        "use_distributed_sampler": False,  # ours deals out batches
    }


def leave() -> None:
    """Disconnects from the others after a training; a process that failed just ends."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def agreed(group: Processes) -> Iterator[None]:
    """Makes all processes fail together: none waits for one that has ended, and only one reports the error.

    Raises:
        SegEdgeError: what the block raised, in the first process where it did.
        ProcessError: in the others.
    """
    error: SegEdgeError | None = None
    try:
        yield
    except SegEdgeError as refusal:
        if group.count == 1:
            raise
        error = refusal
    if group.count == 1:
        return
    lines: list[str | None] = [None] * group.count
    with connected(group):
        dist.all_gather_object(lines, str(error) if error else None)
    refused = [rank for rank, line in enumerate(lines) if line is not None]
    if not refused:
        return
    if error is not None and refused[0] == group.rank:
        raise error
    raise ProcessError(f"process {refused[0]} of {group.count}: {lines[refused[0]]}", said=True)


@contextmanager
def connected(group: Processes) -> Iterator[None]:
    """Turns a lost connection into an error of one line.

    Raises:
        ProcessError: another process ended, or the network between them failed.
    """
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        if group.count == 1 or not _is_loss(error):
            raise
        raise ProcessError(
            f"process {group.rank} of {group.count} lost the others ({_line(error)}): one of them ended, and "
            "said why above if it could; start again with `resume=True`"
        ) from error


def _is_loss(error: BaseException) -> bool:
    """Whether an error is about the connection. Gloo and NCCL say so only in their messages."""
    words = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "socket")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)


def _line(error: BaseException) -> str:
    """The error's first line, without the place in Gloo's sources that it begins with."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"^\[\S+:\d+\] ", "", line)[:160]


def total(values: Tensor) -> Tensor:
    """The sum of numbers without gradients over all processes; ``values`` itself in a single process."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values
    values = values.clone()
    dist.all_reduce(values)
    return values


def from_first(group: Processes, value: Any) -> Any:
    """The first process's ``value``, anything that can be pickled; those of the other processes are ignored."""
    if group.count == 1:
        return value
    box = [value]
    with connected(group):
        dist.broadcast_object_list(box, src=0)
    return box[0]


def synchronize(net: nn.Module, device: str) -> nn.Module:
    """Batch normalization over the batches of all processes.

    On GPUs PyTorch's own; on CPUs, for which it has none, :class:`SharedBatchNorm2d`. Names and shapes of weights stay.
    """
    if device == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-any-return, no-untyped-call]
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm2d  # the same attributes and hooks, another forward
    return net


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization whose mean and variance are those of all processes' batches, which have one size.

    Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1. In eval mode it is the plain one.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            x = input.float()
            share = 1 / dist.get_world_size()
            mean: Tensor = _Sum.apply(x.mean((0, 2, 3))) * share
            centred = x - mean[:, None, None]
            # From centred values: E[x²] − E[x]² loses digits where the mean is large.
            variance: Tensor = _Sum.apply(centred.square().mean((0, 2, 3))) * share
            self._follow(mean.detach(), variance.detach(), x.numel() / x.shape[1] / share)
            y = centred * (variance + self.eps).rsqrt()[:, None, None]
            if self.affine:
                y = y * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: float) -> None:
        """Running statistics, as the plain one keeps them: of the unbiased variance."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        return total(values)

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        return total(gradient)
