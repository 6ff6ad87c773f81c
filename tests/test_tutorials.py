"""The commands of docs/tutorial-*.md, run in order in an empty folder; only sizes and counts are smaller."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from statistics import mean

import pytest
import torch

from seg_edge.cli.main import main

DOCS = Path(__file__).parents[1] / "docs"
#: All but the one that test_tutorial_compare.py runs.
TUTORIALS = sorted(set(DOCS.glob("tutorial-*.md")) - {DOCS / "tutorial-compare.md"})
SMALLER = {
    "--train": "12",
    "--val": "1",
    "--test": "1",
    "--size": "32x64",
    "--imgsz": "32x64",
    "--epochs": "1",
    "--max-drop": "100",
}


def commands(page: Path) -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for line in "".join(blocks).splitlines() if line.startswith("seg-edge ")]


def drawn(page: Path) -> None:
    """Runs the page's Python that draws its data, with fewer pictures."""
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(re.sub(r'\("(train|val)", \d+\)', lambda match: f'("{match[1]}", 4)', code), {})


def smaller(words: list[str]) -> list[str]:
    """The same command on tiny pictures; a split that is left out stays so."""
    pairs = zip(["", *words[:-1]], words, strict=True)
    found = [word if word == "0" else SMALLER.get(option, word) for option, word in pairs]
    if words[0] == "train":
        found += ["--workers", "0", "--device", "cpu", "--precision", "fp32"]
        found += [] if "--imgsz" in words else ["--imgsz", "32x64"]
    if words[:2] == ["data", "synth"]:
        found += ["--workers", "1"]
    return found


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_commands(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    drawn(page)
    road = commands(page)
    assert {words[0] for words in road} >= {"data", "train"}
    for words in map(smaller, road):
        assert main(words) == 0, f"seg-edge {' '.join(words)}: {capfd.readouterr().err}"
    # What the commands name as their output is there.
    for words in road:
        named = [word for option, word in zip(words, words[1:], strict=False) if option in ("--out", "--json", "--csv")]
        assert named == [name for name in named if (tmp_path / name).exists()]


def test_pages_are_found():
    assert {page.stem for page in TUTORIALS} >= {
        "tutorial-single-class",
        "tutorial-camvid",
        "tutorial-domains",
        "tutorial-own-data",
    }


def test_figures_are_the_recorded_ones():
    text = " ".join((DOCS / "tutorial-single-class.md").read_text(encoding="utf-8").split())
    found = json.loads((DOCS.parent / "benchmarks" / "results" / "marginal.json").read_text(encoding="utf-8"))
    rows = found["rows"]
    for side, before in (("marginal", ""), ("naive", "the naive merge ")):
        assert f"{before}{100 * sum(row[side]['miou'] for row in rows) / len(rows):.1f} %" in text
    assert f"over {len(rows)} seeds" in text
    assert all(gate["passed"] for gate in found["gates"])


def test_figures_of_the_domains_are_the_recorded_ones():
    text = " ".join((DOCS / "tutorial-domains.md").read_text(encoding="utf-8").split())
    found = json.loads((DOCS.parent / "benchmarks" / "results" / "domains.json").read_text(encoding="utf-8"))
    assert all(gate["passed"] for gate in found["gates"])
    unseen = found["unseen_miou_percent"]
    for side in ("plain", "two appearances", "Siamese"):
        assert re.search(rf"\| {side}[^|]*\| {unseen[side.lower()]:.2f} % \|", text), side
    by_day = {
        side: mean(100 * row["miou"]["day"] for row in found["rows"] if row["side"] == side and row["trained_on"] == "day")
        for side in ("plain", "siamese")
    }
    assert f"wins by {unseen['siamese'] - unseen['plain']:.1f} points" in text
    assert f"pays with {by_day['plain'] - by_day['siamese']:.1f} points by day" in text
    assert f"the two terms took {unseen['two appearances'] - unseen['siamese']:.1f} points off it" in text


def test_the_page_of_reference_systems_names_tests_that_exist():
    text = (DOCS / "reference-systems.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]*test_\w+\.py)`", text))
    assert len(named) > 10
    assert [name for name in named if not (Path(__file__).parent / name).is_file()] == []
