"""One training in two processes that torchrun starts, on CPUs through gloo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from seg_edge.core.errors import InputError
from seg_edge.train import TrainConfig, distributed, fit
from seg_edge.train.callbacks import COLUMNS
from seg_edge.train.checkpoint import load_checkpoint, read_checkpoint
from seg_edge.train.data.module import EpochSampler
from seg_edge.train.distributed import Processes, agreed, from_first, join, placement, processes, total

SCRIPT = Path(__file__).parent / "two_processes.py"


@pytest.fixture(scope="module")
def data(rectangles, tmp_path_factory):
    """9 training and 3 validation images: batches of 4 leave one out, and processes validate two and one.

    The training masks are one mask, so that the loss of each half of a batch has one divisor.
    """
    root = rectangles.write_dataset(tmp_path_factory.mktemp("two") / "data", train=9, val=3)
    mask = np.zeros((64, 96), np.uint8)
    mask[8:40, 8:36], mask[20:56, 60:88] = 1, 2  # also in a mirror: the sampled grid of even and odd columns counts alike
    rng = np.random.default_rng(1)
    for i in range(9):
        frame = rectangles.COLOURS[mask] + rng.normal(0, 10, (64, 96, 3))
        cv2.imwrite(str(root / "images" / "train" / f"{i:03}.png"), frame.clip(0, 255).astype(np.uint8))
        cv2.imwrite(str(root / "labels" / "train" / f"{i:03}.png"), mask)
    return root


@pytest.fixture(scope="module")
def two(data, tmp_path_factory):
    """Where both processes worked, what torchrun and they said, and its exit status."""
    folder = tmp_path_factory.mktemp("processes")
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    done = subprocess.run(
        [*words, str(data), str(folder)],
        capture_output=True,
        text=True,
        timeout=280,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert (folder / "rank0.json").exists(), done.stderr
    found = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
    return SimpleNamespace(folder=folder, found=found, status=done.returncode, lines=done.stderr.splitlines())


@pytest.fixture(scope="module")
def one(data, load_module, tmp_path_factory):
    """The same training in one process."""
    out = tmp_path_factory.mktemp("one") / "one"
    return out, fit(data, out, TrainConfig(**load_module("train/two_processes.py").EQUAL))


def losses(history):
    return [[row[key] for key in COLUMNS[:-1]] for row in history]


def test_weights_are_those_of_one_process(two, one):
    """Averaged and current ones, the optimizer's momentum, and batch normalization's statistics: two steps an epoch."""
    ours, theirs = read_checkpoint(two.folder / "two" / "last.pt"), read_checkpoint(one[0] / "last.pt")
    assert ours["global_step"] == theirs["global_step"] == 4
    for key in ("state_dict", "current_model_state"):
        assert ours[key].keys() == theirs[key].keys()
        for name, value in theirs[key].items():
            torch.testing.assert_close(ours[key][name], value, rtol=1e-4, atol=1e-5, msg=name)
    # Momentum is the sum of gradients: those of a deep network carry more rounding than its weights.
    two_steps, one_steps = (
        torch.cat([state["momentum_buffer"].flatten() for state in saved["optimizer_states"][0]["state"].values()])
        for saved in (ours, theirs)
    )
    assert one_steps.norm() > 0.1  # steps were taken
    assert (two_steps - one_steps).norm() < 0.02 * one_steps.norm()


def test_the_curve_is_that_of_one_process(two, one):
    np.testing.assert_allclose(losses(two.found[0]["report"]["history"]), losses(one[1]["history"]), rtol=1e-4)


def test_all_return_the_first_ones_report(two):
    written = json.loads((two.folder / "two" / "report.json").read_text())
    assert two.found[0]["report"] == two.found[1]["report"] == written
    assert written["images"] == {"train": 9, "val": 3}


def test_files_and_lines_are_written_once(two):
    names = sorted(path.name for path in (two.folder / "two").iterdir())
    assert names == ["best.pt", "curves.png", "last.pt", "metrics.csv", "report.json"]
    assert sum(line.startswith("epoch 1/2") for line in two.lines) == 1
    assert load_checkpoint(two.folder / "two" / "best.pt").epoch in (1, 2)  # loads without a process group


def test_resumed_equals_uninterrupted(two):
    assert two.found[0]["interrupted"]
    assert losses(two.found[0]["resumed"]) == losses(two.found[0]["report"]["history"])
    a, b = (read_checkpoint(two.folder / name / "last.pt") for name in ("two", "resumed"))
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, b[key][name]) for name, value in a[key].items())


def test_a_refusal_is_said_once(two):
    """By all processes alike, and by one of them alone."""
    assert [found["odd batch"] for found in two.found] == [found["one lacks data"] for found in two.found] == [1, 1]
    said = [line for line in two.lines if line.startswith("seg-edge: error: ")]
    assert sum("--batch 3 is that of all 2 processes together, and must be a multiple of 2" in line for line in said) == 1
    assert sum("absent: no such folder; pass --data" in line for line in said) == 1
    assert not (two.folder / "odd").exists()


def test_a_process_that_dies_ends_the_others(two):
    """After the first epoch: its checkpoint is there to go on from, and the last of three lines says what happened."""
    assert two.status != 0
    said = [line for line in two.lines if line.startswith("seg-edge: ")]
    assert len(said) == 3
    assert said[2].startswith("seg-edge: error: process 0 of 2 lost the others (")
    assert "start again with --resume" in said[2]
    assert read_checkpoint(two.folder / "dies" / "last.pt")["epoch"] == 0


# Without other processes


@pytest.mark.parametrize("count", [2, 4])
def test_batches_of_all_are_those_of_one(count):
    whole, shares = EpochSampler(11, 3), [EpochSampler(11, 3, 4, (rank, count)) for rank in range(count)]
    for epoch in (0, 5):
        for sampler in (whole, *shares):
            sampler.set_epoch(epoch)
        drawn = [list(sampler) for sampler in shares]
        assert [len(part) for part in drawn] == [len(sampler) for sampler in shares] == [8 // count] * count
        each = 4 // count
        batches = [[d for part in drawn for d in part[k * each : (k + 1) * each]] for k in range(2)]
        expected = list(whole)
        assert batches == [expected[:4], expected[4:8]]


def environment(monkeypatch, **values):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", **values}.items():
        monkeypatch.setenv(name, str(value))


def test_what_torchrun_says(monkeypatch):
    assert processes() == Processes(0, 1, 0, 1)
    assert placement(processes()) == {"devices": 1}
    environment(monkeypatch, RANK=5, WORLD_SIZE=8, LOCAL_RANK=1, LOCAL_WORLD_SIZE=4)
    found = processes()
    assert (found.rank, found.count, found.local_rank, found.machines, found.first) == (5, 8, 1, 2, False)
    placed = placement(found)
    assert (placed["devices"], placed["num_nodes"]) == (4, 2)
    environment(monkeypatch, RANK=0, WORLD_SIZE=7, LOCAL_RANK=0, LOCAL_WORLD_SIZE=4)
    with pytest.raises(InputError, match="torchrun started 4 of 7 processes on this machine; start the same number"):
        processes()


def test_more_processes_than_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match="4 processes on this machine, which has 2 GPUs; start 2, or"):
        join(Processes(0, 4, 0, 4), None)


def test_one_process_needs_no_group():
    one = Processes()
    join(one, "cpu")
    with agreed(one), pytest.raises(InputError):
        raise InputError("mine")
    assert from_first(one, 3) == 3
    values = torch.ones(2)
    assert total(values) is values
    distributed.leave()


def test_shared_normalization_alone_is_the_plain_one():
    """Forward, gradients and running statistics, in training and evaluation."""
    torch.manual_seed(0)
    plain = torch.nn.BatchNorm2d(3)
    torch.nn.init.normal_(plain.weight)
    shared = distributed.synchronize(torch.nn.Sequential(torch.nn.BatchNorm2d(3)), "cpu")[0]
    assert type(shared) is distributed.SharedBatchNorm2d
    shared.load_state_dict(plain.state_dict())
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        x = 3 + 2 * torch.randn(4, 3, 5, 7)
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        outputs = [norm(given) for norm, given in zip((plain, shared), inputs, strict=True)]
        for out in outputs:
            (out**3).sum().backward()
        torch.testing.assert_close(*outputs)
        torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(dict(shared.named_buffers()), dict(plain.named_buffers()))
        torch.testing.assert_close(shared.eval()(x), plain.eval()(x))
    finally:
        distributed.leave()
