"""Entry point: the table of verbs, and one-line errors.

Each verb has its own module, which is imported when the verb runs. The verb imports its stage.
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
from keyword import iskeyword
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..core.errors import SegEdgeError
from .coercion import lighten
from .common import UsageError
from .derive import use_flags
from .translate import translated

#: Verb → its text in `seg-edge --help`, in workflow order. A test checks that the text equals the first line of the
#: verb's docstring. A verb is the function of its name in the module of its name (``import_``, a keyword), or ``app`` in
#: that module.
VERBS = {
    "data": "Make and look at datasets.",
    "models": "List the networks that train --model takes, with their parameters and MACs; the compact family first.",
    "train": "Train a network on a folder dataset.",
    "val": "Evaluate a model through the runtime's own pre- and post-processing.",
    "compare": "Compare two trainings: six metrics, curves in one picture, best and worst cases.",
    "domains": "Evaluate models on several domains: a table of mIoU, training domain × test domain.",
    "prune": "Remove whole channels of a trained network: by share, MACs, parameters or measured latency; fine-tuned and "
    "gated.",
    "import": "Import a network of another tool: an artefact like ours, compared with the original.",
    "export": "Export a checkpoint: ONNX, simplified, INT8; each step gated and reported.",
    "build": "Build an engine file for TensorRT or TensorRT-RTX from an exported model.",
    "verify": "Replay the golden frames: does this machine compute what the export machine computed?",
    "run": "Segment a camera, a video or images live, and report frames per second and latency.",
    "predict": "Segment images in bulk: folders, lists, videos and buckets to masks.",
    "serve": "Serve models over HTTP: images in, masks out; a page for the browser at /.",
    "bench": "Measure latency and frames per second, or compare two reports: bench compare A B.",
    "doctor": "Say what this machine can do, and why not the rest.",
}


class _Verbs(TyperGroup):
    """The verbs. A verb's module is imported when the verb runs, so ``--help`` and unknown names import none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        lighten(self)
        # short_help, because the list of verbs then shows the whole line, wrapped.
        self.commands = {name: TyperCommand(name, short_help=text, rich_markup_mode=None) for name, text in VERBS.items()}

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)  # in workflow order, not alphabetical

    def format_options(self, ctx: Any, formatter: Any) -> None:
        # Not typer options: typer would load pydantic to convert them before the verb is known.
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
    """Imports the module of a verb; returns the verb's command."""
    symbol = f"{name}_" if iskeyword(name) else name
    module = import_module(f".{symbol}", __package__)
    use_flags(module)
    verbs = getattr(module, "app", None)
    if verbs is None:
        verbs = typer.Typer(add_completion=False)
        verbs.command(name)(getattr(module, symbol))
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
    rich_markup_mode=None,  # importing rich for the help would double the start-up time
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _group() -> None:
    """Edge deployment toolkit for real-time semantic segmentation."""


def main(argv: list[str] | None = None) -> int:
    """Runs the command and prints errors on standard error, one line each.

    Returns:
        The exit status: 0 success, 1 error, 2 usage error, 3 a stated limit was broken, 70 internal error, 130
            interrupted,
        141 the reader of the output has exited.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not debug:
        # Warnings of libraries are for developers; users can't act on them.
        warnings.simplefilter("ignore")
    with _Signals() as signals:
        try:
            # Not standalone, because typer would print errors in boxes and use its own exit statuses.
            result = _run(words)
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a BrokenPipeError can still be handled
            status = result if isinstance(result, int) else 0
            return _interrupted() if signals.came or status == 130 else status
        except SystemExit as stop:
            # On a broken pipe, rich and typer exit with status 1, as if the verb had failed.
            if isinstance(stop.__context__, BrokenPipeError):
                return _hung_up()
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            return _interrupted() if signals.came or status == 130 else status
        except BrokenPipeError:
            return _hung_up()
        except (KeyboardInterrupt, typer.Abort):
            return _interrupted()
        except Exception as error:
            # After a signal, a library or a worker process may raise any error.
            return _interrupted() if signals.came else _failed(error, debug)


def _run(words: list[str]) -> Any:
    if words[:1] == ["--version"]:
        from ..core.version import __version__

        print(f"seg-edge {__version__}")
        return 0
    return app(words, prog_name="seg-edge", standalone_mode=False)


def _failed(error: Exception, debug: bool) -> int:
    """Prints an error in one line; returns the exit status."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, SegEdgeError):
        _say(f"error: {translated(str(error))}")
        return error.exit_code
    if isinstance(error, UsageError):
        text = str(error.format_message()).strip()
        if text:  # if empty, the help has been printed
            command = error.ctx.command_path if error.ctx else "seg-edge"
            _say(f"error: {text if text[-1] in '.?!' else text + '.'} See: {command} --help")
        return 2
    if isinstance(error, ImportError) and (".so" in str(error) or error.name == "cv2"):
        cure = "; pip install opencv-python-headless, or install this library" if "libGL" in str(error) else ""
        _say(f"error: a library can't be loaded ({error}){cure or '; see: seg-edge doctor'}")
        return 1
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say(f"error: {error}; free some space")
        return 1
    advice = "report it" if debug else "run again with --debug for the traceback and report it"
    _say(f"internal error: {type(error).__name__}: {error}; {advice}")
    return 70


def _hung_up() -> int:
    """Handles the exit of the output's reader (``| head``); returns the status that a shell reports for SIGPIPE."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes stdout at exit
    return 141


class _Signals:
    """Makes Ctrl-C and SIGTERM raise KeyboardInterrupt during the command, and records the signal in ``came``.

    The record is needed because typer and Lightning convert the exception to their own exit codes.

    A single key press may deliver two signals, to the process and to its group (``timeout``, ``uv run``). Signals
    within a second of the first don't raise again, because a second exception would interrupt the clean-up. Later
    signals do.
    """

    came = False
    _at = 0.0
    _over = False

    def __enter__(self) -> _Signals:
        # Shells start background jobs with Ctrl-C ignored; keep that.
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
        # Not threading.Thread, because it takes locks that the interrupted code may hold.
        _thread.start_new_thread(self._insist, (number, interrupt))
        raise interrupt

    def _insist(self, number: int, interrupt: KeyboardInterrupt) -> None:
        """Sends the signal again if C code dropped the exception, as NumPy's Generator.choice does.

        If Python code received the exception, its traceback contains that code above :meth:`_note`. The signal is not
        sent again then, because code that catches the exception does so on purpose.
        """
        time.sleep(0.3)
        trace = interrupt.__traceback__  # up to Python 3.11, None until Python code has caught the exception
        if (trace is None or trace.tb_next is None) and not self._over:
            self._at = -math.inf
            os.kill(os.getpid(), number)


def _interrupted() -> int:
    if os.environ.get("RANK", "0") == "0":  # only one of torchrun's processes prints it
        _say("interrupted")
    return 130


def _say(text: str) -> None:
    # A single write, because torchrun's processes share an unbuffered stream.
    print(f"seg-edge: {' '.join(text.split())}\n", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
