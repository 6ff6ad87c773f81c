"""Entry point: the table of verbs, and errors as one line.

A verb lives in a module of its own, which is imported when the verb runs; the stage that it drives is imported by the verb.
"""

from __future__ import annotations

import _thread
import errno
import math
import os
import signal
import sys
import time
import traceback
import warnings
from importlib import import_module
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..core.errors import SegEdgeError
from .coercion import lighten
from .derive import use_flags
from .translate import translated

#: Verb → what `seg-edge --help` says of it (a test holds it equal to the verb's own first line), in the order of the work.
#: A verb is the function of its name in the module of its name, or that module's ``app``.
VERBS = {
    "data": "Make and look at datasets.",
    "models": "List the networks that train --model takes, with their parameters and MACs; the compact family first.",
    "train": "Train a network on a folder dataset.",
    "val": "Evaluate a model through the runtime's own pre- and post-processing.",
    "compare": "Compare two trainings: six metrics, curves in one picture, best and worst cases.",
    "domains": "Evaluate models on several domains: a table of mIoU, training domain × test domain.",
    "prune": "Remove whole channels of a trained network: by share, MACs, parameters or measured latency; fine-tuned and "
    "gated.",
    "export": "Export a checkpoint: ONNX, simplified, INT8; each step gated and reported.",
    "build": "Build an engine file for TensorRT or TensorRT-RTX from an exported model.",
    "verify": "Replay the golden frames: does this machine compute what the export machine computed?",
    "run": "Segment a camera, a video or images live, and report frames per second and latency.",
    "predict": "Segment images and write masks and overlays.",
    "serve": "Serve models over HTTP: images in, masks out; a page for the browser at /.",
    "bench": "Measure latency and frames per second, or compare two reports: bench compare A B.",
    "doctor": "Say what this machine can do, and why not the rest.",
}


class _Verbs(TyperGroup):
    """The verbs, each imported when it runs: ``--help`` and an unknown name need none of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        lighten(self)
        # With short_help the list of verbs shows the whole line, wrapped.
        self.commands = {name: TyperCommand(name, short_help=text, rich_markup_mode=None) for name, text in VERBS.items()}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)  # in the order of the work, not of the alphabet

    def format_options(self, ctx: Any, formatter: Any) -> None:
        # No options of typer's: it loads pydantic to convert them, before the verb is even known.
        with formatter.section("Options"):
            formatter.write_dl(
                [
                    ("--version", "Print the version and exit."),
                    ("--debug", "Show the traceback of an error. May stand anywhere."),
                    ("-h, --help", "Show this message and exit."),
                ]
            )
        self.format_commands(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_verb(str(listed.name)) if listed else None, rest


def load_verb(name: str) -> Any:
    """The command of a verb; imports its module."""
    module = import_module(f".{name}", __package__)
    use_flags(module)
    verbs = getattr(module, "app", None)
    if verbs is None:
        verbs = typer.Typer(add_completion=False)
        verbs.command(name)(getattr(module, name))
    verbs.rich_markup_mode = None
    command = typer.main.get_command(verbs)
    command.name = name
    return lighten(command)


app = typer.Typer(
    name="seg-edge",
    cls=_Verbs,
    help="Train a compact U-Net, shrink it, export it, run it on live video, and measure it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's help has boxes and takes as long to import as everything else
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Edge deployment toolkit for real-time semantic segmentation."""


# What typer's parser raises. Newer releases of typer carry a click of their own, older ones import it: this is either's.
_UsageError: Any = typer.BadParameter.__base__


def main(argv: list[str] | None = None) -> int:
    """Runs the command and says its errors in one line each on standard error.

    Returns:
        The exit status: 0 done, 1 error, 2 usage, 3 a stated limit was broken, 70 internal error, 130 interrupted, 141 the
        reader of the output went away.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not debug:
        # Notes of libraries to their own developers; a user can act on none of them.
        warnings.simplefilter("ignore")
    with _Signals() as signals:
        try:
            # Not standalone: typer would draw its errors as boxes, and turn others into exit statuses of its own.
            result = _run(words)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a reader that went away can still be answered
            status = result if isinstance(result, int) else 0
            return _interrupted() if signals.came or status == 130 else status
        except SystemExit as stop:
            # rich and typer answer a broken pipe by exiting with 1, as if the verb had failed.
            if isinstance(stop.__context__, BrokenPipeError):
                return _hung_up()
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            return _interrupted() if signals.came or status == 130 else status
        except BrokenPipeError:
            return _hung_up()
        except (KeyboardInterrupt, typer.Abort):
            return _interrupted()
        except Exception as error:
            # A library's way of saying so, or a worker process that got the signal too.
            return _interrupted() if signals.came else _failed(error, debug)


def _run(words: list[str]) -> Any:
    if words[:1] == ["--version"]:
        from ..core.version import __version__

        print(f"seg-edge {__version__}")
        return 0
    return app(words, prog_name="seg-edge", standalone_mode=False)


def _failed(error: Exception, debug: bool) -> int:
    """Says an error in one line; returns the exit status."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, SegEdgeError):
        _say(f"error: {translated(str(error))}")
        return error.exit_code
    if isinstance(error, _UsageError):
        text = str(error.format_message()).strip()
        if text:  # without it, the help has been printed instead
            command = error.ctx.command_path if error.ctx else "seg-edge"
            _say(f"error: {text if text[-1] in '.?!' else text + '.'} See: {command} --help")
        return 2
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"error: {error}; free some space")
        return 1
    advice = "report it" if debug else "run again with --debug for the traceback and report it"
    _say(f"internal error: {type(error).__name__}: {error}; {advice}")
    return 70


def _hung_up() -> int:
    """The reader of our output went away (``| head``): nothing is left to say. The status is what a shell reports for it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own flush at its end
    return 141


class _Signals:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt while the command runs, and leave a note: typer and Lightning turn the
    exception into exit codes of their own.

    One press may come twice, to the process and to its group (``timeout``, ``uv run``): what comes within a second of the
    first is not raised again, because it would cut the cleaning-up short. A later one is.
    """

    came = False
    _at = 0.0
    _over = False

    def __enter__(self) -> _Signals:
        # A shell starts background jobs with Ctrl-C ignored; it stays so.
        wanted = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(self, *_error: object) -> None:
        self._over = True
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.came and now - self._at < 1:
            return
        self.came, self._at = True, now
        interrupt = KeyboardInterrupt()
        # Not threading.Thread: it takes locks, which the interrupted code may hold.
        _thread.start_new_thread(self._insist, (number, interrupt))
        raise interrupt

    def _insist(self, number: int, interrupt: KeyboardInterrupt) -> None:
        """Sends the signal again if C code dropped the exception, as NumPy's Generator.choice does with what it meets.

        Python code that the exception reaches is in its traceback, above :meth:`_note`; whoever catches it has a reason.
        """
        time.sleep(0.3)
        trace = interrupt.__traceback__  # until Python 3.11 None, as long as no Python code has caught it
        if (trace is None or trace.tb_next is None) and not self._over:
            self._at = -math.inf
            os.kill(os.getpid(), number)


def _interrupted() -> int:
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, one says it
        _say("interrupted")
    return 130


def _say(text: str) -> None:
    # In one write: torchrun's processes share a stream that is not buffered.
    print(f"seg-edge: {' '.join(text.split())}\n", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
