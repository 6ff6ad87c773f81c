"""Progress of configurations that take turns, so that the title changes with every step."""

from __future__ import annotations

from ..core.progress import Count, Progress, Silent


class TitledCount:
    """Shows one bar at a time, with the title of the running configuration.

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
        """Reports that ``done`` of ``total`` are done and ``title`` is running."""
        if self._running != title:
            self.finish()
            self._running = title
            if title not in self._counts:
                self._counts[title] = self._progress.count(title)
        self._total = total
        self._counts[title](done, total)

    def finish(self) -> None:
        """Ends the current bar."""
        if self._running is not None:
            self._counts[self._running](self._total, self._total)
            self._running = None
