"""How a stage tells its caller what it is doing: the one progress protocol of all stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Called with (done, total); ``total`` is None where it is not known yet.
Count = Callable[[int, "int | None"], None]


class Progress(Protocol):
    """Receiver of progress. The command draws bars; a program may pass its own, or None.

    >>> class Printer(Silent):
    ...     def say(self, text: str) -> None:
    ...         print(text)
    >>> Printer().say("int8: minmax ranges")
    int8: minmax ranges
    """

    def say(self, text: str) -> None:
        """Takes one line: a step that begins, or a decision and its reason."""

    def track(self, items: Sequence[T], what: str) -> Iterable[T]:
        """Wraps a loop over ``items``; ``what`` names it."""

    def count(self, what: str) -> Count:
        """Returns a callback for (done, total) of the work that ``what`` names."""

    def aside(self) -> AbstractContextManager[None]:
        """A context in which something else draws on the terminal, such as the bars of a training."""


class Silent:
    """The :class:`Progress` that ignores everything."""

    def say(self, text: str) -> None: ...

    def track(self, items: Sequence[T], what: str) -> Iterable[T]:
        return items

    def count(self, what: str) -> Count:
        return lambda _done, _total: None

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()
