"""Plain options are converted without pydantic, the others by typer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer

from seg_edge.cli.coercion import lighten

verbs = typer.Typer(add_completion=False)
said: dict[str, object] = {}


@verbs.command()
def verb(
    out: Annotated[Path, typer.Option()],
    count: Annotated[int, typer.Option()] = 1,
    rate: Annotated[float | None, typer.Option()] = None,
    names: Annotated[list[str] | None, typer.Option()] = None,
    half: Annotated[bool, typer.Option("--half")] = False,
    few: Annotated[int, typer.Option(min=1, max=3)] = 2,
) -> None:
    said.update(locals())


def run(*words: str) -> dict[str, object]:
    said.clear()
    lighten(typer.main.get_command(verbs))(list(words), standalone_mode=False)
    return dict(said)


def test_every_plain_kind():
    assert run("--out", "a/b", "--count", "7", "--rate", "1e-3", "--names", "x", "--names", "y", "--half") == {
        "out": Path("a/b"), "count": 7, "rate": 0.001, "names": ["x", "y"], "half": True, "few": 2,
    }  # fmt: skip


def test_defaults():
    assert run("--out", "a") == {
        "out": Path("a"), "count": 1, "rate": None, "names": None, "half": False, "few": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "text"),
    [(["--count", "1.5"], "expected a whole number, got '1.5'"), (["--rate", "fast"], "expected a number, got 'fast'")],
)
def test_a_text_that_is_no_number(words, text):
    with pytest.raises(typer.BadParameter, match=text):
        run("--out", "a", *words)


def test_bounds_stay_with_typer():
    with pytest.raises(typer.BadParameter, match="3"):
        run("--out", "a", "--few", "4")


@pytest.mark.parametrize("words", [["run", "--nope"], ["exprt"], ["--help"], ["train", "--data", "x", "--epochs", "y"]])
def test_a_usage_error_does_without_pydantic_and_rich(words):
    code = f"import sys; from seg_edge.cli.main import main; main({words!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split("\n")[-2].split()}
    assert "typer" in loaded
    assert loaded & {"pydantic", "rich", "yaml", "numpy"} == set()
