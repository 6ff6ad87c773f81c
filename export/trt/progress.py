"""Shows the progress of TensorRT's builder through the common protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...core.progress import Progress
from ...runtime.engines.nvinfer import Backend


class Phases:
    """Bars of nested phases. An exception in a callback (Ctrl-C) stops the build; :meth:`reraise` raises it later."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress, self._title = progress, title
        self._bars: dict[str, tuple[int, Callable[[int, int], None]]] = {}
        self._error: BaseException | None = None

    def start(self, name: str, parent: str | None, steps: int) -> None:
        self._bars[name] = (steps, self._progress.count(f"{self._title}: {name}"))
        self._bars[name][1](0, steps)

    def step(self, name: str, number: int) -> None:
        total, show = self._bars[name]
        show(min(number + 1, total), total)

    def finish(self, name: str) -> None:
        total, show = self._bars.pop(name)
        show(total, total)

    def guarded(self, call: Callable[..., None], *arguments: Any) -> bool:
        """Runs a callback; False if the build must stop. An exception must not unwind through TensorRT's C++ frames."""
        if self._error is None:
            try:
                call(*arguments)
            except BaseException as error:
                self._error = error
        return self._error is None

    def reraise(self) -> None:
        """Raises the exception of a callback, if there was one."""
        if self._error is not None:
            raise self._error


def monitor(backend: Backend, phases: Phases) -> Any:
    """A TensorRT progress monitor that drives ``phases``."""
    trt = backend.trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            phases.guarded(phases.start, name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            return phases.guarded(phases.step, name, step)

        def phase_finish(self, name: str) -> None:
            phases.guarded(phases.finish, name)

    return Monitor()
