"""Resuming: what a training must have in common with the one that it continues, and what a checkpoint records of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ..core.artefact import REPORT_JSON, sha256
from ..core.errors import InputError, ModelFileError
from ..core.shipped import CHECKPOINT, shipped
from ..core.spec import ModelSpec
from ..datasets.dataset import SegDataset
from .callbacks import EarlyStop, History
from .checkpoint.file import KEY, read_checkpoint
from .checkpoint.teacher import provenance
from .config import TrainConfig
from .losses.options import DistillOptions
from .models import pretrained
from .request import Request

#: Options of the recipe that no option of the command sets.
_NO_OPTION = ("warmup", "ema")


def recipe_of(config: TrainConfig) -> dict[str, Any]:
    """The options that make a training what it is, as JSON values: a checkpoint records them."""
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
        rows: The history, if the training was killed after its last epoch, so that only curves and report are missing.
    """

    spec: ModelSpec
    net: dict[str, Any]
    epoch: int
    rows: list[dict[str, float]] | None


def resume_from(request: Request, train: SegDataset) -> Resumed:
    """What ``last.pt`` holds, if the training that is asked for can continue from there.

    Raises:
        ModelFileError: ``last.pt`` does not hold the state of a training.
        InputError: an option would make it another training; the text says which value to pass.
    """
    config, last = request.config, request.last
    data = read_checkpoint(last)
    if "optimizer_states" not in data:
        raise ModelFileError(f"{last} holds weights only (is it a copy of best.pt?); no training can continue from it")
    about, epoch = data[KEY], int(data["epoch"]) + 1
    spec = ModelSpec.from_dict(about["spec"])
    if about["model"] != config.model:
        raise InputError(f"{last} holds {about['model']}, but `model` is {config.model}; pass `model={about['model']!r}`")
    if spec.labels != train.labels:
        raise InputError(f"{last} was trained on other classes than {request.data} has; pass the same `data`")
    if config.size_hw and config.size_hw != spec.input_hw:
        raise InputError(f"{last} has `size_hw={spec.input_hw[0]}x{spec.input_hw[1]}`; pass the same or leave it out")
    # The optimizer's state brings some of these along, and would ignore others; the rest would change in the middle.
    before = spec.provenance.get("recipe", {})
    for name, value in recipe_of(config).items():
        if name in before and before[name] != value:
            old, new = (",".join(map(str, x)) if isinstance(x, list) else x for x in (before[name], value))
            field = f"{name} {old}" if name in _NO_OPTION else f"`{name}={old}`"
            raise InputError(f"{last} was trained with {field}, got {new}; pass the same")
    steps, now = int(data["global_step"]) // epoch, -(-max(1, len(train) // config.batch) // config.accumulate)
    if steps != now:
        raise InputError(
            f"{last} was trained in {steps} steps per epoch, but {len(train)} images in batches of {config.batch} "
            f"are {now}; pass the same `data` and `batch`"
        )
    rows = _unreported(data, request)
    if epoch >= config.epochs and rows is None:
        raise InputError(f"{last} has {epoch} epochs already; pass `epochs` above that to train on")
    init = spec.provenance.get("init")
    if config.init is not None and (init is None or init["sha256"] != sha256(shipped(config.init, CHECKPOINT))):
        raise InputError(
            f"{last} began with {init['file'] if init else 'no other checkpoint'}, got `init={str(config.init)!r}`; "
            "leave it out: a resumed training has all that it needs"
        )
    if config.pretrained is not None and spec.provenance.get("pretrained") != pretrained.provenance(config.pretrained):
        raise InputError(
            f"{last} began with other weights than `pretrained={config.pretrained!r}`; "
            "leave it out: a resumed training has all that it needs"
        )
    _check_teacher(last, spec.provenance.get("teacher"), config.distill)
    return Resumed(spec, about["config"], epoch, rows)


def _unreported(data: dict[str, Any], request: Request) -> list[dict[str, float]] | None:
    """See :attr:`Resumed.rows`: between the last checkpoint and the report, a training can be killed too."""
    config, epoch = request.config, int(data["epoch"]) + 1
    stopping = next((state for key, state in data["callbacks"].items() if key.startswith(EarlyStop.__name__)), None)
    stopped = config.patience is not None and stopping is not None and stopping["wait_count"] >= config.patience
    if epoch != config.epochs and not stopped:
        return None
    try:
        reported = int(json.loads((request.out / REPORT_JSON).read_text(encoding="utf-8"))["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        reported = 0
    return None if reported >= epoch else list(data["callbacks"][History.__name__]["rows"])


def _check_teacher(last: Path, before: dict[str, Any] | None, now: DistillOptions | None) -> None:
    if before is not None:
        before = {"scale": 1.0} | before  # older checkpoints: the teacher saw what the student saw
    after = provenance(now) if now else None
    if before == after:
        return
    if before is None or after is None:
        raise InputError(
            f"{last} was trained {'with' if before else 'without'} `teacher`, got {'one' if now else 'none'}; "
            "pass the same options"
        )
    fields = {
        "sha256": "teacher", "temperature": "temperature", "logits": "kd_weight", "features": "feature_weight",
        "scale": "teacher_scale",
    }  # fmt: skip
    key = next((key for key in fields if before[key] != after[key]), None)
    if key is not None:  # another name of the same file is no difference
        raise InputError(f"{last} was trained with another `{fields[key]}` ({before[key]}), got {after[key]}; pass the same")
