"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from ..core.shipped import DEFAULT, shipped
from .progress import loading as loading
from .progress import progress_bar as progress_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..core.spec import ModelSpec
    from ..runtime import Segmenter

#: The base of usage errors. Newer releases of typer bundle click, older ones import it; this works with both.
UsageError: Any = typer.BadParameter.__base__

MODEL_HELP = f"Exported ONNX file, engine file or artefact folder. {DEFAULT} comes with the package: street scenes."


def about(model: Path, segmenter: Segmenter) -> str:
    """A one-line description of the model that runs; for a shipped model including its classes."""
    return about_file(model, segmenter.engine.path, segmenter.spec)


def about_file(model: Path, file: Path, spec: ModelSpec) -> str:
    """:func:`about` for a model file that is not open: ``model`` as named by the user, ``file`` as resolved."""
    text = f"{file}: {spec.name}, {spec.precision}"
    if shipped(model) == model:
        return text
    names = spec.labels.names
    return f"{text} (shipped: {len(names)} classes, {', '.join(names)}; name your own model for others)"


def writable(path: Path | None) -> Path | None:
    """Callback of options for output files: checks before the work that the file can be written.

    Raises:
        InputError: ``path`` is a folder, or its folder can't be created or written.
    """
    if path is not None:
        from ..core.artefact import check_writable

        check_writable(path)
    return path


@contextmanager
def second_signal_ends() -> Iterator[Callable[[], None]]:
    """The first Ctrl-C or SIGTERM stops the run cleanly; a second one ends the process immediately.

    Yields a function that raises KeyboardInterrupt if a signal has arrived. It is needed because a library may catch
    the exception of the signal handler, as OpenVINO's telemetry does during its import, and the run would continue.

    A single key press may deliver several signals (to the process and to its group), and the entry point repeats a
    signal whose exception was swallowed. Therefore signals within 0.6 s of the first are passed to the previous
    handler.
    """
    import os
    import signal
    import time

    first_s: float | None = None
    wanted = [number for number in (signal.SIGINT, signal.SIGTERM) if callable(signal.getsignal(number))]
    before: dict[signal.Signals, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal first_s
        now_s = time.monotonic()
        if first_s is None:
            first_s = now_s
        elif now_s - first_s > 0.6:
            os._exit(130)
        before[signal.Signals(number)](number, frame)

    def check() -> None:
        if first_s is not None:
            raise KeyboardInterrupt

    for number in wanted:
        before[number] = signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def console() -> Console:
    """A console for tables: as wide as the terminal, or 160 columns if the output is a file or pipe."""
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout and sys.stdout.isatty() else 160)


def print_table(title: str, table: Table) -> None:
    """Prints a title line and a table; [brackets] are printed as text, not interpreted as markup."""
    out = console()
    # Not as the table's title, which would wrap long paths at the table's width and interpret [brackets] as markup.
    out.print(title, markup=False, highlight=False, soft_wrap=True)
    out.print(table, markup=False)
