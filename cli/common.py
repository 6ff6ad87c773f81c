"""Options that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..core.artefact import check_writable
from ..core.errors import InputError
from ..core.shipped import DEFAULT, shipped
from .progress import loading as loading
from .progress import progress_bar as progress_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..core.spec import ModelSpec
    from ..runtime import Segmenter

MODEL_HELP = f"Exported ONNX file, engine file or artefact folder. {DEFAULT} comes with the package: street scenes."


def about(model: Path, segmenter: Segmenter) -> str:
    """What runs, in a line; of a shipped model what it is for."""
    return about_file(model, segmenter.engine.path, segmenter.spec)


def about_file(model: Path, file: Path, spec: ModelSpec) -> str:
    """:func:`about` of a model file that is not open: ``model`` is what the user named, ``file`` what it stands for."""
    text = f"{file}: {spec.name}, {spec.precision}"
    if shipped(model) == model:
        return text
    names = spec.labels.names
    return f"{text} (shipped: {len(names)} classes, {', '.join(names)}; name your own model for others)"


def parse_size(text: str | None, option: str = "--imgsz") -> tuple[int, int] | None:
    """``"352x480"`` (height x width) or ``"480"`` (square) → (352, 480); None stays None. ``option`` is named in errors.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX×](\d{1,5}))?", text.strip())
    if not match or int(match[1]) < 1 or int(match[2] or 1) < 1:
        raise InputError(f"{option}: expected HEIGHTxWIDTH in pixels such as 352x480, got {text!r}")
    height = int(match[1])
    return height, int(match[2]) if match[2] else height


def parse_range(text: str, option: str) -> tuple[float, float]:
    """``"0.75,2"`` → (0.75, 2.0); a single number stands for both ends. ``option`` is named in errors.

    Raises:
        InputError: anything else, or ends in falling order.
    """
    try:
        ends = [float(part) for part in text.split(",")]
    except ValueError:
        ends = []
    if len(ends) not in (1, 2) or not ends[0] <= ends[-1]:
        raise InputError(f"{option}: expected LOW,HIGH such as 0.75,2, got {text!r}")
    return ends[0], ends[-1]


def writable(path: Path | None) -> Path | None:
    """Callback of options that name an output file: one that can't be written is refused before the work, not after it.

    Raises:
        InputError: ``path`` is a folder, or its folder can't be made or written.
    """
    if path is not None:
        check_writable(path)
    return path


@contextmanager
def second_signal_ends() -> Iterator[Callable[[], None]]:
    """Ctrl-C or SIGTERM once stops in good order; a second one, while that goes on, ends the process at once.

    Yields a function that raises KeyboardInterrupt if a signal has come: a library may catch the one that the signal itself
    raised (OpenVINO's telemetry does, while it is loaded), and the run would go on as if nothing had been said.

    One press may arrive several times within moments (to the process and to its group), and the entry point may send a
    signal again that a library swallowed: what comes within 0.6 s of the first is left to the handler that was there before.
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
    """A console for tables: as wide as the terminal, or 160 columns where output goes to a file or pipe."""
    import sys

    from rich.console import Console

    return Console(width=None if sys.stdout and sys.stdout.isatty() else 160)


def print_table(title: str, table: Table) -> None:
    """Prints a line and a table under it; [brackets] in either are text, not markup."""
    out = console()
    # Not as the table's own title: that would break a long path at the table's width, and take [brackets] for markup.
    out.print(title, markup=False, highlight=False, soft_wrap=True)
    out.print(table, markup=False)
