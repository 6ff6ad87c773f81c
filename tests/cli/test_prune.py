"""``seg-edge prune`` and ``seg-edge export --prune`` as a user calls them."""

from __future__ import annotations

import json

import pytest
import torch

from seg_edge.cli.main import main
from seg_edge.train.checkpoint import load_checkpoint

QUICK = ("--engine", "onnxruntime", "--threads", "1")


@pytest.fixture(scope="module")
def checkpoint(nets, tmp_path_factory):
    """A checkpoint and a data set labelled by its own network."""
    folder = tmp_path_factory.mktemp("run")
    net = nets.write_checkpoint(folder / "best.pt")
    nets.write_dataset(folder / "data", net, nets.SPEC, train=2, val=2)
    return folder / "best.pt"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prune(*words):
    return main(["prune", *map(str, words), *QUICK])


def test_prunes_beside_the_checkpoint_and_says_what_is_next(checkpoint, tmp_path, capsys):
    words = ["--target-macs", 0.7, "--round-to", 4, "--scope", "uniform", "--importance", "bn"]
    assert prune(checkpoint, *words, "--json", tmp_path / "r.json") == 0
    out, err = capsys.readouterr()
    folder = checkpoint.parent / "pruned"
    report = json.loads((tmp_path / "r.json").read_text())
    assert report == json.loads((folder / "report.json").read_text())
    start, end = report["steps"]
    assert end["macs"] <= 0.7 * start["macs"]
    assert (report["pruned"]["importance"], report["pruned"]["scope"], report["pruned"]["round_to"]) == ("bn", "uniform", 4)
    for text in ("prune 1", "GMAC", f"checkpoint: {folder / 'best.pt'}", f"seg-edge export {folder / 'best.pt'}"):
        assert text in out
    assert "prune 1/1: at most 70 % of the MACs, bn, uniform" in err
    assert main(["export", str(folder / "best.pt"), "--out", str(tmp_path / "art"), *QUICK]) == 0
    capsys.readouterr()
    assert load_checkpoint(folder / "best.pt").config == report["config"]


def test_a_broken_gate_exits_with_3_and_still_reports(checkpoint, tmp_path, capsys):
    words = ["--ratio", 0.5, "--round-to", 4, "--data", checkpoint.parent / "data", "--max-drop", 0.01]
    assert prune(checkpoint, *words, "--out", tmp_path / "o", "--json", tmp_path / "r.json") == 3
    out, err = capsys.readouterr()
    assert "broken: max_drop" in out
    assert "--max-drop allows 0.01" in err
    assert json.loads((tmp_path / "r.json").read_text())["gates"][-1]["passed"] is False
    assert not (tmp_path / "o" / "best.pt").exists()


def test_export_prunes_first(checkpoint, tmp_path, capsys):
    words = ["--prune", "0.6", "--data", str(checkpoint.parent / "data"), "--out", str(tmp_path / "art")]
    assert main(["export", str(checkpoint), *words, *QUICK]) == 0
    steps = json.loads((tmp_path / "art" / "report.json").read_text())["steps"]
    assert [step["step"] for step in steps] == ["start", "prune 1", "onnx", "simplify"]
    capsys.readouterr()
    assert main(["export", str(checkpoint), *words, *QUICK, "--max-drop", "0"]) == 3
    assert "prune: mIoU drops by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "expected one goal of --ratio, --target-macs"),
        (["--ratio", "0.5", "--target-macs", "0.5"], "got --ratio and --target-macs"),
        (["--ratio", "50"], "--ratio: expected a share of the channels"),
        (["--target-latency", "2.5"], "expected MILLISECONDS@ENGINE such as 2.5ms@openvino, got '2.5'"),
        (["--target-latency", "2.5ms@openvin"], "did you mean 'openvino'"),
        (["--target-fps", "100"], "expected FRAMES@ENGINE such as 100@onnxruntime, got '100'"),
        (["--ratio", "0.5", "--importance", "tailor"], "did you mean 'taylor'"),
        (["--ratio", "0.5", "--finetune", "2"], "--finetune: needs images and labels; pass --data, a folder with"),
        (["--ratio", "0.5", "--finetune", "1", "--data", "DATA", "--teacher", "absent.pt"], "absent.pt: no such file"),
        (["--ratio", "0.5", "--data", "absent"], "dataset absent: no such folder"),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(checkpoint, tmp_path, capsys, words, text):
    words = [str(checkpoint.parent / "data") if word == "DATA" else word for word in words]
    assert prune(checkpoint, "--out", tmp_path / "o", *words) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("seg-edge: error")]
    assert len(error) == 1
    assert text in error[0]
    assert list(tmp_path.iterdir()) == []


def test_export_finetunes_only_what_it_pruned(checkpoint, tmp_path, capsys):
    assert main(["export", str(checkpoint), "--finetune", "2", "--out", str(tmp_path / "art")]) == 1
    assert "--finetune: trains what --prune left; pass --prune too" in capsys.readouterr().err
