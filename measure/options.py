"""The options of evaluation, benchmark and comparison. Imports nothing heavy, because the command's help needs them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..core.errors import InputError
from ..core.options import Options, check_name, configuration, option, parse_names, parse_size, show_size
from ..core.spec import TTA_VIEWS
from ..runtime.engines.table import choices as engine_choices

#: Engine of checkpoints; exported models run on the engines of the runtime.
TORCH = "torch"
FRAME_HW = (720, 1280)
#: Seconds of one turn, both blocks together: short compared with a machine's drift, long compared with the pause
#: before.
TURN_S = 0.5
_MAX_SIDE = 16384
_MAX_BATCH = 256


def parse_numbers(text: str) -> tuple[int, ...]:
    """``"1,2"`` → (1, 2).

    Raises:
        InputError: anything but whole numbers.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise InputError(f"expected whole numbers such as 2 or 1,2, got {text!r}")
    return tuple(map(int, words))


@configuration
class EvaluateOptions(Options):
    """How models are evaluated on a dataset.

    >>> EvaluateOptions(split="test").split
    'test'
    """

    split: str = option("val", help="Which split to evaluate on.")
    engine: str = option(
        "auto", help="Engine of an exported model; torch: of a checkpoint", choices=lambda: (*engine_choices(), TORCH)
    )
    threads: int | None = option(None, help="CPU threads. Default: every core.", low=1)
    tta: tuple[str, ...] = option(
        (),
        help="Measure also the mean of the probabilities over several views: flip adds mirror images, scale the image at "
        "one and a half times the size. Several with commas between them",
        choices=lambda: TTA_VIEWS,
        metavar="NAME,…",
        parse=parse_names,
        show=",".join,
    )


@configuration
class CompareOptions(Options):
    """How two trainings are compared, and how many cases are shown."""

    data: Path = option(help="Dataset folder.")
    split: str = option("val", help="Which split to compare on.")
    cases: int = option(3, help="Images among the best and among the worst.", low=1, high=50)
    threads: int | None = option(None, help="CPU threads. Default: every core.", low=1)


@configuration
class BenchOptions(Options):
    """Engines, threads, frames and duration of a benchmark.

    >>> BenchOptions(engines=["openvino"], threads=[1, 2], runs=20).threads
    (1, 2)
    """

    engines: tuple[str, ...] | None = option(
        None,
        flag="--engine",
        help="Engine; may be repeated. Default: every one available; of an engine file, its own. auto is the fastest",
        choices=engine_choices,
    )
    frame_hw: tuple[int, int] = option(
        FRAME_HW, flag="--frame", help="Size HxW of the frames fed in.", parse=parse_size, show=show_size
    )
    threads: tuple[int, ...] | None = option(
        None, help="CPU threads: a number or several (1,2); may be repeated. Default: every core.", parse=parse_numbers
    )
    batches: tuple[int, ...] | None = option(
        None,
        flag="--batch",
        help="Frames per inference: a number or several (1,4). Default: what the file fixes, else 1.",
        parse=parse_numbers,
    )
    duration_s: float | None = option(
        None, flag="--duration", help="Seconds of measurement per configuration. Default: 5.", above=0
    )
    runs: int | None = option(None, help="Instead: this many runs of each kind per configuration.", low=1)
    data: Path | None = option(None, help="Dataset to take frames from and to measure mIoU on.")
    split: str = option("val", help="Split of the dataset.")
    settle: float | None = option(
        None, help="Stop earlier, once every row's interval is within plus or minus this many %.", percent=True, above=0
    )
    limit_s: float | None = option(
        None, flag="--limit", help="Begin no more turns after this many seconds of measuring, once there are six.", above=0
    )
    reopen: int | None = option(
        None, help="Open every model anew after this many turns: where memory lies changes the speed of some.", low=1
    )
    turn_s: float = option(TURN_S, help="Seconds of one turn of a configuration, both blocks together.", above=0)
    wait_s: float = option(0.0, flag="--wait", help="Wait up to this many seconds until other processes are quiet.", low=0)
    source: str | None = option(None, help="Also measure camera to sink: camera:30 (simulated), 0, a video or a folder.")
    sink: str = option("none", help="Where --source goes: none, window, or a video file.")
    relative_to: str | None = option(
        None, help="Model that the others are divided by. Default with --table: its first network."
    )

    def check(self) -> None:
        """Checks relations between fields, and each element of fields with several values."""
        if self.duration_s is not None and self.runs is not None:
            raise InputError("pass `duration_s` or `runs`, not both")
        if self.settle is not None and self.settle >= 1:
            raise InputError(f"`settle`: expected a fraction between 0 and 1, got {self.settle:g}")
        if len(self.frame_hw) != 2 or not all(1 <= side <= _MAX_SIDE for side in self.frame_hw):
            raise InputError(f"`frame_hw`: height and width must be 1 to {_MAX_SIDE} pixels, got {self.frame_hw}")
        if any(not 1 <= size <= _MAX_BATCH for size in self.batches or ()):
            raise InputError(f"`batches` must be 1 to {_MAX_BATCH} frames, got {_listed(self.batches or ())}")
        if any(number < 1 for number in self.threads or ()):
            raise InputError(f"`threads`: expected at least 1, got {_listed(self.threads or ())}")
        for name in self.engines or ():
            check_name("engine", name, engine_choices())


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
