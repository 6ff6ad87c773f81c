"""The progress protocol of all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Called with (done, total); ``total`` is None if it is not known yet.
Count = Callable[[int, "int | None"], None]


class Progress(Protocol):
    """Receives progress. The command line draws bars; a program may pass its own receiver, or None.

    >>> class Printer(Silent):
    ...     def say(self, text: str) -> None:
    ...         print(text)
    >>> Printer().say("int8: minmax ranges")
    int8: minmax ranges
    """

    def say(self, text: str) -> None:
        """Receives one line of text: a step that begins, or a decision and its reason."""

    def track(self, items: Sequence[T], what: str) -> Iterable[T]:
        """Wraps a loop over ``items``; ``what`` names it."""

    def count(self, what: str) -> Count:
        """Returns a callback for (done, total) of the work that ``what`` names."""

    def aside(self) -> AbstractContextManager[None]:
        """A context in which other code may draw on the terminal, such as the bars of a training."""


class Silent:
    """The :class:`Progress` that ignores everything."""

    def say(self, text: str) -> None: ...

    def track(self, items: Sequence[T], what: str) -> Iterable[T]:
        return items

    def count(self, what: str) -> Count:
        return lambda _done, _total: None

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()
