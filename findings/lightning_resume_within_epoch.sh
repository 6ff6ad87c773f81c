#!/usr/bin/env bash
# Lightning: a run that stops within an epoch and resumes from ModelCheckpoint(every_n_train_steps=5).
# guess: batches 5 to 9 follow, or the epoch starts again; seen: batch_idx continues at 5, but the loader starts again:
# the epoch gets samples 0 to 4 twice and never sees 5 to 9, without a message.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile lightning==2.6.6 torch==2.13.0 numpy==2.4.6

"$dir/venv/bin/python" - "$dir" <<'PY'
import logging
import sys
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

warnings.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
QUIET = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class Net(lightning.LightningModule):
    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.stop_at, self.seen = stop_at, []

    def training_step(self, batch, batch_idx: int):
        if batch_idx == self.stop_at:
            raise RuntimeError("power cut")
        self.seen.append((batch_idx, int(batch[0])))
        return self.layer(batch[0]).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(net: Net, checkpoint: str | None = None) -> list[tuple[int, int]]:
    """(batch_idx, sample) of each step of the one epoch."""
    keep = ModelCheckpoint(sys.argv[1], filename="five", every_n_train_steps=5)
    samples = torch.utils.data.TensorDataset(torch.arange(10.0)[:, None])
    trainer = lightning.Trainer(max_epochs=1, callbacks=[keep], **QUIET)
    trainer.fit(net, torch.utils.data.DataLoader(samples, batch_size=1), ckpt_path=checkpoint)
    return net.seen


stopped = Net(stop_at=7)
try:
    fit(stopped)
except RuntimeError as error:
    print(f"{error} after (batch_idx, sample)", stopped.seen)
resumed = fit(Net(), sys.argv[1] + "/five.ckpt")
print("resumed with", resumed)
print("lightning", lightning.__version__, "torch", torch.__version__)
sys.exit(0 if resumed == [(5, 0), (6, 1), (7, 2), (8, 3), (9, 4)] else "the behaviour changed")
PY
