"""The language of rules, such as ``pedestrian in platform > 2% for 1s``. Imports the standard library and ``core`` only.

    rule        = [ name ":" ] condition [ "for" duration ]
    condition   = every { "or" every }
    every       = comparison { "and" comparison }
    comparison  = class [ "in" zone ] ( ">" | ">=" | "<" | "<=" ) number "%"
    duration    = number ( "ms" | "s" | "min" | "h" )

Names of classes and zones are words; a name that contains ``in``, ``and``, ``or``, ``for``, a colon or a sign stands in
quotes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.errors import InputError
from ...core.options import check_name
from ...core.seconds import UNITS, parse_duration

if TYPE_CHECKING:
    from typing_extensions import Never

FRAME = "frame"
FORM = "CLASS in ZONE > NUMBER% for SECONDSs"

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_TOKEN = re.compile(r"""\s*(?:"(?P<q>[^"]*)"|'(?P<a>[^']*)'|(?P<sign>[<>]=?)|(?P<colon>:)|(?P<word>[^\s<>:"']+))""")
_KEYWORDS = ("in", "and", "or", "for")


@dataclass(frozen=True)
class Comparison:
    """A class's share of a zone, compared with a limit, a fraction."""

    name: str
    zone: str
    sign: str
    limit: float

    @property
    def text(self) -> str:
        """The share's name: ``"pedestrian in platform"``."""
        return self.name if self.zone == FRAME else f"{self.name} in {self.zone}"

    def holds(self, share: float, hysteresis: float = 0.0) -> bool:
        """Whether it holds; with hysteresis also as far on the other side of the limit, relative to it."""
        slack = -hysteresis if self.sign[0] == ">" else hysteresis
        return _SIGNS[self.sign](share, self.limit * (1 + slack))


@dataclass(frozen=True)
class Rule:
    """A parsed rule.

    Attributes:
        name: For messages and file names: that of the user, else the text.
        text: As the user wrote it.
        any_of: The condition holds if all comparisons of one of these hold.
        for_s: So long it must hold before the event starts, and fail before it ends.

    >>> rule = Rule.parse("crowd: pedestrian in platform > 2% for 500ms")
    >>> rule.name, rule.any_of[0][0].limit, rule.for_s
    ('crowd', 0.02, 0.5)
    """

    name: str
    text: str
    any_of: tuple[tuple[Comparison, ...], ...]
    for_s: float

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Reads a rule.

        Raises:
            InputError: it has another form; the message says where.
        """
        return _Parser(text).rule()

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return tuple(dict.fromkeys(entry for every in self.any_of for entry in every))

    def check(self, classes: Iterable[str], zones: Iterable[str]) -> None:
        """Raises UnknownNameError, with the nearest valid name, if a class or zone doesn't exist."""
        classes, zones = tuple(classes), tuple(zones)
        for entry in self.comparisons:
            check_name("class", entry.name, classes)
            check_name("zone", entry.zone, zones)

    def holds(self, share: Callable[[str, str], float], hysteresis: float = 0.0) -> bool:
        """Whether the condition holds.

        Args:
            share: (class, zone) → fraction, 0 to 1.
            hysteresis: See :meth:`Comparison.holds`.
        """
        return any(
            all(entry.holds(share(entry.name, entry.zone), hysteresis) for entry in every) for every in self.any_of
        )  # fmt: skip


@dataclass(frozen=True)
class _Token:
    text: str
    at: int
    quoted: bool = False


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._next = text, list(_tokens(text)), 0

    def rule(self) -> Rule:
        name = self._text.strip()
        if len(self._tokens) > 1 and any(token.text == ":" for token in self._tokens[1:]):
            name = self._names(":", "a name")
            self._take(":")
        any_of = [self._every()]
        while self._is("or"):
            self._next += 1
            any_of.append(self._every())
        for_s = 0.0
        if self._is("for"):
            self._next += 1
            for_s = self._duration()
        if self._peek() is not None:
            self._fail("and, or, for, or the end")
        return Rule(name, self._text.strip(), tuple(any_of), for_s)

    def _every(self) -> tuple[Comparison, ...]:
        entries = [self._comparison()]
        while self._is("and"):
            self._next += 1
            entries.append(self._comparison())
        return tuple(entries)

    def _comparison(self) -> Comparison:
        name, zone = self._names("in", "a class"), FRAME
        if self._is("in"):
            self._next += 1
            zone = self._names("", "a zone")
        token = self._peek()
        if token is None or token.quoted or token.text not in _SIGNS:
            self._fail("in, or one of > >= < <=")
        self._next += 1
        return Comparison(name, zone, token.text, self._percent())

    def _names(self, end: str, what: str) -> str:
        """Words up to a keyword or sign, as one name."""
        words = []
        while (token := self._peek()) is not None and (token.quoted or token.text not in (*_KEYWORDS, *_SIGNS, ":", end)):
            words.append(token.text)
            self._next += 1
        if not words:
            self._fail(what)
        return " ".join(words)

    def _percent(self) -> float:
        text = self._joined("%", "a percentage such as 2%")
        try:
            value = float(text[:-1])
        except ValueError:
            value = -1.0
        if not text.endswith("%") or not 0 <= value <= 100:
            self._next -= 1
            self._fail("a percentage from 0% to 100%")
        return value / 100

    def _duration(self) -> float:
        text = self._joined("s", "a duration such as 1s")
        try:
            return parse_duration(text)
        except InputError:
            self._next -= 1
            self._fail("a duration such as 1s, 500ms or 2min")

    def _joined(self, unit: str, what: str) -> str:
        """A number with its unit, also where a space stands between them."""
        token = self._peek()
        if token is None:
            self._fail(what)
        self._next += 1
        following = self._peek()
        if following is not None and re.fullmatch(r"[\d.]+", token.text) and following.text in ("%", *UNITS):
            self._next += 1
            return token.text + following.text
        return token.text

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _is(self, keyword: str) -> bool:
        token = self._peek()
        return token is not None and not token.quoted and token.text == keyword

    def _take(self, text: str) -> None:
        if not self._is(text):
            self._fail(text)
        self._next += 1

    def _fail(self, expected: str) -> Never:
        token = self._peek()
        got = "the end" if token is None else repr(token.text)
        raise InputError(f"`when`: {self._text!r}: expected {expected}, got {got}; the form is: {FORM}")


def _tokens(text: str) -> Iterable[_Token]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise InputError(f"`when`: {text!r}: a quote is not closed; the form is: {FORM}")
        quoted = match["q"] if match["q"] is not None else match["a"]
        yield _Token(match[0].strip() if quoted is None else quoted, match.start(), quoted is not None)
        at = match.end()
