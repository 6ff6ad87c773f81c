"""``seg-edge train`` as a user calls it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch

from seg_edge.cli.main import main
from seg_edge.train.checkpoint import load_checkpoint
from seg_edge.train.lightning_module import SegmentationModule

pytestmark = pytest.mark.usefixtures("quick_curves")

#: A small training on the processor; whatever is appended after it wins.
QUICK = ("--model", "unet-n", "--batch", "4", "--workers", "0", "--device", "cpu", "--precision", "fp32")
FILES = ["best.pt", "curves.png", "last.pt", "metrics.csv", "report.json"]


@pytest.fixture(scope="module")
def dataset(load_module, tmp_path_factory):
    """``tests/train/rectangles.py`` as a folder: 8 training and 2 validation images, 64x96. Read only."""
    return load_module("train/rectangles.py").write_dataset(tmp_path_factory.mktemp("rectangles") / "data", val=2)


def test_half_and_precision_exclude_each_other(dataset, tmp_path, capsys):
    status = main(["train", "--data", str(dataset), "--out", str(tmp_path / "o"), *QUICK, "--half"])
    assert status == 1
    assert "--half and --precision fp32 exclude each other; pass one of them" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(*words):
    return main(["train", *map(str, words)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def error_line(capsys):
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    assert text.startswith("seg-edge: error: ")
    return text.removeprefix("seg-edge: error: ").strip()


def test_trains_and_says_where_everything_is(dataset, tmp_path, monkeypatch, capsys):
    """With the default folder: runs/<dataset>-<model> below the working directory."""
    monkeypatch.chdir(tmp_path)
    assert train("--data", dataset, *QUICK, "--epochs", 2, "--json", "copy.json") == 0
    out, err = capsys.readouterr()
    folder = Path("runs/data-unet-n")
    assert names(folder) == FILES
    report = json.loads((folder / "report.json").read_text())
    assert json.loads(Path("copy.json").read_text()) == report
    lines = out.splitlines()
    best = report["best"]
    assert re.fullmatch(rf"best val mIoU {100 * best['miou']:.2f} % in epoch {best['epoch']}  \(\d+ s\)", lines[0])
    assert sorted(line.strip() for line in lines[1:]) == [str(folder / name) for name in FILES]
    assert [line.split("  ")[0] for line in err.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_options_reach_the_training(dataset, tmp_path):
    data, out = tmp_path / "data", tmp_path / "o"
    shutil.copytree(dataset, data)
    for path in data.glob("labels/*/*.png"):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask[mask == 255] = 11  # CamVid's void
        cv2.imwrite(str(path), mask)
    wanted = {"epochs": 1, "batch": 2, "lr": 0.001, "seed": 5, "classes": "camvid", "workers": 1}
    words = [word for key, value in wanted.items() for word in (f"--{key}", value)]
    words += ["--imgsz", "32x64", "--scale", "1,1.5", "--flip", 0, "--jitter", 0.1, "--classmix", 0.5, "--rotate", 5]
    assert train("--data", data, "--out", out, *QUICK, *words) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["imgsz"] == [32, 64]
    assert {key: report["config"][key] for key in wanted} == wanted
    augment = {"scale": [1, 1.5], "flip": 0, "jitter": 0.1, "classmix": 0.5, "cutmix": 0, "rotate": 5}
    assert report["config"]["augment"] == augment
    assert load_checkpoint(out / "best.pt").spec.labels.names[0] == "sky"


def test_half(dataset, tmp_path):
    words = ("--model", "unet-n", "--batch", 4, "--workers", 0, "--device", "cpu", "--epochs", 1, "--half")
    assert train("--data", dataset, "--out", tmp_path / "o", *words) == 0
    assert json.loads((tmp_path / "o" / "report.json").read_text())["precision"] == "bf16"


def test_a_second_training_needs_a_folder_of_its_own_or_resume(dataset, tmp_path, capsys):
    words = ("--data", dataset, "--out", tmp_path / "o", *QUICK)
    assert train(*words, "--epochs", 1) == 0
    capsys.readouterr()
    assert train(*words, "--epochs", 1) == 1
    assert "holds a training already; pass --resume to continue it, or another folder as --out" in error_line(capsys)
    assert train(*words, "--epochs", 1, "--resume") == 1
    assert "has 1 epochs already; pass --epochs above that to train on" in error_line(capsys)
    assert train(*words, "--epochs", 2, "--resume") == 0
    assert json.loads((tmp_path / "o" / "report.json").read_text())["epochs"] == 2
    assert capsys.readouterr().err.startswith("epoch 2/2 ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--data", "absent"], "dataset absent: no such folder; pass --data"),
        (["--model", "unet_n"], "unknown model 'unet_n': did you mean 'unet-n'?"),
        (["--epochs", "0"], "--epochs: expected at least 1, got 0"),
        (["--batch", "0"], "--batch: expected at least 1, got 0"),
        (["--lr", "0"], "--lr: expected a number above 0, got 0"),
        (["--lr", "-1"], "--lr: expected a number above 0, got -1"),
        (["--imgsz", "100x96"], "must be multiples of 32, got 100x96; try 96x96"),
        (["--imgsz", "large"], "--imgsz: expected HEIGHTxWIDTH in pixels such as 352x480, got 'large'"),
        (["--precision", "int8"], "unknown precision 'int8': valid names: bf16, fp16, fp32, half"),
        (["--device", "gpu"], "unknown device 'gpu': did you mean 'cpu'?"),
        (["--classes", "camvit"], "unknown class list 'camvit': did you mean 'camvid'?"),
        (["--scale", "2,1"], "--scale: expected LOW,HIGH such as 0.75,2, got '2,1'"),
        (["--flip", "2"], "--flip: expected 0 to 1, got 2"),
        (["--seed", "-1"], "--seed: expected 0 to 4294967295, got -1"),
        (["--workers", "-1"], "--workers: expected at least 0, got -1"),
        (["--resume"], "last.pt does not exist; leave --resume out to start"),
        pytest.param(
            ["--device", "cuda"], "--device cuda: no CUDA device is visible to torch; pass --device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without CUDA answers"),
        ),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_nothing_is_written(dataset, tmp_path, capsys, words, text):
    assert train("--data", dataset, "--out", tmp_path / "o", *QUICK, *words) == 1
    assert text in error_line(capsys)
    assert not (tmp_path / "o").exists()


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_interrupted_and_resumed(dataset, tmp_path):
    """Ctrl-C on a terminal: it reaches the loader processes too."""
    out = tmp_path / "o"
    words = ["train", "--data", dataset, "--out", out, *QUICK, "--workers", 2, "--epochs", 5000]
    process = subprocess.Popen(
        [sys.executable, "-m", "seg_edge.cli", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not (out / "last.pt").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert stdout == ""
    lines = stderr.splitlines()
    assert lines[-1] == "seg-edge: interrupted"
    assert all(line.startswith("epoch ") for line in lines[:-1]), stderr
    done = load_checkpoint(out / "last.pt").epoch
    assert done >= 1
    assert len((out / "metrics.csv").read_text().splitlines()) in (done + 1, done + 2)  # the table is written before last.pt
    assert [name for name in names(out) if name not in FILES] == []
    with pytest.raises(ProcessLookupError):  # loader processes are gone
        os.killpg(process.pid, 0)
    assert train("--data", dataset, "--out", out, *QUICK, "--epochs", done + 1, "--resume") == 0
    assert [row["epoch"] for row in json.loads((out / "report.json").read_text())["history"]] == list(range(1, done + 2))
    assert names(out) == FILES


def test_sigterm_ends_a_training_as_ctrl_c_does(dataset, tmp_path, monkeypatch, capsys):
    """As a service manager stops it; sent from within, at the start of the second epoch."""

    def stop(self):
        if self.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SegmentationModule, "on_train_epoch_start", stop, raising=False)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert train("--data", dataset, "--out", tmp_path / "o", *QUICK, "--epochs", 3) == 130
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capsys.readouterr().err.splitlines()[1:] == ["seg-edge: interrupted"]
    assert names(tmp_path / "o") == ["best.pt", "last.pt", "metrics.csv"]
    assert load_checkpoint(tmp_path / "o" / "last.pt").epoch == 1
