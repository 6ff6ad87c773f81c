"""Entry point: the table of verbs, and errors as one line.

A verb lives in a module of its own whose top level imports nothing heavy; the stage that it drives is imported when it runs.
"""

from __future__ import annotations

import signal
import sys
import warnings
from types import FrameType
from typing import Annotated

import typer

from ..core.errors import SegEdgeError
from . import bench, data, doctor, export, predict, run, train, val, verify

app = typer.Typer(
    name="seg-edge",
    help="Train a compact U-Net, shrink it, export it, run it on live video, and measure it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("val")(val.val)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("run")(run.run)
app.command("predict")(predict.predict)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. May stand anywhere.")] = False,
) -> None:
    """Edge deployment toolkit for real-time semantic segmentation."""


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 1 error, 2 usage, 3 a stated limit was broken, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if words == ["--version"]:
        from .. import __version__

        print(f"seg-edge {__version__}")
        return 0
    if not debug:
        # Notes of libraries to their own developers; a user can act on none of them.
        warnings.simplefilter("ignore")
    with _Signals() as signals:
        try:
            result = app(words, prog_name="seg-edge", standalone_mode=True)
            return result if isinstance(result, int) else 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
            return _interrupted() if signals.came or status == 130 else status
        except KeyboardInterrupt:
            return _interrupted()
        except SegEdgeError as error:
            if debug:
                raise
            _say(f"error: {error}")
            return error.exit_code
        except BrokenPipeError:
            return 141  # the reader of our output went away, as a shell reports it
        except Exception as error:
            if signals.came:
                return _interrupted()  # some library's way of saying so
            if debug:
                raise
            _say(f"internal error: {type(error).__name__}: {error}; run again with --debug for the traceback and report it")
            return 70


class _Signals:
    """Ctrl-C and SIGTERM raise KeyboardInterrupt while the command runs, and leave a note: typer and Lightning turn the
    exception into exit codes of their own."""

    came = False

    def __enter__(self) -> _Signals:
        # A shell starts background jobs with Ctrl-C ignored; it stays so.
        wanted = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
        self._previous = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, _signal: int, _frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


def _interrupted() -> int:
    _say("interrupted")
    return 130


def _say(text: str) -> None:
    print(f"seg-edge: {' '.join(text.split())}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
