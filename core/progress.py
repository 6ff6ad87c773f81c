"""How a chain tells what it is doing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class Progress(Protocol):
    """Receiver of progress; the command shows it, a program may ignore it."""

    def say(self, text: str) -> None:
        """One line: a step that begins, or a decision and its reason."""

    def track(self, items: Sequence[Any], what: str) -> Iterable[Any]:
        """Wraps a loop."""

    def count(self, what: str) -> Callable[[int, int], None]:
        """Gives a callback for (done, all)."""

    def aside(self) -> AbstractContextManager[None]:
        """While something else draws on the terminal, a training for example."""


class Silent:
    """The :class:`Progress` that tells nobody."""

    def say(self, text: str) -> None: ...

    def track(self, items: Sequence[Any], what: str) -> Iterable[Any]:
        return items

    def count(self, what: str) -> Callable[[int, int], None]:
        return lambda _done, _all: None

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()
