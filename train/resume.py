"""What a training must have in common with the one that it goes on from, and what is kept of it in the checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.artefact import REPORT_JSON, sha256
from ..core.errors import InputError, ModelFileError
from ..core.shipped import CHECKPOINT, shipped
from ..core.spec import ModelSpec
from ..datasets.dataset import SegDataset
from .callbacks import EarlyStop, History
from .checkpoint import KEY, read_checkpoint
from .losses.distill import DistillConfig
from .models.pretrained import provenance

if TYPE_CHECKING:
    from .trainer import TrainConfig


def recipe_of(config: TrainConfig) -> dict[str, Any]:
    """The options without which a resumed training would be another one, as plain JSON values."""
    names = (
        "seed", "loss", "optimizer", "lr", "weight_decay", "warmup", "ema", "accumulate", "crop_hw", "branches", "aux",
        "unlabelled", "freeze", "class_weights",
    )  # fmt: skip
    values = {name: getattr(config, name) for name in names} | asdict(config.augment)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return plain | {"siamese": str(config.siamese) if config.siamese else "off"}


class Resumed(NamedTuple):
    """What a training goes on from.

    Attributes:
        spec: Of the checkpoint.
        net: Configuration of its network.
        epoch: Epochs that were trained.
        rows: The history of a training that had been through all its epochs when it was ended: the report alone is missing.
    """

    spec: ModelSpec
    net: dict[str, Any]
    epoch: int
    rows: list[dict[str, float]] | None


def resume_from(last: Path, config: TrainConfig, train: SegDataset) -> Resumed:
    """What ``last`` holds, if a training of ``config`` can go on from there.

    Raises:
        ModelFileError: there is nothing to go on from.
        InputError: an option would make it another training; the text says which value to pass.
    """
    if not last.is_file():
        raise ModelFileError(f"train: nothing to resume: {last} does not exist; leave --resume out to start")
    data = read_checkpoint(last)
    if "optimizer_states" not in data:
        raise ModelFileError(f"train: {last} holds weights only (it is a copy of best.pt?); training can't go on from it")
    about, epoch = data[KEY], int(data["epoch"]) + 1
    spec = ModelSpec.from_dict(about["spec"])
    if about["model"] != config.model:
        raise InputError(
            f"train: {last} holds {about['model']}, but --model is {config.model}; pass --model {about['model']}"
        )
    if spec.labels != train.labels:
        raise InputError(f"train: {last} was trained on other classes than {config.data} has; pass the same --data")
    if config.size_hw and config.size_hw != spec.input_hw:
        raise InputError(f"train: {last} has --imgsz {spec.input_hw[0]}x{spec.input_hw[1]}; pass the same or leave it out")
    # The optimizer's state brings some of these along, and would ignore others; the rest would change in the middle.
    before = spec.provenance.get("recipe", {})
    for name, value in recipe_of(config).items():
        if name in before and before[name] != value:
            option = name if name in ("warmup", "ema") else f"--{name.removesuffix('_hw').replace('_', '-')}"
            old, new = (",".join(map(str, x)) if isinstance(x, list) else x for x in (before[name], value))
            raise InputError(f"train: {last} was trained with {option} {old}, got {new}; pass the same")
    steps, now = int(data["global_step"]) // epoch, -(-max(1, len(train) // config.batch) // config.accumulate)
    if steps != now:
        raise InputError(
            f"train: {last} was trained in {steps} steps per epoch, but {len(train)} images in batches of {config.batch} "
            f"are {now}; pass the same --data and --batch"
        )
    rows = _unreported(data, config)
    if epoch >= config.epochs and rows is None:
        raise InputError(f"train: {last} has {epoch} epochs already; pass --epochs above that to train on")
    init = spec.provenance.get("init")
    if config.init is not None and (init is None or init["sha256"] != sha256(shipped(config.init, CHECKPOINT))):
        raise InputError(
            f"train: {last} began with {init['file'] if init else 'no other checkpoint'}, got --init {config.init}; "
            "leave it out: a resumed training has all that it needs"
        )
    if config.pretrained is not None and spec.provenance.get("pretrained") != provenance(config.pretrained):
        raise InputError(
            f"train: {last} began with other weights than --pretrained {config.pretrained}; "
            "leave it out: a resumed training has all that it needs"
        )
    _check_teacher(last, spec.provenance.get("teacher"), config.distill)
    return Resumed(spec, about["config"], epoch, rows)


def _unreported(data: dict[str, Any], config: TrainConfig) -> list[dict[str, float]] | None:
    """See :attr:`Resumed.rows`: between the last checkpoint and the report, a training can be killed too."""
    epoch = int(data["epoch"]) + 1
    stopping = next((state for key, state in data["callbacks"].items() if key.startswith(EarlyStop.__name__)), None)
    stopped = config.patience is not None and stopping is not None and stopping["wait_count"] >= config.patience
    if epoch != config.epochs and not stopped:
        return None
    try:
        reported = int(json.loads((config.out / REPORT_JSON).read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        reported = 0
    return None if reported >= epoch else list(data["callbacks"][History.__name__]["rows"])


def _check_teacher(last: Path, before: dict[str, Any] | None, now: DistillConfig | None) -> None:
    if before is not None:
        before = {"scale": 1.0} | before  # teachers saw what students see
    if before == (now.provenance() if now else None):
        return
    if before is None or now is None:
        raise InputError(
            f"train: {last} was trained {'with' if before else 'without'} --teacher, got {'one' if now else 'none'}; "
            "pass the same options"
        )
    names = {
        "sha256": "--teacher", "temperature": "--temperature", "logits": "--kd-weight", "features": "--feature-weight",
        "scale": "--teacher-scale",
    }  # fmt: skip
    fields = now.provenance()
    key = next((key for key in names if before[key] != fields[key]), None)
    if key is not None:  # another name of the same file is no difference
        raise InputError(
            f"train: {last} was trained with another {names[key]} ({before[key]}), got {fields[key]}; pass the same"
        )
