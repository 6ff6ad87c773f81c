"""Averaged weights, the table of metrics, checkpoints that move."""

from __future__ import annotations

import csv
from types import SimpleNamespace

import cv2
import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from seg_edge.core.errors import InputError, ProcessError
from seg_edge.train.callbacks import COLUMNS, EMA, EpochSeed, History, checkpoints, plot


class Counter(pl.LightningModule):
    """One weight and one buffer, set from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("statistic", torch.zeros(1))

    def put(self, value: float) -> None:
        self.weight.data.fill_(value)
        self.statistic.fill_(10 * value)


@pytest.mark.parametrize("decay", [0.998, 0.4])
def test_average_is_exact(decay):
    """The first update copies; after n updates the decay is min(decay, (1 + n) / (10 + n))."""
    module, ema = Counter(), EMA(decay)
    ema.setup(SimpleNamespace(), module, "fit")
    mean = 0.0
    for n, value in enumerate([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0, 5.0, 3.0, 5.0]):
        module.put(value)
        ema.on_train_batch_end(SimpleNamespace(global_step=n + 1), module, None, None, n)
        kept = min(decay, (1 + n) / (10 + n))
        mean = value if n == 0 else kept * mean + (1 - kept) * value
        assert module.weight.tolist() == [value, value]  # training goes on with its own weights
        ema.on_validation_epoch_start(SimpleNamespace(), module)
        assert module.weight.tolist() == pytest.approx([mean, mean], rel=1e-5)
        assert module.statistic.tolist() == pytest.approx([10 * mean], rel=1e-5)
        ema.on_validation_epoch_end(SimpleNamespace(), module)
        assert module.weight.tolist() == [value, value]
    ema.on_train_end(SimpleNamespace(), module)
    assert module.weight.tolist() == pytest.approx([mean, mean], rel=1e-5)


def test_accumulated_steps_are_averaged_once():
    module, ema = Counter(), EMA(0.998)
    ema.setup(SimpleNamespace(), module, "fit")
    for value in (1.0, 2.0):
        module.put(value)
        ema.on_train_batch_end(SimpleNamespace(global_step=1), module, None, None, 0)
    ema.on_train_end(SimpleNamespace(), module)
    assert module.weight.tolist() == [1, 1]


def test_each_epoch_has_its_seed():
    drawn = []
    for epoch in (0, 1, 0):
        EpochSeed(5).on_train_epoch_start(SimpleNamespace(current_epoch=epoch), None)
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[2] != drawn[1]


def test_each_process_may_have_its_seed():
    drawn = []
    for process in (0, 1, 0):
        EpochSeed(5, process).on_train_epoch_start(SimpleNamespace(current_epoch=3), None)
        drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[2] != drawn[1]


def trainer(epoch, **metrics):
    values = {"train_loss": 1.5, "val_loss": 1.25, "val_miou": 0.5, "val_pixel_accuracy": 0.75} | metrics
    return SimpleNamespace(
        current_epoch=epoch,
        callback_metrics={key: torch.tensor(value) for key, value in values.items()} | {"other": torch.tensor(1.0)},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.002}])],
    )


def finish(history, now):
    history.on_train_epoch_start(now, None)
    history.on_train_epoch_end(now, None)


def test_history_is_a_table_of_epochs(tmp_path, lines):
    history = History(tmp_path, epochs=7, progress=lines)
    finish(history, trainer(0))
    finish(history, trainer(1, val_miou=0.625))
    with open(tmp_path / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        tuple(rows[0]) == COLUMNS == ("epoch", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy", "lr", "seconds")
    )
    values = [[float(row[key]) for key in COLUMNS[:-1]] for row in rows]
    assert values == [[1, 1.5, 1.25, 0.5, 0.75, 0.002], [2, 1.5, 1.25, 0.625, 0.75, 0.002]]
    assert all(0 <= float(row["seconds"]) < 5 for row in rows)
    assert lines.said[1].startswith("epoch 2/7  loss 1.5000  val loss 1.2500  mIoU 62.50 %  ")
    assert len(lines.said) == 2


def test_quiet(tmp_path, capsys):
    finish(History(tmp_path, 2), trainer(0))
    assert capsys.readouterr() == ("", "")
    assert (tmp_path / "metrics.csv").is_file()


def test_other_processes_keep_rows_and_say_nothing(tmp_path, capsys):
    history = History(tmp_path, 2, first=False)
    finish(history, trainer(0))
    history.on_train_end(None, None)
    assert [row["epoch"] for row in history.rows] == [1]
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ProcessError) as caught:
        finish(history, trainer(1, val_loss=float("nan")))
    assert caught.value.said  # by the first one, which has the same losses


def test_history_goes_on_after_a_restart(tmp_path):
    first = History(tmp_path, 3)
    finish(first, trainer(0))
    second = History(tmp_path, 3)
    second.load_state_dict(first.state_dict())
    finish(second, trainer(1))
    assert [row["epoch"] for row in second.rows] == [1, 2]
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("key", ["train_loss", "val_loss"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training(tmp_path, key, value):
    history = History(tmp_path, 3)
    text = f"the {key} of epoch 3 is {value}, not a finite number; start again with a lower `lr`"
    with pytest.raises(InputError, match=text):
        finish(history, trainer(2, **{key: value}))
    assert history.rows == []


@pytest.mark.parametrize("epochs", [0, 1, 40])
def test_curves_are_a_picture(tmp_path, epochs):
    rows = [
        {"epoch": k + 1, "train_loss": 2 / (k + 1), "val_loss": 1.0, "val_miou": k / 40, "val_pixel_accuracy": 0.5}
        for k in range(epochs)
    ]
    plot(rows, tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape[1] > 2 * picture.shape[0]
    assert picture.min() < 100


def test_checkpoint_files(tmp_path):
    best, last = checkpoints(tmp_path)
    assert (best.monitor, best.mode, last.monitor) == ("val_miou", "max", None)
    assert best.state_key != last.state_key  # each finds its own state again


def test_best_score_survives_a_move_of_the_folder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    before = checkpoints(old)[0]
    before.best_model_score = before.kth_value = torch.tensor(0.75)
    before.best_model_path = before.kth_best_model_path = str(old / "best.pt")
    before.best_k_models = {str(old / "best.pt"): torch.tensor(0.75)}
    after = checkpoints(new)[0]
    after.load_state_dict(before.state_dict())
    assert after.best_model_score == 0.75
    assert after.best_model_path == after.kth_best_model_path == str(new / "best.pt")
    assert list(after.best_k_models) == [str(new / "best.pt")]
    alone = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=bool))
    assert not after.check_monitor_top_k(alone, torch.tensor(0.5))
    assert after.check_monitor_top_k(alone, torch.tensor(0.8))
