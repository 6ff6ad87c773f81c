"""Everything that a training opens and checks before it writes anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import DataError, InputError
from ..core.labels import Labels
from ..core.progress import Progress, Silent
from ..core.spec import ModelSpec
from ..datasets.checking.duplicates import duplicates
from ..datasets.checking.findings import doubtful_void, silent
from ..datasets.checking.scan import scan
from ..datasets.dataset import SegDataset
from ..datasets.merged import as_background, is_merged
from ..datasets.opening import names_its_own, open_dataset, open_dataset_for, with_names
from .checkpoint.file import Checkpoint, load_checkpoint
from .checkpoint.teacher import open_teacher
from .distributed import Processes
from .losses.terms import check_sets
from .models.names import STRIDE, TABLE
from .request import Request
from .resume import resume_from


@dataclass(frozen=True)
class Prepared:
    """A training that can begin.

    Attributes:
        start: The network of ``TrainConfig.init``.
        assumed: Whether the classes are that network's, because the dataset names none.
        train, val: Both splits, with the same classes.
        sets: What labels above the classes stand for, see :mod:`seg_edge.datasets.merged`.
        earlier: Spec of the checkpoint that a resumed training goes on from.
        shape: Configuration of that checkpoint's network.
        epoch: Epochs that it was trained for.
        rows: See :class:`.resume.Resumed`.
        size_hw: Network input, pixels.
        crop_hw: Size of the training's crops, pixels.
        device: ``cpu`` or ``cuda``.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        frequencies: Share of each label among the labelled pixels, (classes + sets,).
        teacher: A checkpoint to distil from.
        findings: What the data's check says of both splits, a line each.
    """

    start: Checkpoint | None
    assumed: bool
    train: SegDataset
    val: SegDataset
    sets: tuple[tuple[int, ...], ...]
    earlier: ModelSpec | None
    shape: dict[str, Any] | None
    epoch: int
    rows: list[dict[str, float]] | None
    size_hw: tuple[int, int]
    crop_hw: tuple[int, int]
    device: str
    precision: str
    frequencies: npt.NDArray[np.float64]
    teacher: Checkpoint | None
    findings: tuple[str, ...] = ()

    @property
    def base(self) -> ModelSpec | None:
        """The spec that the training goes on from."""
        return self.earlier or (self.start.spec if self.start else None)


def prepare(request: Request, group: Processes, progress: Progress | None = None) -> Prepared:
    """Opens and checks everything; writes nothing.

    Args:
        request: What is to be trained.
        group: The processes that train it.
        progress: Told how many pairs are checked.

    Raises:
        SegEdgeError: a wrong dataset, option or checkpoint.
    """
    request.check()
    config, start = request.config, _start(request)
    # A dataset that has only numbers has the classes that this training began with.
    known = load_checkpoint(request.last).spec.labels if request.resume else start.spec.labels if start else None
    (train, assumed), (val, _) = (_open(request, split, known) for split in (config.train_split, config.val_split))
    if train.labels != val.labels:
        train, val = _same_labels(train, val)
    if config.unlabelled == "background":
        train = as_background(train)
    sets = train.sets or val.sets
    check_sets(config.loss, sets)
    earlier, shape, epoch, rows = resume_from(request, train) if request.resume else (None, None, 0, None)
    base = earlier or (start.spec if start else None)
    size_hw = (earlier.input_hw if earlier else config.size_hw) or (base.input_hw if base else _size_of(train))
    crop_hw = config.crop_hw or size_hw
    if crop_hw[0] > size_hw[0] or crop_hw[1] > size_hw[1]:
        raise InputError(
            f"`crop_hw={crop_hw[0]}x{crop_hw[1]}` is larger than the network's input, {size_hw[0]}x{size_hw[1]}; "
            "pass a smaller one, or a larger `size_hw`"
        )
    _check_shares(request, len(train), len(val), group)
    _check_batch(config.model, min(config.batch, len(train)), crop_hw)
    device, precision = _device(config.device), config.precision
    precision = _fast_precision(device, half=precision == "half") if precision in (None, "half") else precision
    frequencies, findings = _scan(train, val, len(sets), progress or Silent())
    # Of all pixels, the unlabelled ones included: classes that few datasets label weigh more than by their true shares. True
    # shares (the most likely ones, by EM) were tried: in a small trial they learned slower, the background too.
    _check_labels(train, frequencies)
    teacher = open_teacher(config.distill.teacher, train.labels) if config.distill else None
    return Prepared(
        start, assumed, train, val, sets, earlier, shape, epoch, rows, size_hw, crop_hw, device, precision, frequencies,
        teacher, findings,
    )  # fmt: skip


def _start(request: Request) -> Checkpoint | None:
    """The network of ``TrainConfig.init``."""
    config = request.config
    if config.init is None:
        return None
    start = load_checkpoint(config.init)
    if start.name != config.model:
        raise InputError(
            f"`init={str(config.init)!r}` holds {start.name}, but `model` is {config.model}; pass `model={start.name!r}`"
        )
    return start


def _open(request: Request, split: str, known: Labels | None) -> tuple[SegDataset, bool]:
    """A split, and whether it names no classes and got the known ones."""
    dataset = open_dataset(request.data, split, request.config.classes)
    if request.config.classes is not None or known is None or names_its_own(dataset, known):
        return dataset, False
    return with_names(dataset, known), True


def open_for(data: Path, split: str, start: Checkpoint) -> SegDataset:
    """A split with the classes of the network that it is for.

    Raises:
        DataError: the dataset has other classes.
    """
    dataset = open_dataset_for(data, split, start.spec.labels)
    if dataset.labels.names == start.spec.labels.names:
        return dataset
    raise DataError(
        f"dataset {data}: has {len(dataset.labels)} classes ({', '.join(dataset.labels.names[:3])}, …), but the checkpoint "
        f"was trained on {len(start.spec.labels)} ({', '.join(start.spec.labels.names[:3])}, …); "
        "pass the data that it was made for"
    )


def _same_labels(train: SegDataset, val: SegDataset) -> tuple[SegDataset, SegDataset]:
    # Classes counted from label values differ when the highest one occurs in one split only: the larger list holds both.
    labels = max(train.labels, val.labels, key=len)
    return replace(train, labels=labels), replace(val, labels=labels)


def _size_of(data: SegDataset) -> tuple[int, int]:
    height, width = data.read(0)[0].shape[:2]
    if min(height, width) < STRIDE:
        raise DataError(f"{data.images[0]}: {width}x{height} is smaller than the network's stride {STRIDE}; pass `size_hw`")
    return height // STRIDE * STRIDE, width // STRIDE * STRIDE


def _check_batch(model: str, images: int, size_hw: tuple[int, int]) -> None:
    if images == 1 and TABLE[model].pools:
        raise InputError(
            f"{model} normalizes the mean of the whole image, which is a single value with one image per step; "
            "pass a `batch` of at least 2 (and at least two training images)"
        )
    if images == 1 and size_hw == (STRIDE, STRIDE):
        raise InputError(
            f"one image of {STRIDE}x{STRIDE} per step leaves batch normalization a single value at the deepest "
            "stage; pass a larger `batch` or `size_hw` (and at least two training images)"
        )


def _check_shares(request: Request, train_images: int, val_images: int, group: Processes) -> None:
    config = request.config
    if group.count == 1:
        return
    if config.batch % group.count:
        near = max(1, round(config.batch / group.count)) * group.count
        raise InputError(
            f"`batch={config.batch}` is that of all {group.count} processes together, and must be a multiple of "
            f"{group.count}; pass `batch={near}`"
        )
    if train_images < config.batch:
        raise InputError(
            f"{config.train_split} has {train_images} images, fewer than `batch={config.batch}`, which "
            f"{group.count} processes can't share; pass a smaller one"
        )
    if val_images < group.count:
        raise InputError(
            f"{config.val_split} has {val_images} images, and each of {group.count} processes needs one; start fewer"
        )


def _check_labels(train: SegDataset, frequencies: npt.NDArray[np.float64]) -> None:
    used = np.flatnonzero(frequencies)
    if used.size > 1:
        return
    what = f"class {train.labels.names[used[0]]} alone" if used.size and used[0] < len(train.labels) else "one value alone"
    raise DataError(
        f"dataset {train.root}, {train.split}: "
        + (f"its labels hold {what}, so there is nothing to tell apart" if used.size else "every label pixel is void")
        + f"; check what the label files' values mean (seg-edge data check {train.root})"
    )


def _scan(
    train: SegDataset, val: SegDataset, sets: int, progress: Progress
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Reads every pair once before the first epoch: a bad one at the end of the list must not end a night's training.

    Returns:
        The share of each label among the labelled pixels of ``train``, (classes + sets,), and what to say of the data.

    Raises:
        DataError: pairs that can't be trained on.
    """
    scans = [scan(data, progress) for data in (train, val)]
    for data, scanned in zip((train, val), scans, strict=True):
        errors = scanned.errors
        if errors:
            more = (
                f" ({len(errors)} of {len(data)} pairs are wrong: seg-edge data check {data.root})"
                if len(errors) > 1
                else ""
            )
            raise DataError(f"{errors[0]}{more}")
    reports, known = [scanned.report for scanned in scans], len(train.labels) + sets
    if not is_merged(train.root) and (doubts := doubtful_void(train.root, reports, train.labels, train.options.void)):
        raise DataError(f"dataset {train.root}: {doubts[0]}")
    if not scans[1].counts[:known].any():
        raise DataError(f"dataset {val.root}, {val.split}: every label pixel is void, so there is nothing to measure by")
    counts = scans[0].counts[:known].astype(np.float64)
    notes = [f"{data.split}: {line}" for data, scanned in zip((train, val), scans, strict=True) for line in scanned.remarks]
    findings = silent(train.root, reports, train.labels)
    alike = duplicates(
        {scanned.report.name: scanned.hashes for scanned in scans},
        {data.split: [path.name for path in data.images] for data in (train, val)},
    )
    if alike:
        twice = {row[3] for row in alike}
        notes.append(
            f"{len(twice)} images of {val.split} are nearly those of {train.split}, such as {alike[0][3]}: what is "
            f"learned by heart will look like skill (seg-edge data check {train.root})"
        )
    damaged = [path for scanned in scans for path in scanned.damaged]
    if damaged:
        notes.append(f"the first damaged file: {damaged[0]}; what can be decoded of such files is trained on")
    return counts / max(counts.sum(), 1.0), (*notes, *findings)


def _device(wanted: str | None) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError("`device='cuda'`: no CUDA device is visible to torch; pass `device='cpu'`, or see seg-edge doctor")
    return wanted or ("cuda" if torch.cuda.is_available() else "cpu")


def _fast_precision(device: str, half: bool) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # Without bf16 instructions oneDNN emulates them: 10 times slower than fp32 when measured on an AVX2 machine.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bf16" if half or any(check() for check in checks if check) else "fp32"
