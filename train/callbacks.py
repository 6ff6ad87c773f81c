"""What happens around the epochs: averaged weights, checkpoints, the metrics table and its curves."""

from __future__ import annotations

import csv
import io
import math
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor

from ..core.artefact import atomic_path, write_text
from ..core.errors import InputError, ProcessError
from ..core.progress import Count, Progress, Silent
from .checkpoint.names import BEST, CURVES, LAST, METRICS, epoch_file

#: Columns of ``metrics.csv``; the terms of a loss that has several, such as ``train_kd``, come after them.
COLUMNS = ("epoch", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy", "lr", "seconds")


class EMA(WeightAveraging):
    """Exponential moving average of the weights; validation and checkpoints use the average.

    The decay rises as min(decay, (1 + n) / (10 + n)) with the number of updates n, so that short trainings are not held
    back by their first weights.
    """

    def __init__(self, decay: float) -> None:
        # All tensors of a kind at once: there are hundreds of small ones.
        def average(means: tuple[Tensor, ...] | list[Tensor], current: Any, count: Tensor | int) -> None:
            n = float(count)
            if means[0].is_floating_point():
                torch._foreach_lerp_(means, current, 1 - min(decay, (1 + n) / (10 + n)))
            else:  # counters
                torch._foreach_copy_(means, current)

        super().__init__(multi_avg_fn=average)


class PtCheckpoint(ModelCheckpoint):
    """Lightning's checkpoint callback, writing ``.pt``."""

    FILE_EXTENSION = ".pt"

    def _ModelCheckpoint__warn_if_dir_not_empty(self, dirpath: str) -> None:
        # Lightning 2.6 asks here whether the folder is a bucket, and imports s3fs for that where it is installed: two
        # seconds for a warning that a local folder isn't empty, which is no news to a resumed training.
        pass

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        # Lightning forgets the best score when the folder has moved, and would write over best.pt with a worse network.
        assert self.dirpath is not None
        old, here = state_dict["dirpath"], self.dirpath

        def moved(path: str) -> str:
            return str(Path(here) / Path(path).name) if path and Path(path).parent == Path(old) else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        state = state_dict | {key: moved(state_dict[key]) for key in paths} | {"dirpath": here}
        super().load_state_dict(state | {"best_k_models": {moved(k): v for k, v in state_dict["best_k_models"].items()}})


class EpochSeed(pl.Callback):
    """Seeds each epoch by its number, so that a resumed run draws what an uninterrupted one would have drawn.

    ``process``: Number of the process, where each draws its own numbers.
    """

    def __init__(self, seed: int, process: int = 0) -> None:
        self.seed = seed + 1_000_003 * process  # more than there are epochs; generators on CPUs take 32 bits

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.manual_seed(self.seed + trainer.current_epoch)


class EarlyStop(EarlyStopping):
    """Ends the training after ``patience`` epochs without a better validation mIoU; its count travels in the checkpoint."""

    def __init__(self, patience: int) -> None:
        # Checked after validation, not after training: History and the checkpoints of the epoch are then written as always.
        super().__init__("val_miou", patience=patience, mode="max", check_finite=False, check_on_train_epoch_end=False)


class PeriodicCheckpoint(Checkpoint):
    """Keeps a copy of ``last.pt`` of every ``every``-th epoch: ``epoch_0010.pt``, named as epochs are counted, from 1."""

    def __init__(self, out: Path, every: int) -> None:
        self.out = out
        self.every = every

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0:
            trainer.save_checkpoint(self.out / epoch_file(epoch))


def checkpoints(out: Path, every: int | None = None) -> list[pl.Callback]:
    """``best.pt`` (weights of the best validation mIoU) and ``last.pt`` (all that a resumed run needs).

    ``every``: Also :class:`PeriodicCheckpoint`, before ``last.pt``: a training killed between the two writes it again.
    """
    # Not save_weights_only: Lightning would not ask EMA then, and save the current weights instead of the averaged ones
    # that were validated. AtomicCheckpointIO leaves out the rest.
    best = PtCheckpoint(out, Path(BEST).stem, monitor="val_miou", mode="max", save_top_k=1, enable_version_counter=False)
    last = PtCheckpoint(out, Path(LAST).stem, monitor=None, save_top_k=1, every_n_epochs=1, enable_version_counter=False)
    return [best, *([PeriodicCheckpoint(out, every)] if every else []), last]


class Steps(pl.Callback):
    """Counts the batches of the whole training for the caller's progress."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._count: Count | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._count is None:
            self._count = self.progress.count("training")
        each, epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        self._count(trainer.current_epoch * each + batch_idx + 1, epochs * each)


class History(pl.Callback):
    """Keeps one row per epoch, in ``metrics.csv`` and ``curves.png``; rows travel in the checkpoint.

    Args:
        out: Folder of both.
        epochs: Of the whole training.
        progress: Gets a line per epoch.
        first: This is the process that writes files; the others keep rows only.
    """

    def __init__(self, out: Path, epochs: int, progress: Progress | None = None, first: bool = True) -> None:
        self.out = out
        self.epochs = epochs
        self.progress = progress or Silent()
        self.first = first
        self.rows: list[dict[str, float]] = []
        self._start = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        values = {key: float(value) for key, value in trainer.callback_metrics.items()}
        for key in ("train_loss", "val_loss"):
            if not math.isfinite(values[key]):
                if not self.first:  # all have the same losses
                    raise ProcessError(f"the {key} is {values[key]}", said=True)
                raise InputError(
                    f"the {key} of epoch {trainer.current_epoch + 1} is {values[key]}, not a finite number; "
                    "start again with a lower `lr`, or with `precision='fp32'`"
                )
        row: dict[str, float] = {"epoch": trainer.current_epoch + 1}
        row |= {key: values[key] for key in COLUMNS[1:5] if key in values}
        row |= {key: values[key] for key in sorted(values) if key.startswith("train_") and key not in COLUMNS}
        row |= {"lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": time.perf_counter() - self._start}
        self.rows.append(row)
        if not self.first:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, [*COLUMNS, *(key for key in row if key not in COLUMNS)])
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.rows)
        write_text(self.out / METRICS, text.getvalue())
        self.progress.say(
            f"epoch {row['epoch']}/{self.epochs}  loss {row.get('train_loss', 0):.4f}  "
            f"val loss {row.get('val_loss', 0):.4f}  mIoU {100 * row.get('val_miou', 0):.2f} %  {row['seconds']:.1f} s"
        )

    def finish(self, rows: list[dict[str, float]]) -> None:
        """Draws the curves of a training that was killed when only they and the report were missing."""
        self.rows = rows
        self.progress.say(f"epoch {len(rows)}/{self.epochs} was the last one; writing curves and report")
        self._plot()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._plot()

    def _plot(self) -> None:
        if self.first:
            plot(self.rows, self.out / CURVES)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Draws loss, mIoU and learning rate over the epochs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for key, label in (("train_loss", "training (augmented)"), ("val_loss", "validation")):
        left.plot(epochs, [row.get(key, float("nan")) for row in rows], label=label, marker="." if len(rows) < 30 else "")
    left.set(xlabel="epoch", ylabel="loss", title="Loss")
    left.legend()
    miou = [100 * row.get("val_miou", float("nan")) for row in rows]
    accuracy = [100 * row.get("val_pixel_accuracy", float("nan")) for row in rows]
    right.plot(epochs, miou, label="mIoU", marker="." if len(rows) < 30 else "")
    right.plot(epochs, accuracy, label="pixel accuracy", marker="." if len(rows) < 30 else "")
    if miou:
        best = max(range(len(miou)), key=lambda i: miou[i])
        right.annotate(
            f"{miou[best]:.1f}", (epochs[best], miou[best]), textcoords="offset points", xytext=(0, -14), ha="center"
        )
    right.set(xlabel="epoch", ylabel="%", title="Validation", ylim=(0, 100))
    right.legend(loc="lower right")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    plt.close(figure)
