"""Shows the progress of a stage on standard error: a line for each step, a bar for each loop."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

    from ..core.progress import Count

T = TypeVar("T")


def progress_bar(*columns: ProgressColumn, **options: Any) -> RichProgress:
    """A progress display on stderr that is removed at the end; disabled if stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not (sys.stderr and sys.stderr.isatty()), **options
    )


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Shows an indeterminate bar during work of unknown length, such as the import of torch."""
    with progress_bar() as bars:
        bars.add_task(what, total=None)
        yield


class Bars:
    """The :class:`seg_edge.core.progress.Progress` of the command line.

    Between loops an indeterminate bar with the name of the current step shows that the stage is running.

    Args:
        columns: Columns of rich's bars; none is rich's default.
        start: Text of the indeterminate bar before the first step.
        options: Options of rich's progress display, such as ``refresh_per_second``.
    """

    def __init__(self, *columns: ProgressColumn, start: str = "starting", **options: Any) -> None:
        from rich.markup import escape

        self._escape = escape  # a path may hold [brackets]
        self._bars = progress_bar(*columns, **options)
        self._step = self._bars.add_task(start, total=None)
        self._shown: set[Any] = set()

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._bars.stop()

    def say(self, text: str) -> None:
        self._bars.console.print(text, highlight=False, markup=False, soft_wrap=True)
        # The part before the details, such as "simplify" or "int8".
        step = self._escape(text.partition(":")[0].strip())
        self._bars.update(self._step, description=step, visible=not self._shown)

    def track(self, items: Sequence[T], what: str) -> Iterable[T]:
        task = self._bars.add_task(self._escape(what), total=len(items))
        self._show(task, True)
        try:
            yield from self._bars.track(items, task_id=task)
        finally:
            self._show(task, False)
            self._bars.remove_task(task)

    def count(self, what: str) -> Count:
        task = self._bars.add_task(self._escape(what), total=None)
        self._show(task, True)

        def show(done: int, total: int | None) -> None:
            running = total is None or done < total
            self._bars.update(task, completed=done, total=total, visible=running)
            self._show(task, running)

        return show

    @contextmanager
    def aside(self) -> Iterator[None]:
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def _show(self, task: Any, running: bool) -> None:
        """Records which loops run; the bar of the step is visible when no loop runs."""
        (self._shown.add if running else self._shown.discard)(task)
        self._bars.update(self._step, visible=not self._shown)
