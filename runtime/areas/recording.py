"""Keeps the areas of a run as its options say."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from .clock import Clock
from .options import AreaOptions
from .tally import AreaCurves
from .writing import AreaWriter, check_areas

if TYPE_CHECKING:
    from ..frame.result import Result


class AreaRecorder:
    """Takes the results of a run: writes their areas, and keeps the curves for a plot.

    Args:
        options: Where to.

    Raises:
        InputError: a file can't be written.
    """

    def __init__(self, options: AreaOptions) -> None:
        if options.areas is not None:
            check_areas(options.areas)
        self._path = options.areas
        self._writer: AreaWriter | None = None
        self._clock = Clock()
        self._plotted = options.plot is not None
        #: Number of the source → its curves.
        self.curves: dict[int, AreaCurves] = {}

    def add(self, result: Result) -> None:
        """Adds a result with areas."""
        assert result.areas is not None
        time_s = self._clock.time_s(result)
        if self._path is not None:
            self._writer = self._writer or AreaWriter(self._path)
            self._writer.add(result, time_s)
        if self._plotted:
            self.curves.setdefault(result.origin, AreaCurves()).add(time_s, result.areas)

    def close(self) -> None:
        """Finishes the file; without a frame there is none. May be called twice."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> AreaRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
