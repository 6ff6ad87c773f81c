"""Training from end to end: dataset in, ``best.pt``, ``last.pt``, curves and report out."""

from __future__ import annotations

import logging
import platform
import warnings
from typing import Any

import lightning
import lightning.pytorch as pl
import torch

from ..core.artefact import REPORT_JSON, remove_leftovers, sha256, write_json
from ..core.errors import DataError
from ..core.labels import Labels
from ..core.progress import Progress, Silent
from ..core.shipped import CHECKPOINT, shipped
from ..core.spec import ModelSpec
from ..datasets.dataset import SegDataset
from .callbacks import EMA, EarlyStop, EpochSeed, History, Steps, checkpoints
from .checkpoint import teacher
from .checkpoint.begin import begin_with, config_for
from .checkpoint.file import AtomicCheckpointIO
from .checkpoint.names import BEST, CURVES, LAST, METRICS, epoch_file
from .cpu.depthwise import use_fp32_gradients
from .cpu.memory import keep_freed_memory
from .cpu.weight_gradient import use_matrix_products, worthwhile
from .data.module import default_workers, loaders
from .distributed import Processes, agreed, connected, from_first, join, placement, processes, synchronize
from .lightning_module import SegmentationModule, draws_per_image
from .losses.auxiliary import Auxiliary
from .losses.distill import Distillation
from .losses.siamese import Siamese
from .losses.terms import class_weights
from .models import pretrained
from .models.branches import add_branches
from .models.catalog import build, stride_of
from .models.registry import MODELS, macs, parameters
from .prepare import Prepared, prepare
from .report import TrainReport
from .request import Request
from .resume import recipe_of
from .tensorboard import TensorBoard

#: What a training writes.
FILES = (BEST, LAST, METRICS, CURVES, REPORT_JSON)
#: What Lightning calls the precisions of :data:`.config.PRECISIONS`.
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def train(request: Request, progress: Progress | None = None) -> TrainReport:
    """Runs a training; see :func:`seg_edge.train.training.fit`."""
    config, out = request.config, request.out
    group = processes()
    join(group, config.device)
    progress = progress if progress and group.first else Silent()
    with agreed(group):
        ready = prepare(request, group, progress)
        loading = None if ready.rows is not None else loaders(
            ready.train, ready.val, size_hw=ready.size_hw, batch=config.batch,
            workers=default_workers(group.local_count) if config.workers is None else config.workers,
            augment=config.augment, seed=config.seed, pin=ready.device == "cuda", frequencies=ready.frequencies,
            crop_hw=ready.crop_hw, share=(group.rank, group.count), epoch=ready.epoch,
        )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    if group.first:
        kept = range(config.save_every, config.epochs + 1, config.save_every) if config.save_every else ()
        remove_leftovers(out, [*FILES, *map(epoch_file, kept)])  # of a run that was killed while it wrote
    if ready.device == "cpu":
        keep_freed_memory()
    with warnings.catch_warnings():
        _quiet()
        deterministic_before = torch.are_deterministic_algorithms_enabled()  # the Trainer's constructor sets it
        pl.seed_everything(config.seed, workers=True, verbose=False)
        with agreed(group):
            module, size = _network(request, ready, group, progress)
        history = History(out, config.epochs, progress, first=group.first)
        stopping = EarlyStop(config.patience) if config.patience else None
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
                *([TensorBoard(out, history)] if config.tensorboard else []),
                *checkpoints(out, config.save_every),
                Steps(progress),
                *([stopping] if stopping else []),
            ],
            plugins=[AtomicCheckpointIO()],
            enable_progress_bar=False,
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
                last = request.last if ready.earlier else None
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
    if stopping and stopping.stopped_epoch:
        progress.say(f"stopped: no better mIoU in {config.patience} epochs")
    report: dict[str, Any] = {}
    if group.first:
        report = _report(request, module.spec, history, ready, size)
        write_json(out / REPORT_JSON, report)
    return TrainReport(from_first(group, report))


def _network(
    request: Request, ready: Prepared, group: Processes, progress: Progress
) -> tuple[SegmentationModule, dict[str, int]]:
    """The network with all that its training adds, and the size of the network that runs afterwards."""
    config, start, labels, size_hw = request.config, ready.start, ready.train.labels, ready.size_hw
    for note in dict.fromkeys((*ready.train.notes, *ready.val.notes, *ready.findings)):
        progress.say(f"train: {request.data}: {note}")
    net = build(config.model, len(labels), ready.shape or (config_for(start, len(labels)) if start else None))
    if start:
        new = begin_with(net, start, labels)
        if ready.assumed and not ready.earlier:
            progress.say(
                f"train: {request.data} names no classes; taken as those of {config.init}: {', '.join(labels.names)}"
            )
        if new and not ready.earlier:
            learns = f"the head learns {'it' if len(new) == 1 else 'them'} anew"
            progress.say(f"train: {config.init} does not know {', '.join(new)}; {learns}")
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
        input_range=ready.train.value_range,
        labels=labels,
        input_hw=size_hw,
        provenance=_provenance(request, ready.train, ready.base),
    )
    distillation = None
    if config.distill and ready.teacher:
        distillation = Distillation(config.distill, ready.teacher.model, ready.teacher.spec, net, size_hw)
    assert config.lr is not None  # resolved
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
    request: Request, spec: ModelSpec, history: History, ready: Prepared, size: dict[str, int]
) -> dict[str, Any]:  # fmt: skip
    config = request.config
    seconds = sum(row["seconds"] for row in history.rows)
    scored = [row for row in history.rows if "val_miou" in row]
    best = max(scored, key=lambda row: row["val_miou"]) if scored else None
    return {
        "model": config.model,
        "data": str(request.data),
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
        "checkpoint": {"file": BEST, "sha256": sha256(request.out / BEST)},
        "config": config.recorded(request.data, request.out),
        "versions": _versions(),
        "history": history.rows,
    }


def _fresh_spec(model: str, labels: Labels, size_hw: tuple[int, int], stride: int) -> ModelSpec:
    spec = ModelSpec(model, labels, size_hw, output_stride=stride)
    return spec.with_(mean=MODELS[model].mean, std=MODELS[model].std) if model in MODELS else spec


def _provenance(request: Request, train: SegDataset, base: ModelSpec | None) -> dict[str, Any]:
    """Where the weights come from; ``base`` is the spec that the training continues from."""
    config, before = request.config, base.provenance if base else {}
    kept = {key: before[key] for key in ("init", "pruned", "pretrained") if key in before}
    if config.init is not None:
        kept["init"] = {"file": config.init.name, "sha256": sha256(shipped(config.init, CHECKPOINT))}
    if config.pretrained is not None:
        kept["pretrained"] = pretrained.provenance(config.pretrained)
    if config.distill is not None:
        kept["teacher"] = teacher.provenance(config.distill)
    return kept | {
        "dataset": request.data.resolve().name,
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
