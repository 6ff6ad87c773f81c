"""Configuration classes: what a field declares, holds everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.core.options import Options, configuration, declared, default_of, option, parse_range, parse_size


@configuration
class Sample(Options):
    """A sample."""

    data: Path = option(help="Folder.")
    out: Path | None = option(None, help="Another folder.")
    loss: str = option("ce", help="Loss", choices=lambda: ("ce", "dice"), kind="loss")
    share: float = option(0.5, help="A share.", percent=True, low=0, high=1)
    rate: float | None = option(None, help="Above 0.", above=0)
    count: int = option(3, help="A number.", low=1)
    names: tuple[str, ...] = option((), help="Names.")

    def check(self) -> None:
        if self.out is not None and self.out == self.data:
            raise InputError("`out`: is the same folder as `data`; expected another one")


def test_texts_become_paths_and_lists_tuples():
    made = Sample(data="a/b", out="c", names=["x", "y"])
    assert (made.data, made.out, made.names) == (Path("a/b"), Path("c"), ("x", "y"))
    assert made.loss == "ce"  # a text stays one


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"share": 1.5}, "`share`: expected 0 to 1, got 1.5"),
        ({"rate": 0.0}, "`rate`: expected a number above 0, got 0"),
        ({"rate": float("nan")}, "`rate`: expected a finite number, got nan"),
        ({"count": 0}, "`count`: expected at least 1, got 0"),
        ({"out": "d"}, "`out`: is the same folder as `data`; expected another one"),
    ],
)
def test_values_are_checked_when_it_is_made(values, text):
    with pytest.raises(InputError) as error:
        Sample(data="d", **values)
    assert str(error.value) == text


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown loss 'dise': did you mean 'dice'"):
        Sample(data="d", loss="dise")


def test_a_changed_copy_is_checked_too():
    assert Sample(data="d").with_(count=5).count == 5
    with pytest.raises(InputError, match="`count`"):
        Sample(data="d").with_(count=-1)


def test_the_docstring_lists_every_field():
    assert Sample.__doc__ is not None
    for line in ("data: Folder.", "loss: Loss: ce, dice. Default: 'ce'.", "share: A share. Default: 0.5.", "rate: Above 0."):
        assert f"        {line}\n" in Sample.__doc__


def test_only_by_name():
    with pytest.raises(TypeError):
        Sample("d")


def test_what_is_declared():
    assert [name for name, _info, _hint in declared(Sample)] == ["data", "out", "loss", "share", "rate", "count", "names"]
    assert default_of(Sample, "count") == 3


@pytest.mark.parametrize("text", ["", "x", "0x3", "3x", "1x2x3", "-4", "100000"])
def test_sizes_that_are_none(text):
    with pytest.raises(InputError, match="expected HEIGHTxWIDTH in pixels such as 352x480, got"):
        parse_size(text)


def test_sizes_and_ranges():
    assert parse_size("12×34") == (12, 34)
    assert parse_range("1") == (1.0, 1.0)
    with pytest.raises(InputError, match="expected LOW,HIGH"):
        parse_range("2,1")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"count": "three"}, "`count`: expected a whole number, got 'three'"),
        ({"count": 2.5}, "`count`: expected a whole number, got 2.5"),
        ({"count": True}, "`count`: expected a whole number, got True"),
        ({"count": None}, "`count`: expected a whole number, got None"),
        ({"share": "half"}, "`share`: expected a number, got 'half'"),
        ({"data": 3}, "`data`: expected a path, got 3"),
        ({"loss": 1}, "`loss`: expected a text, got 1"),
        ({"names": ["x", 3]}, "`names`: expected a text, got 3"),
    ],
)
def test_a_value_of_another_kind_is_refused_when_it_is_made(values, text):
    with pytest.raises(InputError) as error:
        Sample(**{"data": "d", **values})
    assert str(error.value) == text


def test_one_value_is_one_of_several():
    """Not its letters."""
    assert Sample(data="d", names="one").names == ("one",)


def test_a_size_may_be_a_text():
    @configuration
    class Sized(Options):
        size_hw: tuple[int, int] | None = option(None, help="Size.", parse=parse_size)
        threads: tuple[int, ...] | None = option(None, help="Threads.", low=1)
        kinds: tuple[str, ...] = option(("a",), help="Kinds", choices=lambda: ("a", "b"))

    globals()["Sized"] = Sized  # its type hints are looked up here
    assert Sized(size_hw="32x48", threads=2).threads == (2,)
    assert Sized(size_hw="32x48").size_hw == Sized(size_hw=[32, 48]).size_hw == (32, 48)
    with pytest.raises(InputError, match="^`size_hw`: expected HEIGHTxWIDTH"):
        Sized(size_hw="big")
    with pytest.raises(InputError, match="^`threads`: expected at least 1, got 0"):
        Sized(threads=[1, 0])
    with pytest.raises(UnknownNameError, match="unknown kinds 'c'"):
        Sized(kinds=["a", "c"])


@pytest.mark.parametrize(
    ("text", "size_hw"),
    [
        ("352x480", (352, 480)),
        ("352X480", (352, 480)),
        ("352×480", (352, 480)),
        (" 480 ", (480, 480)),
        ("1x1", (1, 1)),
        ("99999", (99999, 99999)),
    ],
)
def test_parse_size(text, size_hw):
    assert parse_size(text) == size_hw


@pytest.mark.parametrize(
    "text", ["", "x", "352x", "x480", "352,480", "352 x 480", "0", "0x480", "480x0", "-1", "1.5", "100000"]
)
def test_parse_size_refuses(text):
    expected = f"expected HEIGHTxWIDTH in pixels such as 352x480, got {text!r}"
    with pytest.raises(InputError, match=re.escape(expected)):
        parse_size(text)


@pytest.mark.parametrize(("text", "ends"), [("0.75,2", (0.75, 2)), ("1", (1, 1)), (" 1 , 1 ", (1, 1)), ("-1,0", (-1, 0))])
def test_parse_range(text, ends):
    assert parse_range(text) == ends


@pytest.mark.parametrize("text", ["", "2,1", "a", "1,", "1,2,3", "nan", "1,nan"])
def test_parse_range_refuses(text):
    with pytest.raises(InputError, match=re.escape(f"expected LOW,HIGH such as 0.75,2, got {text!r}")):
        parse_range(text)
