"""What each of two processes does that ``torchrun`` starts for test_distributed.py: DATA FOLDER."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from seg_edge.cli.main import main
from seg_edge.core.progress import Silent
from seg_edge.train import AugmentOptions, TrainConfig, callbacks, fit
from seg_edge.train.lightning_module import SegmentationModule

RANK = int(os.environ.get("RANK", "0"))
#: Nothing that divides by what each process sees alone, and a rate at which rounding does not grow: equal steps, then.
EQUAL = {
    "model": "unet-n", "epochs": 2, "batch": 4, "workers": 0, "device": "cpu", "precision": "fp32", "loss": "ce",
    "optimizer": "sgd", "lr": 0.002, "augment": AugmentOptions(scale=(1, 1), flip=0.5, jitter=0.4),
}  # fmt: skip


class Lines(Silent):
    """Progress as lines on standard error."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def stop(number: int | None, how: BaseException | None = None) -> None:
    """Has something happen at the start of an epoch, counted from 1."""

    def hook(module: SegmentationModule) -> None:
        if module.current_epoch + 1 == number:
            if how is not None:
                raise how
            if RANK == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    SegmentationModule.on_train_epoch_start = hook


def work(data: Path, folder: Path) -> int:
    torch.set_num_threads(1)
    config = TrainConfig(**EQUAL)
    found = {"report": fit(data, folder / "two", config, progress=Lines()).to_dict()}

    callbacks.plot = lambda _rows, path: path.write_bytes(b"curves")  # drawing takes longer than these trainings
    stop(2, KeyboardInterrupt())
    try:
        fit(data, folder / "resumed", config)
    except KeyboardInterrupt:
        found["interrupted"] = True
    stop(None)
    found["resumed"] = fit(data, folder / "resumed", config, resume=True)["history"]

    words = ["train", "--model", "unet-n", "--epochs", "3", "--workers", "0", "--device", "cpu", "--precision", "fp32"]
    found["odd batch"] = main([*words, "--data", str(data), "--out", str(folder / "odd"), "--batch", "3"])
    # A folder that one machine lacks.
    found["one lacks data"] = main(
        [*words, "--data", str(data if RANK == 0 else data / "absent"), "--out", str(folder / "lacks"), "--batch", "4"]
    )
    (folder / f"rank{RANK}.json").write_text(json.dumps(found))

    stop(2)
    return main([*words, "--data", str(data), "--out", str(folder / "dies"), "--batch", "4"])


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1]), Path(sys.argv[2])))
