"""Every page: its commands parse, its links lead somewhere. Pages without a test of their own run here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from seg_edge.cli.main import VERBS, load_verb, main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*/README.md")])
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands(page: Path) -> list[list[str]]:
    """The words of each ``seg-edge …`` line in a page's blocks, without ``seg-edge`` and what a shell makes of the rest."""
    blocks = _FENCED.findall(page.read_text(encoding="utf-8"))
    text = "".join(block for language, block in blocks if language in ("", "bash", "console", "sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("seg-edge ")]
    split = [shlex.split(re.sub(r"[\[\]…]|\.\.\.", " ", line), comments=True) for line in lines]
    ends = [next((i for i, word in enumerate(words) if word in ("|", "&", "&&", ">", ";")), len(words)) for words in split]
    return [words[1:end] for words, end in zip(split, ends, strict=True)]


def parsed(words: list[str]) -> dict[str, Any]:
    """What the program's own parser makes of the words; a name or an option that it lacks raises."""
    command = load_verb(words[0])
    rest = words[1:]
    groups = getattr(command, "commands", None)
    if groups is not None:
        name = rest.pop(0) if rest and rest[0] in groups else "measure"
        command = groups[name]
    context = command.context_class(command, info_name=" ".join(words[:1]))
    options, _rest, _order = command.make_parser(context).parse_args(rest)
    return dict(options)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_parse(page: Path) -> None:
    for words in commands(page):
        if words[0] in VERBS:
            parsed(words)
        else:
            assert words[0] in ("COMMAND", "--help", "--version"), words


def test_commands_in_notebooks_parse() -> None:
    spans = [
        span for file in (DOCS / "notebooks").glob("*.ipynb") for span in re.findall(r"`(seg-edge [^`]+)`", file.read_text())
    ]
    assert len(spans) > 3
    for span in spans:
        parsed(shlex.split(span.replace("…", ""))[1:])


def test_the_parser_objects() -> None:
    with pytest.raises(Exception, match="--no-such"):
        parsed(["run", "--no-such"])
    assert sum(len(commands(page)) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = {link.split("#")[0] for link in _LINK.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S))}
    lost = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert lost == []


SMALLER = {
    "--train": "12",
    "--val": "4",
    "--size": "64x96",
    "--video": "1",
    "--epochs": "1",
    "--duration": "1",
    "--threads": "1",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["quickstart", "cpu-box", "several-cameras"])
def test_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The ``console`` blocks and the Python, at small sizes; ``bash`` blocks install or need a camera."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    try:
        for line in "".join(re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines():
            words = shlex.split(line)[1:]
            words = [SMALLER.get(option, word) for option, word in zip(["", *words[:-1]], words, strict=True)]
            words += ["--runs", "3"] if words[0] == "bench" else []
            words += ["--workers", "0"] if words[0] == "train" else []
            assert main(words) == 0, f"{line}: {capfd.readouterr().err}"
    finally:
        torch.set_num_threads(threads)
    for written in re.findall(r"(?:--sink|--json) '?([\w{}-]+\.(?:mp4|json))", text):
        for number in (0, 1):
            assert Path(written.replace("{source}", str(number))).stat().st_size > 0
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    if code:
        for large, small in (("240", "12"), ("val=24", "val=4"), ("epochs=8", "epochs=1"), ("96, 128", "64, 96")):
            assert large in code
            code = code.replace(large, small)
        Path("page.py").write_text(code, encoding="utf-8")
        done = subprocess.run([sys.executable, "page.py"], capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        assert "frame 24: " in done.stdout or "fills" in done.stdout
        assert "best mIoU" in done.stdout
        assert Path("model-python/report.md").is_file()
