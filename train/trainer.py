"""Training from end to end: dataset in, ``best.pt``, ``last.pt``, curves and report out."""

from __future__ import annotations

import logging
import math
import platform
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from ..core.artifact import REPORT_JSON, sha256, write_json
from ..core.dataset import CLASSES_FILE, SegDataset, open_dataset
from ..core.errors import DataError, InputError, UnknownNameError
from ..core.labels import Labels
from ..core.merged import UNLABELLED, as_background
from ..core.spec import ModelSpec
from .auxiliary import Auxiliary
from .callbacks import EMA, EarlyStop, EpochSeed, History, checkpoints
from .checkpoint import BEST, AtomicCheckpointIO, Checkpoint, load_checkpoint
from .data.augment import AugmentConfig
from .data.module import class_frequencies, default_workers, loaders
from .distill import Distillation, DistillConfig, open_teacher
from .engine import SegmentationModule
from .losses import DEFAULT_LOSS, check_sets, class_weights, parse_loss
from .models import pretrained
from .models.branches import add_branches
from .models.catalog import TABLE, build, check_name, stride_of
from .models.registry import MODELS, macs, parameters
from .models.unet import STRIDE
from .resume import recipe_of, resume_from
from .siamese import Siamese, SiameseConfig

DEVICES = ("cpu", "cuda")
#: Optimizers, and the peak rates at which they usually do well.
OPTIMIZERS = {"adamw": 2e-3, "sgd": 0.05}
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
        loss: Terms of the loss, see :func:`seg_edge.train.losses.parse_loss`.
        optimizer: ``adamw`` or ``sgd`` (Nesterov's momentum, 0.9).
        accumulate: Batches whose gradients are averaged for one step.
        patience: Stop after this many epochs without a better validation mIoU; None never does.
        deterministic: Use deterministic algorithms alone; an operation without one is an error.
        pretrained: Weights for a zoo network's encoder: ``imagenet`` or a file, see :mod:`seg_edge.train.models.pretrained`.
        unlabelled: What pixels are that a dataset of single classes leaves unlabelled: ``marginal`` (background or any class
            that it doesn't label) or ``background``.
        freeze: The encoder of ``init`` is not trained further.
        siamese: Two appearances of each image, pulled together; None trains on one.
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
    optimizer: str = "adamw"
    accumulate: int = 1
    patience: int | None = None
    deterministic: bool = False
    pretrained: str | None = None
    unlabelled: str = "marginal"
    freeze: bool = False
    siamese: SiameseConfig | None = None

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
        if self.patience is not None:
            positive["patience"] = self.patience
        for name, value in positive.items():
            if value < 1:
                raise InputError(f"train: --{name} must be at least 1, got {value}")
        if not 0 < self.lr < math.inf:
            raise InputError(f"train: --lr must be positive, got {self.lr}")
        if not 0 <= self.aux < math.inf:
            raise InputError(f"train: --aux must be 0 or more, got {self.aux}")
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

    Returns:
        The report, which is also ``report.json`` in ``config.out``.

    Raises:
        SegEdgeError: a wrong dataset, option or checkpoint; nothing has been written then.
        KeyboardInterrupt: on Ctrl-C; ``last.pt`` then holds the last whole epoch.
    """
    start = _start(config)
    train, val = (open_for(config.data, split, config.classes, start) for split in (config.train_split, config.val_split))
    if train.labels != val.labels:
        train, val = _same_labels(train, val)
    if config.unlabelled == "background":
        train = as_background(train)
    sets = train.sets or val.sets
    check_sets(config.loss, sets)
    last = config.out / "last.pt"
    earlier, shape = resume_from(last, config, train) if resume else (None, None)
    if not resume and last.exists():
        raise InputError(f"train: {config.out} holds a training already; pass --resume to continue it, or another --out")
    if config.freeze and start is None and earlier is None and config.pretrained is None:
        raise InputError(
            "train: --freeze keeps the encoder as it is, which needs one that was trained; pass --init CKPT, or --pretrained"
        )
    base = earlier or (start.spec if start else None)
    size_hw = (earlier.input_hw if earlier else config.size_hw) or (base.input_hw if base else _size_of(train))
    crop_hw = config.crop_hw or size_hw
    if crop_hw[0] > size_hw[0] or crop_hw[1] > size_hw[1]:
        raise InputError(
            f"train: --crop {crop_hw[0]}x{crop_hw[1]} is larger than the network's input, {size_hw[0]}x{size_hw[1]}; "
            "pass a smaller one, or a larger --imgsz"
        )
    _check_batch(config.model, min(config.batch, len(train)), crop_hw)
    device, precision = _device(config.device), config.precision
    precision = _fast_precision(device, half=precision == "half") if precision in (None, "half") else precision
    _check_sizes(val)
    # Of all pixels, the unlabelled ones included: classes that few datasets label weigh more than by their true shares. True
    # shares (the most likely ones, by EM) were tried: in a small trial they learned slower, the background too.
    frequencies = class_frequencies(train, len(sets))
    teacher = open_teacher(config.distill.teacher, train.labels) if config.distill else None

    config.out.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        _quiet()
        deterministic_before = torch.are_deterministic_algorithms_enabled()  # the Trainer's constructor sets it
        pl.seed_everything(config.seed, workers=True, verbose=False)
        net = build(config.model, len(train.labels), shape or (start.config if start else None))
        if start:
            net.load_state_dict(start.model.state_dict())
        elif config.pretrained and not earlier:
            pretrained.load(net, config.model, config.pretrained)
        size = {"params": parameters(net), "macs": macs(net, size_hw)}  # of what runs: without the training's additions
        if config.branches:
            add_branches(net)
        net = net.to(memory_format=torch.channels_last)
        spec = (base or _fresh_spec(config.model, train.labels, size_hw, stride_of(net))).with_(
            labels=train.labels, input_hw=size_hw, provenance=_provenance(config, train, base)
        )
        distillation = None
        if config.distill and teacher:
            distillation = Distillation(config.distill, teacher, net, size_hw)
        module = SegmentationModule(
            net, config.model, spec, class_weights(frequencies),
            lr=config.lr, weight_decay=config.weight_decay, warmup=config.warmup,
            auxiliary=Auxiliary(net, len(train.labels), config.aux) if config.aux else None,
            distillation=distillation, loss=config.loss, optimizer=config.optimizer, sets=sets,
            siamese=Siamese(config.siamese, net, size_hw) if config.siamese else None,
            freeze=config.freeze,
        )  # fmt: skip
        history = History(config.out, config.epochs, quiet=not progress)
        stopping = EarlyStop(config.patience) if config.patience else None
        bar: list[pl.Callback] = [TQDMProgressBar(refresh_rate=1, leave=False)] if progress and sys.stderr.isatty() else []
        trainer = pl.Trainer(
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            max_epochs=config.epochs,
            precision=PRECISIONS[precision],  # type: ignore[arg-type]  # Lightning's literals
            logger=False,
            callbacks=[
                EpochSeed(config.seed),
                EMA(config.ema),
                history,
                *checkpoints(config.out),
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
        train_loader, val_loader = loaders(
            train, val, size_hw=size_hw, batch=config.batch,
            workers=default_workers() if config.workers is None else config.workers,
            augment=config.augment, seed=config.seed, pin=device == "cuda", frequencies=frequencies,
            crop_hw=crop_hw,
        )  # fmt: skip
        began = time.perf_counter()
        try:
            trainer.fit(module, train_loader, val_loader, ckpt_path=last if earlier else None)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            raise KeyboardInterrupt from stop
        except DataError as error:  # a loader process wraps the line in its traceback
            raise DataError(str(error).strip().rpartition("DataError: ")[2]) from None
        finally:
            # A switch of the whole process, which a caller may go on in.
            torch.use_deterministic_algorithms(deterministic_before)
        if trainer.interrupted:
            raise KeyboardInterrupt
    if stopping and stopping.stopped_epoch and progress:
        print(f"stopped: no better mIoU in {config.patience} epochs", file=sys.stderr, flush=True)
    report = _report(config, spec, history, time.perf_counter() - began, precision, device, size, len(train), len(val))
    write_json(config.out / REPORT_JSON, report)
    return report


def _report(
    config: TrainConfig, spec: ModelSpec, history: History, seconds: float, precision: str, device: str,
    size: dict[str, int], train_images: int, val_images: int,
) -> dict[str, Any]:  # fmt: skip
    scored = [row for row in history.rows if "val_miou" in row]
    best = max(scored, key=lambda row: row["val_miou"]) if scored else None
    return {
        "model": config.model,
        "data": str(config.data),
        "images": {config.train_split: train_images, config.val_split: val_images},
        "imgsz": list(spec.input_hw),
        **size,
        "epochs": len(history.rows),
        "best": best
        and {"epoch": int(best["epoch"]), "miou": best["val_miou"], "pixel_accuracy": best["val_pixel_accuracy"]},
        "seconds": seconds,
        "seconds_per_epoch": sum(row["seconds"] for row in history.rows) / max(1, len(history.rows)),
        "device": device,
        "precision": precision,
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


def _start(config: TrainConfig) -> Checkpoint | None:
    """The network of ``--init``."""
    if config.init is None:
        return None
    start = load_checkpoint(config.init)
    if start.name != config.model:
        raise InputError(
            f"train: --init {config.init} holds {start.name}, but --model is {config.model}; pass --model {start.name}"
        )
    return start


def open_for(data: Path, split: str, classes: str | None, start: Checkpoint | None) -> SegDataset:
    """A split with the classes of the network that it is for.

    Raises:
        DataError: the dataset has other classes.
    """
    found = open_dataset(data, split, classes)
    if start is None or found.labels == start.spec.labels:
        return found
    if classes is None and not (data / CLASSES_FILE).is_file():
        # Numbers alone name no classes: take the network's; reading checks that the values fit.
        return open_dataset(data, split, start.spec.labels)
    raise DataError(
        f"dataset {data}: has {len(found.labels)} classes ({', '.join(found.labels.names[:3])}, …), but the checkpoint was "
        f"trained on {len(start.spec.labels)} ({', '.join(start.spec.labels.names[:3])}, …); pass the data it was made for"
    )


def _same_labels(train: SegDataset, val: SegDataset) -> tuple[SegDataset, SegDataset]:
    # Classes counted from label values differ when the highest one occurs in one split only: the larger list holds both.
    labels = max(train.labels, val.labels, key=len)
    return replace(train, labels=labels), replace(val, labels=labels)


def _size_of(data: SegDataset) -> tuple[int, int]:
    height, width = data.read(0)[0].shape[:2]
    if min(height, width) < STRIDE:
        raise DataError(f"{data.images[0]}: {width}x{height} is smaller than the network's stride {STRIDE}; pass --imgsz")
    return height // STRIDE * STRIDE, width // STRIDE * STRIDE


def _check_batch(model: str, images: int, size_hw: tuple[int, int]) -> None:
    if images == 1 and TABLE[model].pools:
        raise InputError(
            f"train: {model} normalizes the mean of the whole picture, which is a single value with one image per step; "
            "pass a --batch of at least 2 (and at least two training images)"
        )
    if images == 1 and size_hw == (STRIDE, STRIDE):
        raise InputError(
            f"train: one image of {STRIDE}x{STRIDE} per step leaves batch normalization a single value at the deepest "
            "stage; pass a larger --batch or --imgsz (and at least two training images)"
        )


def _check_sizes(val: SegDataset) -> None:
    # One full read before the first epoch: a bad pair at the end of the list must not end a night's training.
    for index in range(len(val)):
        val.read(index)


def _device(wanted: str | None) -> str:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "train: --device cuda: no CUDA device is visible to torch; pass --device cpu, or see seg-edge doctor"
        )
    return wanted or ("cuda" if torch.cuda.is_available() else "cpu")


def _fast_precision(device: str, half: bool) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    # Without bf16 instructions oneDNN emulates them: 10 times slower than fp32 when measured on an AVX2 machine.
    checks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bf16" if half or any(check() for check in checks if check) else "fp32"


def _provenance(config: TrainConfig, train: SegDataset, base: ModelSpec | None) -> dict[str, Any]:
    """Of a training; ``base`` is the spec that it goes on from."""
    before = base.provenance if base else {}
    kept = {key: before[key] for key in ("init", "pruned", "pretrained") if key in before}
    if config.init is not None:
        kept["init"] = {"file": config.init.name, "sha256": sha256(config.init)}
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
