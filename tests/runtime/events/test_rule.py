"""The language of rules."""

from __future__ import annotations

import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.core.seconds import parse_duration
from seg_edge.runtime.events import Rule
from seg_edge.runtime.events.rule import Comparison


def test_the_whole_form():
    rule = Rule.parse("crowd: pedestrian in platform > 2% for 1s")
    assert rule == Rule(
        "crowd", "crowd: pedestrian in platform > 2% for 1s", ((Comparison("pedestrian", "platform", ">", 0.02),),), 1.0
    )


@pytest.mark.parametrize(
    ("text", "expected", "for_s"),
    [
        ("car>5%", ((("car", "frame", ">", 0.05),),), 0),
        ("car <= 0.5 % for 250 ms", ((("car", "frame", "<=", 0.005),),), 0.25),
        ("sign symbol in left lane >= 1% for 2min", ((("sign symbol", "left lane", ">=", 0.01),),), 120),
        ("'in and out' in \"a: b\" < 100%", ((("in and out", "a: b", "<", 1.0),),), 0),
        (
            "a > 1% and b < 2% or c > 3%",
            ((("a", "frame", ">", 0.01), ("b", "frame", "<", 0.02)), (("c", "frame", ">", 0.03),)),
            0,
        ),
    ],
)  # fmt: skip
def test_forms(text, expected, for_s):
    rule = Rule.parse(text)
    assert rule.any_of == tuple(tuple(Comparison(*entry) for entry in every) for every in expected)
    assert rule.for_s == for_s
    assert rule.name == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a class, got the end"),
        ("car", "expected in, or one of > >= < <=, got the end"),
        ("car in > 2%", "expected a zone, got '>'"),
        ("car > 2", "expected a percentage from 0% to 100%, got '2'"),
        ("car > 200%", "expected a percentage from 0% to 100%, got '200%'"),
        ("car > x%", "expected a percentage from 0% to 100%, got 'x%'"),
        ("car > 2% for", "expected a duration such as 1s, got the end"),
        ("car > 2% for ever", "expected a duration such as 1s, 500ms or 2min, got 'ever'"),
        ("car > 2% 3", "expected and, or, for, or the end, got '3'"),
        ("car > 2% and", "expected a class, got the end"),
        ("car > 'x", "a quote is not closed"),
        (": car > 2%", "expected a class, got ':'"),
    ],
)
def test_what_is_wrong_is_said(text, says):
    with pytest.raises(InputError, match="`when`: ") as caught:
        Rule.parse(text)
    assert says in str(caught.value)
    assert "the form is: CLASS in ZONE > NUMBER% for SECONDSs" in str(caught.value)


def test_names_are_checked():
    rule = Rule.parse("pedestrain in platfrom > 2%")
    with pytest.raises(UnknownNameError, match="unknown class 'pedestrain': did you mean 'pedestrian'"):
        rule.check(("pedestrian", "road"), ("frame", "platform"))
    with pytest.raises(UnknownNameError, match="unknown zone 'platfrom': did you mean 'platform'"):
        rule.check(("pedestrain",), ("frame", "platform"))


@pytest.mark.parametrize(
    ("text", "share", "holds", "keeps"),
    [
        ("a > 10%", 0.09, False, True),
        ("a > 10%", 0.07, False, False),
        ("a < 10%", 0.11, False, True),
        ("a < 10%", 0.13, False, False),
        ("a > 10%", 0.1, False, True),
        ("a >= 10%", 0.1, True, True),
        ("a <= 10%", 0.1, True, True),
        ("a < 10%", 0.1, False, True),
    ],
)
def test_limits(text, share, holds, keeps):
    rule = Rule.parse(text)
    assert rule.holds(lambda _name, _zone: share) is holds
    assert rule.holds(lambda _name, _zone: share, 0.2) is keeps


def test_durations():
    assert [parse_duration(text) for text in ("1.5s", "20ms", "3 min", "1h", "7")] == [1.5, 0.02, 180, 3600, 7]
    with pytest.raises(InputError, match="expected a duration such as 5s"):
        parse_duration("-1s")
