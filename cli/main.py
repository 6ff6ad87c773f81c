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
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        result = app(words, prog_name="seg-edge", standalone_mode=True)
        return result if isinstance(result, int) else 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except SegEdgeError as error:
        if debug:
            raise
        print(f"seg-edge: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        if debug:
            raise
        print("seg-edge: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141  # the reader of our output went away, as a shell reports it
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split())
        print(
            f"seg-edge: internal error: {type(error).__name__}: {text}; run again with --debug for the traceback and report it",
            file=sys.stderr,
        )
        return 70
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
