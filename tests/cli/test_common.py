"""What several verbs share."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time

import pytest
from rich.table import Table

from seg_edge.cli.common import console, print_table, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_tables_have_room_where_output_is_no_terminal(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    assert console().width == 160


def test_tables_are_as_wide_as_the_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "67")
    assert console().width == 67


def test_brackets_in_tables_are_text(capsys):
    table = Table("class")
    table.add_row("[bold]road[/bold]")
    print_table("runs/[red]a[/red]", table)
    out = capsys.readouterr().out
    assert "runs/[red]a[/red]" in out
    assert "[bold]road[/bold]" in out


def draw() -> None:
    with progress_bar() as bar:
        bar.update(bar.add_task("working", total=2), completed=1, refresh=True)


def test_bar_is_on_stderr_of_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", Terminal())
    draw()
    assert "working" in sys.stderr.getvalue()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    draw()
    assert sys.stderr.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)
    draw()
    assert capsys.readouterr().out == ""


SLOW = """
import sys, time
from seg_edge.cli.common import second_signal_ends
with second_signal_ends():
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopping", flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            print("cut short", flush=True)
"""


@pytest.mark.parametrize(("pause_s", "status", "said"), [(0.8, 130, "stopping"), (0.1, 0, "stopping\ncut short")])
def test_a_second_signal_ends_at_once(pause_s, status, said):
    """A press that arrives twice within moments is left to the handler before: here Python's, which raises each time."""
    with subprocess.Popen([sys.executable, "-c", SLOW], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
        process.send_signal(signal.SIGINT)
        started = time.perf_counter()
        out, _ = process.communicate(timeout=20)
        assert time.perf_counter() - started < 1
    assert (process.returncode, out.strip()) == (status, said)
