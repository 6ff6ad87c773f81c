"""Training from end to end: dataset in, ``best.pt``, ``last.pt``, curves and report out."""

from __future__ import annotations

import logging
import math
import platform
import sys
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from ..core.artefact import REPORT_JSON, remove_leftovers, sha256, write_json
from ..core.errors import DataError, InputError, UnknownNameError
from ..core.labels import Labels
from ..core.shipped import CHECKPOINT, shipped
from ..core.spec import ModelSpec
from ..datasets.dataset import SegDataset
from ..datasets.merged import UNLABELLED
from .begin import begin_with, config_for
from .callbacks import EMA, EarlyStop, EpochSeed, History, checkpoints, kept_name
from .checkpoint import BEST, AtomicCheckpointIO
from .cpu.depthwise import use_fp32_gradients
from .cpu.memory import keep_freed_memory
from .cpu.weight_gradient import use_matrix_products, worthwhile
from .data.augment import AugmentConfig
from .data.module import default_workers, loaders
from .distributed import Processes, agreed, connected, from_first, join, placement, processes, synchronize
from .lightning_module import SegmentationModule, draws_per_image
from .losses.auxiliary import Auxiliary
from .losses.distill import Distillation, DistillConfig
from .losses.siamese import Siamese, SiameseConfig
from .losses.terms import DEFAULT_LOSS, class_weights, parse_loss
from .models import pretrained
from .models.branches import add_branches
from .models.catalog import build, check_name, stride_of
from .models.registry import MODELS, macs, parameters
from .models.unet import STRIDE
from .prepare import Prepared, prepare
from .resume import recipe_of
from .tensorboard import TensorBoard

DEVICES = ("cpu", "cuda")
#: Optimizers, and the peak rates at which they usually do well.
OPTIMIZERS = {"adamw": 2e-3, "sgd": 0.05}
#: What a training writes.
FILES = (BEST, "last.pt", "metrics.csv", "curves.png", REPORT_JSON)
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class TrainConfig:
    """All that a training depends on.

    Attributes:
        data: Folder with images/<split> and labels/<split>.
        out: Folder that is written.
        model: Name in the catalog: the compact family or the zoo.
        epochs: Passes over the training split.
        size_hw: Network input, pixels; None takes the first image's size, rounded down to multiples of 32.
        crop_hw: Size of the training's crops, pixels; None is the network's input. Things in them keep their sizes.
        classes: Name of a class list; None lets the dataset say.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``half`` for the better of the last two on the device; None takes it
            where the device computes it fast, else fp32.
        device: ``cpu``, ``cuda`` or None for the best that is there.
        workers: Loader processes; None takes one for each core up to 8.
        init: Checkpoint whose network, weights included, training begins with (a pruned one, or one to be tuned further).
        distill: A teacher that takes part in the loss.
        branches: Train every 3×3 convolution as a sum of kernels, see :mod:`seg_edge.train.models.branches`.
        aux: Weight of the decoder's auxiliary classifiers; 0 leaves them out.
        loss: Terms of the loss, see :func:`seg_edge.train.losses.terms.parse_loss`.
        class_weights: How much rare classes weigh more in it: 1 as :func:`seg_edge.train.losses.terms.class_weights`, 0 not.
        optimizer: ``adamw`` or ``sgd`` (Nesterov's momentum, 0.9).
        accumulate: Batches whose gradients are averaged for one step.
        patience: Stop after this many epochs without a better validation mIoU; None never does.
        deterministic: Use deterministic algorithms alone; an operation without one is an error.
        pretrained: Weights for a zoo network's encoder: ``imagenet`` or a file, see :mod:`seg_edge.train.models.pretrained`.
        unlabelled: What pixels are that a dataset of single classes leaves unlabelled: ``marginal`` (background or any class
            that it doesn't label) or ``background``.
        freeze: The encoder of ``init`` is not trained further.
        siamese: Two appearances of each image, pulled together; None trains on one.
        save_every: Keep a checkpoint of every so many epochs, ``epoch_0010.pt``; None keeps the best and the last alone.
        tensorboard: Write curves and pictures for TensorBoard.
    """

    data: Path
    out: Path
    model: str = "unet-s"
    epochs: int = 100
    batch: int = 8
    size_hw: tuple[int, int] | None = None
    crop_hw: tuple[int, int] | None = None
    lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: float = 0.03
    ema: float = 0.998
    seed: int = 0
    classes: str | None = None
    precision: str | None = None
    device: str | None = None
    workers: int | None = None
    train_split: str = "train"
    val_split: str = "val"
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    init: Path | None = None
    distill: DistillConfig | None = None
    branches: bool = False
    aux: float = 0.0
    loss: str = DEFAULT_LOSS
    class_weights: float = 1.0
    optimizer: str = "adamw"
    accumulate: int = 1
    patience: int | None = None
    deterministic: bool = False
    pretrained: str | None = None
    unlabelled: str = "marginal"
    freeze: bool = False
    siamese: SiameseConfig | None = None
    save_every: int | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        check_name(self.model)
        if self.pretrained is not None:
            if self.init is not None:
                raise InputError("train: --init brings all weights along; drop --pretrained or --init")
            pretrained.check(self.model, self.pretrained)
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        if self.unlabelled not in UNLABELLED:
            raise UnknownNameError("--unlabelled", self.unlabelled, UNLABELLED)
        if self.siamese and self.distill:
            raise InputError("train: --siamese and --teacher exclude each other; pass one of them")
        if self.siamese and self.aux:
            raise InputError("train: --siamese and --aux exclude each other; pass one of them")
        parse_loss(self.loss)
        positive = {"epochs": self.epochs, "batch": self.batch, "accumulate": self.accumulate}
        for name, optional in (("patience", self.patience), ("save-every", self.save_every)):
            if optional is not None:
                positive[name] = optional
        for name, value in positive.items():
            if value < 1:
                raise InputError(f"train: --{name} must be at least 1, got {value}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"train: --lr must be positive, got {self.lr}")
        for name, weight in (("aux", self.aux), ("class-weights", self.class_weights)):
            if not 0 <= weight < math.inf:
                raise InputError(f"train: --{name} must be 0 or more, got {weight}")
        if self.precision is not None and self.precision not in ("half", *PRECISIONS):
            raise UnknownNameError("precision", self.precision, ("half", *PRECISIONS))
        if self.device is not None and self.device not in DEVICES:
            raise UnknownNameError("device", self.device, DEVICES)
        if not 0 <= self.seed < 2**32:
            raise InputError(f"train: --seed must lie in 0 to {2**32 - 1}, got {self.seed}")
        if self.workers is not None and self.workers < 0:
            raise InputError(f"train: --workers must not be negative, got {self.workers}")
        for option, size_hw in (("--imgsz", self.size_hw), ("--crop", self.crop_hw)):
            if size_hw and any(v < STRIDE or v % STRIDE for v in size_hw):
                near = tuple(max(STRIDE, round(v / STRIDE) * STRIDE) for v in size_hw)
                raise InputError(
                    f"train: {option} HEIGHTxWIDTH must be multiples of {STRIDE}, got {size_hw[0]}x{size_hw[1]}; "
                    f"try {near[0]}x{near[1]}"
                )


def fit(config: TrainConfig, *, resume: bool = False, progress: bool = True) -> dict[str, Any]:
    """Trains a network.

    Args:
        config: See :class:`TrainConfig`.
        resume: Continue from ``last.pt`` in ``config.out``; the epochs' total may have been raised.
        progress: Show a bar (on a terminal) and a line per epoch.

    Under ``torchrun`` all processes call it alike: see :mod:`.distributed`. The first one writes and prints.

    Returns:
        The report, which is also ``report.json`` in ``config.out``.

    Raises:
        ProcessError: another of the training's processes failed.
        SegEdgeError: a wrong dataset, option or checkpoint; nothing has been written then.
        KeyboardInterrupt: on Ctrl-C; ``last.pt`` then holds the last whole epoch.
    """
    group = processes()
    join(group, config.device)
    with agreed(group):
        ready = prepare(config, resume, group)
        loading = None if ready.rows is not None else loaders(
            ready.train, ready.val, size_hw=ready.size_hw, batch=config.batch,
            workers=default_workers(group.local_count) if config.workers is None else config.workers,
            augment=config.augment, seed=config.seed, pin=ready.device == "cuda", frequencies=ready.frequencies,
            crop_hw=ready.crop_hw, share=(group.rank, group.count), epoch=ready.epoch,
        )  # fmt: skip
    config.out.mkdir(parents=True, exist_ok=True)
    if group.first:
        kept = range(config.save_every, config.epochs + 1, config.save_every) if config.save_every else ()
        remove_leftovers(config.out, [*FILES, *map(kept_name, kept)])  # of a run that was killed while it wrote
    if ready.device == "cpu":
        keep_freed_memory()
    with warnings.catch_warnings():
        _quiet()
        deterministic_before = torch.are_deterministic_algorithms_enabled()  # the Trainer's constructor sets it
        pl.seed_everything(config.seed, workers=True, verbose=False)
        with agreed(group):
            module, size = _network(config, ready, group, progress)
        history = History(config.out, config.epochs, quiet=not progress, first=group.first)
        stopping = EarlyStop(config.patience) if config.patience else None
        bar: list[pl.Callback] = [TQDMProgressBar(refresh_rate=1, leave=False)] if progress and sys.stderr.isatty() else []
        trainer = pl.Trainer(
            accelerator="gpu" if ready.device == "cuda" else "cpu",
            **placement(group),
            max_epochs=config.epochs,
            precision=PRECISIONS[ready.precision],  # type: ignore[arg-type]  # Lightning's literals
            logger=False,
            callbacks=[
                EpochSeed(config.seed, group.rank if draws_per_image(module) else 0),
                EMA(config.ema),
                history,
                *([TensorBoard(config.out, history)] if config.tensorboard else []),
                *checkpoints(config.out, config.save_every),
                *bar,
                *([stopping] if stopping else []),
            ],
            plugins=[AtomicCheckpointIO()],
            enable_progress_bar=bool(bar),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            gradient_clip_val=5.0,
            accumulate_grad_batches=config.accumulate,
            deterministic=config.deterministic or None,
        )
        try:
            if loading:
                train_loader, val_loader = loading
                if val_loader.num_workers:
                    # Forked now: after an epoch its processes would hold on to a copy of all that the training freed.
                    iter(val_loader)
                last = config.out / "last.pt" if ready.earlier else None
                with connected(group):
                    trainer.fit(module, train_loader, val_loader, ckpt_path=last)
            elif ready.rows is not None:
                history.finish(ready.rows)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from stop
        except DataError as error:  # a loader process wraps the line in its traceback
            raise DataError(str(error).strip().rpartition("DataError: ")[2]) from None
        finally:
            # A switch of the whole process, which a caller may go on in.
            torch.use_deterministic_algorithms(deterministic_before)
        if trainer.interrupted:
            raise KeyboardInterrupt
    if stopping and stopping.stopped_epoch and progress and group.first:
        print(f"stopped: no better mIoU in {config.patience} epochs", file=sys.stderr, flush=True)
    report: dict[str, Any] = {}
    if group.first:
        report = _report(config, module.spec, history, ready, size)
        write_json(config.out / REPORT_JSON, report)
    return dict(from_first(group, report))


def _network(
    config: TrainConfig, ready: Prepared, group: Processes, progress: bool
) -> tuple[SegmentationModule, dict[str, int]]:
    """The network with all that its training adds, and the size of what runs, without additions."""
    start, labels, size_hw = ready.start, ready.train.labels, ready.size_hw
    net = build(config.model, len(labels), ready.shape or (config_for(start, len(labels)) if start else None))
    if start:
        new = begin_with(net, start, labels)
        if ready.assumed and not ready.earlier and group.first and progress:
            print(
                f"train: {config.data} names no classes; taken as those of --init: {', '.join(labels.names)}",
                file=sys.stderr,
            )
        if new and not ready.earlier and group.first and progress:
            learns = f"the head learns {'it' if len(new) == 1 else 'them'} anew"
            print(f"train: --init {config.init} does not know {', '.join(new)}; {learns}", file=sys.stderr)
    elif config.pretrained and not ready.earlier:
        pretrained.load(net, config.model, config.pretrained)
    size = {"params": parameters(net), "macs": macs(net, size_hw)}
    if ready.device == "cpu" and worthwhile():
        use_matrix_products(net)
    if ready.device == "cpu" and ready.precision == "bf16":
        use_fp32_gradients(net)
    if config.branches:
        add_branches(net)
    if group.count > 1:
        net = synchronize(net, ready.device)
    net = net.to(memory_format=torch.channels_last)
    spec = (ready.base or _fresh_spec(config.model, labels, size_hw, stride_of(net))).with_(
        labels=labels, input_hw=size_hw, provenance=_provenance(config, ready.train, ready.base)
    )
    distillation = Distillation(config.distill, ready.teacher, net, size_hw) if config.distill and ready.teacher else None
    module = SegmentationModule(
        net, config.model, spec, class_weights(ready.frequencies, config.class_weights),
        lr=config.lr, weight_decay=config.weight_decay, warmup=config.warmup,
        auxiliary=Auxiliary(net, len(labels), config.aux) if config.aux else None,
        distillation=distillation, loss=config.loss, optimizer=config.optimizer, sets=ready.sets,
        siamese=Siamese(config.siamese, net, size_hw) if config.siamese else None,
        freeze=config.freeze,
    )  # fmt: skip
    return module, size


def _report(
    config: TrainConfig, spec: ModelSpec, history: History, ready: Prepared, size: dict[str, int]
) -> dict[str, Any]:  # fmt: skip
    seconds = sum(row["seconds"] for row in history.rows)
    scored = [row for row in history.rows if "val_miou" in row]
    best = max(scored, key=lambda row: row["val_miou"]) if scored else None
    return {
        "model": config.model,
        "data": str(config.data),
        "images": {config.train_split: len(ready.train), config.val_split: len(ready.val)},
        "imgsz": list(spec.input_hw),
        **size,
        "epochs": len(history.rows),
        "best": best
        and {"epoch": int(best["epoch"]), "miou": best["val_miou"], "pixel_accuracy": best["val_pixel_accuracy"]},
        "seconds": seconds,  # of all epochs, in however many parts they were trained
        "seconds_per_epoch": seconds / max(1, len(history.rows)),
        "device": ready.device,
        "precision": ready.precision,
        "checkpoint": {"file": BEST, "sha256": sha256(config.out / BEST)},
        "config": _plain(asdict(config)),
        "versions": _versions(),
        "history": history.rows,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold."""
    return {
        key: str(value) if isinstance(value, Path) else _plain(value) if isinstance(value, dict) else value
        for key, value in values.items()
    }


def _fresh_spec(model: str, labels: Labels, size_hw: tuple[int, int], stride: int) -> ModelSpec:
    spec = ModelSpec(model, labels, size_hw, output_stride=stride)
    return spec.with_(mean=MODELS[model].mean, std=MODELS[model].std) if model in MODELS else spec


def _provenance(config: TrainConfig, train: SegDataset, base: ModelSpec | None) -> dict[str, Any]:
    """Of a training; ``base`` is the spec that it goes on from."""
    before = base.provenance if base else {}
    kept = {key: before[key] for key in ("init", "pruned", "pretrained") if key in before}
    if config.init is not None:
        kept["init"] = {"file": config.init.name, "sha256": sha256(shipped(config.init, CHECKPOINT))}
    if config.pretrained is not None:
        kept["pretrained"] = pretrained.provenance(config.pretrained)
    if config.distill is not None:
        kept["teacher"] = config.distill.provenance()
    return kept | {
        "dataset": config.data.resolve().name,
        "split": config.train_split,
        "images": len(train),
        "epochs": config.epochs,
        "recipe": recipe_of(config),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": str(torch.__version__), "lightning": lightning.__version__}


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Advice on loader processes and logging steps; a user of the command has no use for it.
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*isinstance.*LeafSpec.*")
