"""Options that a verb derives from configuration classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from seg_edge.cli.derive import FLAGS, Fields, Values, derive, use_flags
from seg_edge.core.errors import InputError
from seg_edge.core.options import Options, configuration, option, parse_size, show_size


@configuration
class Sample(Options):
    data: Path = option(help="Folder with `classes`.")
    input_hw: tuple[int, int] | None = option(None, help="Size.", flag="--imgsz", parse=parse_size)
    frame_hw: tuple[int, int] = option((4, 6), help="Size.", parse=parse_size, show=show_size)
    loss: str = option("ce", help="Loss", choices=lambda: ("ce", "dice"))
    max_drop: float | None = option(None, help="Points.", percent=True)
    half: bool = option(False, help="Half.", aliases=("--fp16",))
    correct: bool = option(True, help="Correct.")
    classes: tuple[str, ...] = option((), help="Names.")
    threads: int | None = option(None, help="Threads.")


@configuration
class Other(Options):
    """Another group."""

    weight: float = option(1.0, help="A weight.", low=0)
    hidden: int = option(3, help="Not offered.")


made: list[object] = []
verbs = typer.Typer()


@verbs.command()
@derive(Sample, Fields(Other, skip=("hidden",), renamed={"weight": "--kd-weight"}))
def verb(
    name: Annotated[str, typer.Argument()], values: Values, json: Annotated[Path | None, typer.Option()] = None
) -> None:
    """A verb."""
    made[:] = [name, values.of(Sample), values.of(Other, hidden=9), json]


def run(*words: str):
    done = CliRunner().invoke(verbs, list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_defaults_are_the_configurations():
    run("n", "--data", "d")
    assert made == ["n", Sample(data="d"), Other(hidden=9), None]


def test_every_kind_of_value():
    run(
        "n", "--data", "d", "--imgsz", "32x64", "--frame-hw", "8", "--loss", "dice", "--max-drop", "1.5", "--fp16",
        "--no-correct", "--classes", "a", "--classes", "b", "--threads", "2", "--kd-weight", "0.5", "--json", "j",
    )  # fmt: skip
    wanted = Sample(
        data="d", input_hw=(32, 64), frame_hw=(8, 8), loss="dice", max_drop=0.015, half=True, correct=False,
        classes=("a", "b"), threads=2,
    )  # fmt: skip
    assert made == ["n", wanted, Other(weight=0.5, hidden=9), Path("j")]


def test_help_shows_names_and_defaults():
    text = " ".join(run("--help").output.replace("│", " ").split())
    assert "Loss: ce, dice. [default: ce]" in text
    assert "[default: 4x6]" in text
    assert "Folder with classes." in text
    assert "--hidden" not in text


def test_errors_name_the_field():
    with pytest.raises(InputError, match="^`input_hw`: expected HEIGHTxWIDTH"):
        run("n", "--data", "d", "--imgsz", "big")
    use_flags(sys.modules[__name__])
    assert (FLAGS["input_hw"], FLAGS["weight"]) == ("--imgsz", "--kd-weight")
    use_flags(typer)  # another module: the fields' names are another verb's
    assert FLAGS == {}


def test_a_field_that_is_not_there_is_a_programming_error():
    with pytest.raises(TypeError, match="Sample has no option 'nope'"):
        Fields(Sample, skip=("nope",))


def test_two_groups_with_one_option():
    with pytest.raises(TypeError, match="has an option weight already"):
        derive(Other, Other)(lambda values: None)
