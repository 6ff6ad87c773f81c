"""Progress of work whose name changes all the time: configurations that take turns."""

from __future__ import annotations

from ..core.progress import Count, Progress, Silent


class TitledCount:
    """One bar at a time, named after what runs now.

    >>> class Printer(Silent):
    ...     def count(self, what):
    ...         return lambda done, total: print(what, done, "of", total)
    >>> tell = TitledCount(Printer())
    >>> tell(0, 2, "fp32")
    fp32 0 of 2
    >>> tell(1, 2, "int8")
    fp32 2 of 2
    int8 1 of 2
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress or Silent()
        self._counts: dict[str, Count] = {}
        self._running: str | None = None
        self._total: int = 1

    def __call__(self, done: int, total: int, title: str) -> None:
        """``done`` of ``total`` is done, and ``title`` runs now."""
        if self._running != title:
            self.finish()
            self._running = title
            if title not in self._counts:
                self._counts[title] = self._progress.count(title)
        self._total = total
        self._counts[title](done, total)

    def finish(self) -> None:
        """What ran has ended."""
        if self._running is not None:
            self._counts[self._running](self._total, self._total)
            self._running = None
