"""The commands of docs/tutorial-compare.md, run in order in an empty folder; only sizes and counts are smaller."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from seg_edge.cli.main import main

PAGE = Path(__file__).parents[1] / "docs" / "tutorial-compare.md"
SMALLER = {"--train": "4", "--val": "2", "--size": "32x64", "--imgsz": "32x64", "--epochs": "1"}


def commands() -> list[list[str]]:
    (block,) = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in block.splitlines()]


def smaller(words: list[str]) -> list[str]:
    before = ["", *words[:-1]]
    result = [SMALLER.get(option, word) for option, word in zip(before, words, strict=True)]
    if words[0] == "train":
        result += ["--batch", "2", "--workers", "0", "--device", "cpu"]
    return result + (["--cache", "cache"] if words[0] == "models" else [])


@pytest.mark.timeout(900)
def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("segmentation_models_pytorch")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert [words[0] for words in commands()] == ["data", "models", "train", "train", "compare"]
        for words in map(smaller, commands()):
            assert main(words) == 0, f"seg-edge {' '.join(words)}: {capfd.readouterr().err}"
    finally:
        torch.set_num_threads(threads)
    promised = set(re.findall(r"^\| `(\w+\.\w+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) | {
        "best.png",
        "worst.png",
    }
    assert promised == {path.name for path in (tmp_path / "compare").iterdir()}
    page = (tmp_path / "compare/compare.md").read_text()
    assert "| unet-mobilenetv2 | unet-resnext50 |" in page
